"""Who may do what by HTTP: as on the wire."""

import json
import os
import shutil
import signal
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from http_client import Http
from processes import PYRONYM, NameServers, run
from pyronym.client.locate import locateNS
from tls_files import CLIENT_SUBJECT, Certificates

OPS, GUEST = "ops-token-that-is-long", "guest-token-that-is-long"
RECORD = {"uri": "PYRO:o@h:1"}


def private(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def rules(path: Path, *rules: tuple[str, str, str]) -> str:
    """A file of permissions: who, which verbs, on which prefix."""
    text = "ownership = true\n"
    for who, may, prefix in rules:
        text += f"[[rule]]\nwho = [{who!r}]\nmay = {may.split()}\nnames = [{prefix!r}]\n"
    path.write_text(text)
    return str(path)


def test_tokens_say_who_a_client_is_in_permissions_ownership_and_the_audit_log(serve: NameServers, tmp_path):
    tokens = private(tmp_path / "tokens.toml", f'ops = "{OPS}"\nguest = ["{GUEST}", "{GUEST}-old"]\n')
    permissions = rules(
        tmp_path / "permissions.toml",
        ("token:ops", "read register renew remove", ""),
        ("token:guest", "read register renew remove", "lab."),
    )
    log = tmp_path / "audit.log"
    options = ["--http-tokens", tokens, "--permissions", permissions, "--audit-log", str(log)]
    server = serve("--http", ":0", *options, env={"PYRO_LOGLEVEL": "DEBUG"})
    ops, guest, old = (Http(server, token) for token in (OPS, GUEST, f"{GUEST}-old"))
    assert ops.put("other").json["owner"] == "token:ops"
    assert guest.put("lab.a").status == 201
    assert old.put("lab.a").json["owner"] == "token:guest"
    assert [record["name"] for record in guest.get("/api/v1/names").json["names"]] == ["Pyro.NameServer", "lab.a"]
    assert guest.get("/api/v1/names").json["total"] == 2
    for method, body in (("GET", None), ("PUT", RECORD), ("DELETE", None)):
        status, words = guest.name(method, "other", body).problem
        assert (status, words.startswith("token:guest may not ")) == (403, True)
    assert ops.name("DELETE", "lab.a").problem == (
        403,
        "token:ops may not remove 'lab.a': it belongs to another principal of this name server",
    )
    with guest.events() as events:
        next(events)
        ops.put("unseen")
        guest.put("lab.b")
        assert next(events)["data"]["name"] == "lab.b"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    done = [(line["who"], line["what"], line["name"], line["outcome"]) for line in lines]
    assert ("token:guest", "register", "lab.a", "done") in done
    assert ("token:guest", "remove", "other", "denied") in done
    assert all(line["from"].startswith("127.0.0.1:") for line in lines)
    assert OPS not in server.process.output + log.read_text()
    assert GUEST not in server.process.output + log.read_text()


def test_without_a_token_or_with_a_wrong_one_nothing_is_told_but_health(serve: NameServers, tmp_path):
    server = serve("--http", ":0", "--http-tokens", private(tmp_path / "tokens.toml", f'ops = "{OPS}"\n'))
    for token, words in ((None, "this server wants a token"), ("wrong" * 5, "the token is none of this server's")):
        stranger = Http(server, token)
        for path in (
            "/api/v1/names",
            "/api/v1/names/a",
            "/api/v1/events",
            "/api/v1/status",
            "/api/v1/nodes",
            "/metrics",
        ):
            answer = stranger.get(path)
            assert (answer.problem[0], words in answer.problem[1]) == (401, True)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert stranger.put("a").problem[0] == 401
        assert stranger.get("/healthz").status == 200
    assert Http(server, OPS).get("/metrics").status == 200
    assert Http(server).get("/api/v1/names", {"Authorization": f"Basic {OPS}"}).problem[0] == 401


def test_tokens_are_read_again_on_sighup_and_a_mistake_leaves_the_old_ones(serve: NameServers, tmp_path):
    path = tmp_path / "tokens.toml"
    server = serve("--http", ":0", "--http-tokens", private(path, f'ops = "{OPS}"\n'))
    ops, new = Http(server, OPS), Http(server, "another-token-that-is-long")
    private(path, "ops = 7")
    server.process.signal(signal.SIGHUP)
    server.process.wait_for_line(r"kept the old HTTP tokens: .*: ops is not a token")
    assert ops.get("/api/v1/names").status == 200
    private(path, 'ops = "another-token-that-is-long"\n')
    server.process.signal(signal.SIGHUP)
    server.process.wait_for_line(r"read again: HTTP tokens")
    assert (ops.get("/api/v1/names").status, new.get("/api/v1/names").status) == (401, 200)


def test_without_tokens_a_client_is_what_an_anonymous_one_is_on_the_wire(serve: NameServers, tmp_path):
    permissions = rules(tmp_path / "p.toml", ("anyone", "read", "lab."), ("net:127.0.0.0/8", "register", "lab."))
    server = serve("--http", ":0", "--permissions", permissions)
    http = Http(server)
    assert http.put("lab.a").status == 201
    assert http.put("lab.a").problem[0] == 403
    assert http.put("other").problem[0] == 403
    elsewhere = http.name("PUT", "lab.b", RECORD, x_forwarded_for="192.0.2.1")
    assert elsewhere.json["owner"] == "net:127.0.0.1", "whatever a client says of itself"
    assert http.get("/metrics").status == 200


def test_who_may_register_but_not_read_is_not_told_what_there_is(serve: NameServers, tmp_path):
    http = Http(serve("--http", ":0", "--permissions", rules(tmp_path / "p.toml", ("anyone", "register renew", ""))))
    assert [http.put("a").status for _ in range(2)] == [204, 204]
    assert http.name("PUT", "a", RECORD, if_match="*").problem[0] == 412
    for path in ("/api/v1/names/a", "/api/v1/status", "/metrics"):
        assert http.get(path).problem[0] == 403


def test_a_read_only_server_refuses_all_changes(serve: NameServers):
    http = Http(serve("--http", "0.0.0.0:0", "--read-only"))
    for method, body in (("PUT", RECORD), ("PATCH", {"tags": []}), ("DELETE", None)):
        status, words = http.name(method, "a", body).problem
        assert (status, "this name server is read-only" in words) == (403, True)
    assert http.get("/api/v1/names").status == 200


def test_certificates_are_those_of_the_wire_and_say_who_a_client_is(
    serve: NameServers, certificates: Certificates, tmp_path
):
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(certificates.path(name), tmp_path)
    permissions = rules(
        tmp_path / "p.toml", ("anyone", "read", ""), (f"tls:{CLIENT_SUBJECT}", "register renew remove", "")
    )
    options = ["--tls-cert", f"{tmp_path}/server.pem", "--tls-key", f"{tmp_path}/server.key"]
    options += ["--tls-ca", f"{tmp_path}/ca.pem", "--permissions", permissions]
    server = serve("--http", ":0", *options)
    tls = {"ca_certs": certificates.path("ca.pem")}
    nameless = Http(server, **tls)
    known = Http(server, **tls, cert_file=certificates.path("client.pem"), key_file=certificates.path("client.key"))
    assert nameless.url.startswith("https://")
    assert nameless.put("a").problem[0] == 403
    assert known.put("a").json["owner"] == f"tls:{CLIENT_SUBJECT}"
    before = serial(nameless.url, certificates)
    again = run([PYRONYM, "certs", tmp_path / "again"])
    assert again.status == 0
    for name in ("server.pem", "server.key", "ca.pem"):
        shutil.copy(tmp_path / "again" / name, tmp_path)
    renewed = Certificates(tmp_path / "again")
    assert serial(nameless.url, renewed) != before
    stranger = Http(server, ca_certs=renewed.path("ca.pem"))
    assert stranger.get("/healthz").status == 200
    other = Http(
        server,
        ca_certs=renewed.path("ca.pem"),
        cert_file=renewed.path("client.pem"),
        key_file=renewed.path("client.key"),
    )
    assert other.put("b").json["owner"] == f"tls:{CLIENT_SUBJECT}", "of the new CA"


def serial(url: str, certificates: Certificates) -> str:
    place = urlsplit(url)
    context = certificates.context()
    with socket.create_connection((place.hostname, place.port), 20) as sock:
        with context.wrap_socket(sock, server_hostname=place.hostname) as tls:
            return tls.getpeercert()["serialNumber"]


def test_with_required_certificates_nobody_else_comes_in(serve: NameServers, certificates: Certificates):
    options = [*certificates.serve_options(), "--tls-ca", certificates.path("ca.pem"), "--tls-require-client-cert"]
    server = serve("--http", "0.0.0.0:0", *options)
    tls = {"ca_certs": certificates.path("ca.pem"), "server_hostname": "localhost"}
    with pytest.raises((urllib3.exceptions.HTTPError, ssl.SSLError)):
        Http(server, **tls).get("/healthz")
    known = Http(server, **tls, cert_file=certificates.path("client.pem"), key_file=certificates.path("client.key"))
    assert known.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--http", "0.0.0.0:0"], 2, "would let everyone who can reach it change names: give clients tokens"),
        (["--http", ":0", "-k", "key"], 2, "without the HMAC keys that all others need: give them tokens"),
        (["--http", ":0", "-u", "/tmp/{pid}.sock"], 2, "whom the Unix socket may keep out: give clients tokens"),
        (["--http", "8080"], 2, "invalid --http: '8080' (expected HOST:PORT, [IPV6]:PORT, or :PORT for 127.0.0.1)"),
        (["--http", ":99999"], 2, "invalid --http: ':99999'"),
        (["--http-tokens", "x"], 2, "--http-tokens and --http-name are of no use without --http"),
        (["--http", ":0", "--http-tokens", "/nowhere"], 1, "/nowhere"),
        (["--http", ":0", "--tls-cert", "/nowhere"], 2, "cannot use /nowhere for SSL_SERVERCERT"),
    ],
)
def test_wrong_options_are_one_line(options, status, words):
    options = [option.format(pid=os.getpid()) for option in options]
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", *options])
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert (done.status, len(errors), words in done.stderr) == (status, 1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "--http", f":{port}"])
    assert (done.status, "another program listens there" in done.stderr) == (1, True)


