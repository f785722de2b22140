/* Load generator: N connections to one server on 127.0.0.1, one request outstanding on each, for some seconds.
 *
 *   load PORT CONNECTIONS SECONDS WARMUP REPLY FIRST SPIN FILE
 *
 * FILE holds prepared messages, each a 4-byte big-endian length and its bytes. The first is the handshake (may be
 * empty), the others are the requests; every connection goes through them in turn, their starts far apart. The
 * eight bytes "########" in a request are replaced by a decimal number that counts up from FIRST with every such
 * request. Without requests the connections stay idle.
 *
 * REPLY tells where an answer ends: "pyro" (the lengths in Pyro's header), "grpc" (HTTP/2 frames up to END_STREAM; the
 * frames of the request get their stream number here), or a number of bytes.
 *
 * SPIN 1: never sleep. A server that answers a sleeping process has to wake it, which takes the server about 20
 * microseconds (seen on a virtual machine), and the slower the server, the more often. SPIN 0: leave the core to others.
 *
 * Writes the line "ready" when all connections are open and greeted; then one line of JSON when the time is over or
 * the standard input ends. What was answered in the first WARMUP seconds is not counted. Latencies are microseconds
 * from send to the end of the answer, percentiles to 2 %, the maximum exact.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIXED, PYRO, GRPC };
enum { HEADERS = 1, END_STREAM = 1, GOAWAY = 7, EXCEPTION = 1, HEADER_MAX = 40, EVENTS = 512 };
#define MARK "########"
#define STUCK_NS 30000000000ull

typedef struct {
    unsigned char *bytes;
    size_t size;
    unsigned char *counter; /* where the mark is, or NULL */
} message;

typedef struct {
    int fd;
    int next;           /* the request that comes next */
    uint32_t stream;    /* grpc: the number of the last request */
    uint64_t sent_at;   /* ns */
    uint64_t skip;      /* bytes of the answer's body that are still to come */
    int have, last;     /* bytes of the header that have come; whether the answer ends with this body */
    int body_seen;      /* grpc: a frame other than HEADERS came: the call worked */
    unsigned char header[HEADER_MAX];
} connection;

static message *messages;
static int message_count, framing, header_size, spin;
static uint64_t fixed_size, counter;
static uint64_t answers, errors, slowest, histogram[4096];
static unsigned char buffer[1 << 20];

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static uint32_t number(const unsigned char *at, int bytes) {
    uint32_t value = 0;
    while (bytes--) value = value << 8 | *at++;
    return value;
}

static void read_messages(const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char length[4];
    if (!file) die(path);
    while (fread(length, 1, 4, file) == 4) {
        message m = {.size = number(length, 4)};
        m.bytes = malloc(m.size + 1);
        if (fread(m.bytes, 1, m.size, file) != m.size) die("the file of messages ends early");
        m.counter = memmem(m.bytes, m.size, MARK, 8);
        messages = realloc(messages, (message_count + 1) * sizeof m);
        messages[message_count++] = m;
    }
    fclose(file);
    if (!message_count) die("no messages");
}

/* Logarithmic: 64 buckets for each power of two of nanoseconds. */
static int bucket(uint64_t ns) {
    if (ns < 64) return ns;
    int shift = 57 - __builtin_clzll(ns);
    return (shift + 1) * 64 + (ns >> shift) - 64;
}

static double percentile(double share) {
    uint64_t wanted = answers * share, seen = 0;
    for (int i = 0; i < 4096; i++)
        if ((seen += histogram[i]) > wanted) {
            double middle = i < 64 ? i : (i % 64 + 64.5) * (1ull << (i / 64 - 1));
            return (middle < slowest ? middle : slowest) / 1000;
        }
    return slowest / 1000.0;
}

static void send_request(connection *c) {
    message *m = &messages[1 + c->next];
    c->next = (c->next + 1) % (message_count - 1);
    if (m->counter) {
        char digits[24];
        snprintf(digits, sizeof digits, "%08llu", (unsigned long long)(counter++ % 100000000));
        memcpy(m->counter, digits, 8);
    }
    if (framing == GRPC) {
        c->stream += 2;
        for (size_t at = 0; at < m->size; at += 9 + number(m->bytes + at, 3)) {
            uint32_t stream = htonl(c->stream);
            memcpy(m->bytes + at + 5, &stream, 4);
        }
    }
    c->have = c->last = c->body_seen = 0;
    c->skip = framing == FIXED ? fixed_size : 0;
    c->sent_at = now_ns();
    if (send(c->fd, m->bytes, m->size, MSG_NOSIGNAL) != (ssize_t)m->size) die("a request could not be sent at once");
}

