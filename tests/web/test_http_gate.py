"""What pages of strangers, and clients that are too large or too slow, cannot do."""

import socket
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import pytest

from http_client import Http, http_server
from processes import PYRONYM, NameServers, stopping
from pyronym.web import gate, serving

RECORD = {"uri": "PYRO:o@h:1"}


@pytest.fixture(scope="module")
def http():
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        yield Http(servers("--http", ":0", "--http-name", "names.example"))


@pytest.fixture
def raw(http):
    place = urlsplit(http.url)
    with socket.create_connection((place.hostname, place.port), 30) as sock:
        yield sock


def everything(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "localhost.", "names.example", "127.0.0.1:1", "[::1]:8080", "192.0.2.1"]
)
def test_it_answers_to_its_names_and_to_numeric_addresses(http, host):
    assert http.get("/healthz", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@localhost@b", ""]
)
def test_it_does_not_answer_to_a_name_that_a_stranger_has_made_to_lead_here(http, host):
    answer = http.get("/api/v1/names", {"Host": host})
    assert answer.status == 421 or (answer.status == 400 and not host)
    if host:
        assert "this server is not called" in answer.problem[1]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost:{port}", "http://localhost:1"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_pages_of_strangers_change_nothing(http, origin, method):
    body = None if method == "DELETE" else RECORD
    port = urlsplit(http.url).port
    answer = http.name(method, "a", body, origin=origin.format(port=port), host=f"localhost:{port}")
    assert (answer.problem[0], "may change nothing here" in answer.problem[1]) == (403, True)
    assert http.name("GET", "a").status == 404


def test_its_own_pages_may_change_names(http):
    port = urlsplit(http.url).port
    headers = {"origin": f"http://localhost:{port}", "host": f"localhost:{port}"}
    assert http.name("PUT", "own", RECORD, **headers).status == 201
    assert http.name("DELETE", "own", **headers).status == 204


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_no_change(http, kind):
    answer = http.name("PUT", "a", RECORD, content_type=kind)
    assert (answer.problem[0], "expected Content-Type: application/json" in answer.problem[1]) == (415, True)


def test_no_other_site_may_read_an_answer(http):
    answer = http.get("/api/v1/names", {"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    answer = http("OPTIONS", "/api/v1/names/a", headers={"Origin": "http://x", "Access-Control-Request-Method": "PUT"})
    assert answer.status == 405


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/names", "/nowhere", "/api/v1/docs", "/static/docs.css", "/metrics"]
)
def test_every_answer_has_the_headers(http, path):
    answer = http.get(path)
    assert {name: answer.headers.get(name) for name in gate.HEADERS} == gate.HEADERS
    assert "Server" not in answer.headers
    assert "unsafe" not in gate.HEADERS["Content-Security-Policy"]


def test_a_body_that_is_too_large_is_refused_before_it_has_come(http, raw):
    raw.sendall(b"PUT /api/v1/names/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    raw.sendall(b"Content-Length: 1048577\r\n\r\n")
    assert everything(raw).startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_is_refused_when_it_gets_too_large(http, raw):
    raw.sendall(b"PUT /api/v1/names/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    raw.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    for _ in range(40):  # it has answered, and goes on to read what nobody wants: a reset would lose the answer
        raw.sendall(chunk)
    raw.sendall(b"0\r\n\r\n")
    assert everything(raw).startswith(b"HTTP/1.1 413 ")


def test_a_refused_client_that_sends_on_is_hung_up_on(hasty):
    _, client = hasty
    client.sendall(b"PUT /api/v1/names/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    client.sendall(b"Content-Length: 999999999999\r\n\r\n")
    with pytest.raises(ConnectionError):
        send_on(client, b" " * 65536)


def test_headers_that_are_too_large_are_refused(http, raw):
    raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (serving.MAX_HEAD + 1))
    assert everything(raw).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
def hasty(monkeypatch):
    """A connection to a server that waits for nobody."""
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.2)
    monkeypatch.setattr(gate, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(serving, "UNREAD_SECONDS", 0.2)
    with http_server() as (daemon, place), socket.create_connection(place, 30) as client:
        yield daemon, client


def test_there_are_only_so_many_connections(monkeypatch):
    monkeypatch.setattr(serving, "MOST_CONNECTIONS", 5)
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with http_server() as (_, place), ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(socket.create_connection(place, 30))
            client.sendall(request)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(place, 30) as late:
            late.sendall(request)
            assert late.recv(65536).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
def test_whoever_does_not_finish_his_headers_is_hung_up_on(hasty, before):
    _, client = hasty
    client.sendall(before)
    if before:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
    client.sendall(b"GET /healthz HTTP/1.1\r\n")
    with suppress(ConnectionResetError):
        everything(client)


def test_whoever_does_not_send_his_body_is_told(hasty):
    _, client = hasty
    client.sendall(b"PUT /api/v1/names/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    client.sendall(b"Content-Length: 100\r\n\r\n{")
    answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not come within 0.2 s" in answer


def test_whoever_does_not_read_his_answer_is_hung_up_on(hasty):
    daemon, client = hasty
    for number in range(1000):
        daemon.nameserver.register("n" * 4000 + str(number), "PYRO:o@h:1")
    request = b"GET /api/v1/names?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with pytest.raises(ConnectionError):  # what is sent to a connection that is gone fails
        send_on(client, request)


def send_on(client: socket.socket, request: bytes) -> None:
    """Send, and read nothing, until the connection takes no more."""
    client.settimeout(5)
    while True:
        client.sendall(request)
