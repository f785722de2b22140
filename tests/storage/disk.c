/* A disk that can be told to fail, and that keeps a record of what was asked of it. Loaded with LD_PRELOAD.
 *
 * DISK_FOLDER   the only folder whose files are looked at, as an absolute path without symbolic links.
 * DISK_FAULTS   a file that is read before every call: lines "OPERATION ERRNO [PART OF THE PATH]", where the operation is
 *               open (for writing), write, truncate, sync, rename or remove. While it is missing nothing fails.
 * DISK_RECORD   a file that gets an entry for each call that succeeded: a line "OPERATION INODE OFFSET LENGTH PATH
 *               [SECOND PATH]", followed by LENGTH bytes. What the program writes to its standard output is an entry
 *               too ("say"), so that one sees what it had promised when.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* entries are in the order in which things happened */

static int watched(const char *path) {
    const char *folder = getenv("DISK_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return watched(path);
}

static int path_at(int folder, const char *name, char *path) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else if (folder == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX)) return 0;
        snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%s", name);
    } else {
        path_of(folder, path);
        snprintf(path + strlen(path), PATH_MAX - strlen(path), "/%s", name);
    }
    return watched(path);
}

/* The error with which an operation must fail, 0 if it need not. */
static int fault(const char *operation, const char *path) {
    const char *file = getenv("DISK_FAULTS");
    int fd = file ? REAL(open)(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    char text[1024];
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length < 0 ? 0 : length] = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[32], part[256] = "";
        int number;
        if (sscanf(line, "%31s %d %255s", name, &number, part) >= 2 && !strcmp(name, operation) && strstr(path, part))
            return number;
    }
    return 0;
}

static void record(const char *operation, unsigned long inode, long long offset, const void *data, size_t length,
                   const char *path, const char *second) {
    static int fd = -1;
    const char *file = getenv("DISK_RECORD");
    if (!file) return;
    if (fd < 0) fd = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[2 * PATH_MAX + 100];
    int size = snprintf(line, sizeof line, "%s %lu %lld %zu %s %s\n", operation, inode, offset, length, path, second);
    struct iovec parts[] = {{line, size}, {(void *)data, length}};
    if (writev(fd, parts, 2) != (ssize_t)(size + length)) abort();
}

static unsigned long inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

#define FAIL_IF_TOLD(operation, path) \
    do { \
        int number = fault(operation, path); \
        if (number) { \
            errno = number; \
            return -1; \
        } \
    } while (0)

static int opened(const char *path, int flags, mode_t mode, int folder, const char *name) {
    if (flags & (O_WRONLY | O_RDWR | O_CREAT)) FAIL_IF_TOLD("open", path);
    pthread_mutex_lock(&lock);
    int existed = access(path, F_OK) == 0;
    int fd = REAL(openat)(folder, name, flags, mode);
    if (fd >= 0 && !existed && flags & O_CREAT) record("create", inode_of(fd), 0, "", 0, path, "");
    if (fd >= 0 && existed && flags & O_TRUNC) record("truncate", inode_of(fd), 0, "", 0, path, "");
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN(function) \
    int function(const char *name, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        char path[PATH_MAX]; \
        if (!path_at(AT_FDCWD, name, path)) return REAL(openat)(AT_FDCWD, name, flags, mode); \
        return opened(path, flags, mode, AT_FDCWD, name); \
    }
OPEN(open)
OPEN(open64)

static ssize_t written(int fd, const void *data, size_t length, off_t offset, int at) {
    char path[PATH_MAX];
    if (fd == 1) { /* said first: who hears of it before it is in the record could be lied to */
        pthread_mutex_lock(&lock);
        record("say", 0, 0, data, length, "-", "");
        pthread_mutex_unlock(&lock);
    }
    if (fd <= 2 || !path_of(fd, path)) return at ? REAL(pwrite)(fd, data, length, offset) : REAL(write)(fd, data, length);
    FAIL_IF_TOLD("write", path);
    pthread_mutex_lock(&lock);
    if (!at) offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t done = at ? REAL(pwrite)(fd, data, length, offset) : REAL(write)(fd, data, length);
    if (done > 0) record("write", inode_of(fd), offset, data, done, path, "");
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return written(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset, 1); }

#define ON_FILE(function, parameters, arguments, operation, where) \
    int function parameters { \
        char path[PATH_MAX]; \
        if (!path_of(fd, path)) return REAL(function) arguments; \
        FAIL_IF_TOLD(operation, path); \
        pthread_mutex_lock(&lock); \
        int result = REAL(function) arguments; \
        if (result == 0) record(operation, inode_of(fd), where, "", 0, path, ""); \
        pthread_mutex_unlock(&lock); \
        return result; \
    }
ON_FILE(ftruncate, (int fd, off_t length), (fd, length), "truncate", length)
ON_FILE(ftruncate64, (int fd, off_t length), (fd, length), "truncate", length)
ON_FILE(fsync, (int fd), (fd), "sync", 0)
ON_FILE(fdatasync, (int fd), (fd), "sync", 0)

static int on_path(const char *operation, int folder, const char *name, int flags) {
    char path[PATH_MAX];
    int is_watched = path_at(folder, name, path);
    if (is_watched) FAIL_IF_TOLD("remove", path);
    pthread_mutex_lock(&lock);
    int result = REAL(unlinkat)(folder, name, flags);
    if (result == 0 && is_watched) record(operation, 0, 0, "", 0, path, "");
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *name) { return on_path("remove", AT_FDCWD, name, 0); }
int rmdir(const char *name) { return on_path("remove", AT_FDCWD, name, AT_REMOVEDIR); }
int unlinkat(int folder, const char *name, int flags) { return on_path("remove", folder, name, flags); }

int mkdir(const char *name, mode_t mode) {
    char path[PATH_MAX];
    if (!path_at(AT_FDCWD, name, path)) return REAL(mkdir)(name, mode);
    FAIL_IF_TOLD("open", path);
    pthread_mutex_lock(&lock);
    int result = REAL(mkdir)(name, mode);
    struct stat status;
    if (result == 0 && stat(path, &status) == 0) record("folder", status.st_ino, 0, "", 0, path, "");
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *name, const char *second) {
    char path[PATH_MAX], second_path[PATH_MAX];
    if (!path_at(AT_FDCWD, name, path) || !path_at(AT_FDCWD, second, second_path)) return REAL(rename)(name, second);
    FAIL_IF_TOLD("rename", path);
    pthread_mutex_lock(&lock);
    int result = REAL(rename)(name, second);
    if (result == 0) record("rename", 0, 0, "", 0, path, second_path);
    pthread_mutex_unlock(&lock);
    return result;
}