def test_without_the_extra_it_is_said_what_to_install(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError('no', name='fastapi')")
    done = run([PYRONYM, "serve", "-p", "0", "--http", ":0"], env={"PYTHONPATH": str(tmp_path)})
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--http needs more packages: pip install 'pyronym[web]' (fastapi is not installed)" in done.stderr


def test_pyronym_itself_needs_nothing_of_the_extra():
    program = (
        "import pyronym, pyronym.cli.main, sys; "
        "print([name for name in ('fastapi', 'uvicorn', 'prometheus_client', 'pydantic') if name in sys.modules])"
    )
    assert run([sys.executable, "-c", program]).stdout == "[]\n"


@pytest.mark.parametrize("content", ["", "ops = ''", "[ops]", f'a = "{OPS}"\nb = "{OPS}"', 'a = "with a blank in it"'])
def test_a_token_file_that_is_none_is_one_line_without_a_token(tmp_path, content):
    path = private(tmp_path / "tokens.toml", content)
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "--http", ":0", "--http-tokens", path])
    assert (done.status, done.stderr.count("error:"), path in done.stderr) == (2, 1, True)
    assert OPS not in done.stderr


def test_a_token_file_that_others_can_read_is_refused(tmp_path):
    path = private(tmp_path / "tokens.toml", f'ops = "{OPS}"\n')
    os.chmod(path, 0o644)
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "--http", ":0", "--http-tokens", path])
    assert (done.status, "others than its owner can read or change it" in done.stderr) == (2, True)


def test_loopback_uris_and_the_wire_are_no_concern_of_tokens(serve: NameServers, tmp_path):
    server = serve("--http", ":0", "--http-tokens", private(tmp_path / "tokens.toml", f'ops = "{OPS}"\n'))
    with locateNS(*server.address) as ns:
        ns.register("a", "PYRO:o@h:1")
    assert Http(server, OPS).name("GET", "a").status == 200