/* Take the header that has come: how much follows, and whether the answer ends there. */
static void understand_header(connection *c) {
    unsigned char *h = c->header;
    c->have = 0;
    if (framing == PYRO) {
        if (memcmp(h, "PYRO", 4)) die("an answer is not Pyro's");
        c->skip = (uint64_t)number(h + 12, 4) + (header_size == 24 ? number(h + 18, 2) : number(h + 16, 4));
        errors += h[9] & EXCEPTION;
        c->last = 1;
        return;
    }
    c->skip = number(h, 3);
    if (h[3] == GOAWAY) die("the server ends the HTTP/2 connection");
    if (number(h + 5, 4) != c->stream || h[3] > HEADERS) return; /* settings, windows, pings */
    c->body_seen |= h[3] != HEADERS;
    c->last = h[4] & END_STREAM;
    errors += c->last && !c->body_seen;
}

/* Take received bytes; how many answers they completed. */
static int take(connection *c, const unsigned char *data, size_t size) {
    int complete = 0;
    while (size) {
        if (framing != FIXED && !c->skip) {
            size_t part = header_size - c->have;
            if (part > size) part = size;
            memcpy(c->header + c->have, data, part);
            c->have += part, data += part, size -= part;
            if (c->have < header_size) break;
            understand_header(c);
        }
        size_t part = c->skip < size ? c->skip : size;
        c->skip -= part, data += part, size -= part;
        if (c->skip) break;
        if (framing == FIXED || c->last) complete++, c->last = 0;
    }
    return complete;
}

static void open_connection(connection *c, int port, int start) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 30};
    int one = 1;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    memset(c, 0, sizeof *c);
    c->next = start;
    c->stream = -1;
    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) die("no socket");
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("cannot connect");
    message *hello = &messages[0];
    if (hello->size && send(c->fd, hello->bytes, hello->size, MSG_NOSIGNAL) != (ssize_t)hello->size)
        die("cannot send the handshake");
    if (hello->size && framing == PYRO) {
        int complete = 0;
        while (!complete) {
            ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
            if (size <= 0) die("no answer to the handshake");
            complete = take(c, buffer, size);
        }
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void receive(connection *c) {
    ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) die("the server closed a connection");
    if (!take(c, buffer, size)) return;
    uint64_t ns = now_ns() - c->sent_at;
    histogram[bucket(ns)]++;
    answers++;
    if (ns > slowest) slowest = ns;
    send_request(c);
}

static double cpu_seconds(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void measure(connection *connections, int count, double seconds, double warmup) {
    int poller = epoll_create1(0), stopped = 0;
    struct epoll_event events[EVENTS], watch = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &watch);
    for (int i = 0; i < count; i++) {
        watch.data.ptr = &connections[i];
        epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &watch);
        send_request(&connections[i]);
    }
    uint64_t now = now_ns(), begin = now, start = begin + warmup * 1e9, end = start + seconds * 1e9, alive = now;
    double cpu = cpu_seconds();
    int warming = warmup > 0;
    while (!stopped && (now = now_ns()) < end) {
        if (warming && now >= start) {
            memset(histogram, 0, sizeof histogram);
            answers = errors = slowest = 0;
            begin = now, cpu = cpu_seconds(), warming = 0;
        }
        int ready = epoll_wait(poller, events, EVENTS, spin ? 0 : 10);
        uint64_t before = answers;
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr) receive(events[i].data.ptr);
            else stopped = 1;
        }
        if (answers != before) alive = now;
        else if (now - alive > STUCK_NS) die("no answers for 30 s");
    }
    double took = (now_ns() - begin) / 1e9;
    printf("{\"answers\": %llu, \"errors\": %llu, \"numbers\": %llu, \"seconds\": %.6f, \"rate\": %.3f, \"cpu\": %.3f, "
           "\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n",
           (unsigned long long)answers, (unsigned long long)errors, (unsigned long long)counter, took, answers / took,
           (cpu_seconds() - cpu) / took, percentile(.5), percentile(.9), percentile(.99), percentile(.999),
           slowest / 1000.0);
}

int main(int argc, char **argv) {
    if (argc != 9) die("usage: load PORT CONNECTIONS SECONDS WARMUP REPLY FIRST SPIN FILE");
    int count = atoi(argv[2]);
    connection *connections = malloc(count * sizeof *connections);
    read_messages(argv[8]);
    spin = atoi(argv[7]);
    counter = strtoull(argv[6], NULL, 10);
    framing = !strcmp(argv[5], "pyro") ? PYRO : !strcmp(argv[5], "grpc") ? GRPC : FIXED;
    fixed_size = framing == FIXED ? strtoull(argv[5], NULL, 10) : 0;
    if (framing == FIXED && !fixed_size) die("REPLY must be pyro, grpc or a number of bytes");
    if (framing == PYRO && messages[0].size < 6) die("pyro needs a handshake");
    header_size = framing == GRPC ? 9 : framing == PYRO && number(messages[0].bytes + 4, 2) == 48 ? 24 : 40;
    for (int i = 0; i < count; i++) {
        int requests = message_count - 1;
        open_connection(&connections[i], atoi(argv[1]), (long long)i * requests / count);
    }
    puts("ready");
    fflush(stdout);
    if (message_count > 1) measure(connections, count, atof(argv[3]), atof(argv[4]));
    else while (read(0, buffer, sizeof buffer) > 0) continue;
    return 0;
}
