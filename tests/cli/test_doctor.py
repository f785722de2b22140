"""``pyronym doctor`` against real name servers, and things that are none, in the conditions that it tells apart."""

from __future__ import annotations

import http.server
import json
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from commanding import command
from processes import PYRONYM, NameServers, StockDaemons, run, stopping
from pyronym import Daemon, expose
from pyronym.cli.condition import NEARLY
from pyronym.cli.reachability import Address, trouble_with
from pyronym.client.locate import locateNS
from pyronym.errors import NamingError
from pyronym.server.limits import RESERVED_DESCRIPTORS
from pyronym.uri import URI
from server.serving import serving
from terminal import on_terminal
from tls_files import Certificates

QUIET = {"PYRO_BROADCAST_ADDRS": ""}
"""Ask nobody in the network. What comes of asking is tried in networks that are made for it: tests/interop."""

Findings = Sequence[Mapping[str, str]]


def doctor(where: str, *options: str, env: Mapping[str, str] | None = None) -> tuple[int, Findings]:
    """The exit status and the findings."""
    done = command("doctor", "--json", "--ns", where, *options, env={**QUIET, **(env or {})})
    assert done.stderr == ""
    findings: Findings = json.loads(done.stdout)
    return done.status, findings


def errors(findings: Findings) -> list[tuple[str, str]]:
    return [(finding["check"], finding["text"]) for finding in findings if finding["level"] == "error"]


def the_error(where: str, *options: str, env: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """The only error, for which there must be a cure."""
    status, findings = doctor(where, *options, env=env)
    (error,) = (finding for finding in findings if finding["level"] == "error")
    assert status == 1
    assert error["cure"]
    return error


def told(findings: Findings, check: str) -> list[str]:
    return [finding["text"] for finding in findings if finding["check"] == check]


@contextmanager
def listening(greeting: bytes = b"") -> Iterator[str]:
    """A port at which something says a greeting, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as sock:

        def greet() -> None:
            while True:
                try:
                    client, _ = sock.accept()
                except OSError:
                    return
                client.sendall(greeting)
                clients.append(client)

        clients: list[socket.socket] = []
        thread = threading.Thread(target=greet)
        thread.start()
        yield f"127.0.0.1:{sock.getsockname()[1]}"
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in clients:
            client.close()


@contextmanager
def web_server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # it is called so
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of those who hang up: it would be taken for what the command says."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("kind", "speaks"),
    [("pyronym", "Pyro4 and Pyro5"), ("stock Pyro4", "Pyro4"), ("stock Pyro5", "Pyro5")],
)
def test_nothing_is_wrong_with_a_name_server_of_any_kind(
    kind: str, speaks: str, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers
) -> None:
    server = {"pyronym": serve, "stock Pyro4": serve_stock4, "stock Pyro5": serve_stock5}[kind]()
    status, findings = doctor(server.location)
    assert (status, errors(findings)) == (0, [])
    assert told(findings, "port") == [f"{server.location} takes connections"]
    assert told(findings, "protocol") == [f"the name server at {server.location} speaks {speaks}"]
    assert told(findings, "names") == ["the objects of 0 names are alive"]


def test_a_key_is_missing_superfluous_or_another_one(serve: NameServers, serve_stock4: NameServers) -> None:
    locked, stock, free = serve(env={"PYRO_HMAC_KEY": "secret"}), serve_stock4(key="secret"), serve()
    for server in (locked, stock):
        error = the_error(server.location)
        assert (error["check"], error["text"]) == ("hmac", f"{server.location} wants an HMAC key, and we have none")
        error = the_error(server.location, env={"PYRO_HMAC_KEY": "wrong"})
        assert (error["check"], error["text"]) == ("hmac", f"{server.location} has another HMAC key than we")
        assert doctor(server.location, env={"PYRO_HMAC_KEY": "secret"})[0] == 0
    error = the_error(free.location, env={"PYRO_HMAC_KEY": "secret"})
    assert (error["check"], error["text"]) == ("hmac", f"{free.location} has no HMAC key, and we have one")


def test_tls_is_told_apart_from_keys_and_from_wrong_certificates(
    serve: NameServers, certificates: Certificates
) -> None:
    path = certificates.path
    encrypted = serve(
        *("--tls-cert", path("server.pem"), "--tls-key", path("server.key")),
        *("--tls-ca", path("ca.pem"), "--tls-require-client-cert"),
    )
    place = f"localhost:{encrypted.port}"
    for env in ({}, {"PYRO_HMAC_KEY": "secret"}):
        error = the_error(place, env=env)
        assert (error["check"], error["text"]) == ("tls", f"{place} speaks TLS, and we do not")
    assert "SSL_CACERTS must hold the CA" in the_error(place, "--tls")["text"]
    assert "wants a client certificate" in the_error(place, "--tls-ca", path("ca.pem"))["text"]
    shown = ["--tls-ca", path("ca.pem"), "--tls-cert", path("client.pem"), "--tls-key", path("client.key")]
    status, findings = doctor(place, *shown)
    assert status == 0
    assert told(findings, "protocol") == [f"the name server at {place} speaks Pyro4 and Pyro5, with TLS"]
    plain = serve()
    error = the_error(f"localhost:{plain.port}", "--tls")
    assert (error["check"], error["text"]) == ("tls", f"localhost:{plain.port} does not speak TLS, and we do")


def test_what_is_no_name_server_is_told(stock4_daemon: StockDaemons, tmp_path: Path) -> None:
    assert the_error("127.0.0.1:1")["text"] == "127.0.0.1:1: nothing listens there"
    assert the_error(f"./u:{tmp_path}/ns.sock")["text"] == f"./u:{tmp_path}/ns.sock: nothing listens there"
    assert the_error("nowhere.invalid")["check"] == "host"
    with web_server() as place:
        assert the_error(place)["text"] == f"{place} speaks HTTP: it is no name server"
        assert the_error(place, "--tls")["text"] == f"{place} does not speak TLS, and we do"
    with listening(b"SSH-2.0-x\r\n") as place:
        assert the_error(place)["text"] == f"{place} is no Pyro daemon: it says b'SSH-2.0-x\\r\\n'"
    with listening() as place:
        assert the_error(place, "--timeout", "0.3")["text"] == f"{place} takes connections and says nothing"
    place = stock4_daemon()["echo"].partition("@")[2]
    assert the_error(place)["text"] == f"{place} is a Pyro daemon, but not that of a name server"


def test_a_stopped_name_server_is_one_that_says_nothing(serve: NameServers) -> None:
    server = serve()
    server.process.signal(signal.SIGSTOP)
    error = the_error(server.location, "--timeout", "0.3")
    server.process.signal(signal.SIGCONT)
    assert error["text"] == f"{server.location} takes connections and says nothing"


def test_each_node_is_looked_at(serve: NameServers) -> None:
    server = serve()
    status, findings = doctor(f"127.0.0.1:1,{server.location}")
    assert (status, errors(findings)) == (1, [("port", "127.0.0.1:1: nothing listens there")])
    assert told(findings, "names") == ["the objects of 0 names are alive"]


@pytest.mark.parametrize(
    ("location", "near", "far"),
    [
        ("0.0.0.0:1", Address.ANY, Address.ANY),
        ("[::]:1", Address.ANY, Address.ANY),
        ("localhost:1", Address.ALSO_HERE, Address.HERE),
        ("127.0.1.1:1", Address.ALSO_HERE, Address.HERE),
        ("[::1]:1", Address.ALSO_HERE, Address.HERE),
        ("./u:/tmp/x", Address.ALSO_HERE, Address.HERE),
        ("169.254.7.7:1", Address.LINK, Address.LINK),
        ("[fe80::1%eth0]:1", Address.LINK, Address.LINK),
        ("172.17.0.2:1", Address.CONTAINER, Address.CONTAINER),
        ("0123456789ab:1", Address.CONTAINER, Address.CONTAINER),
        ("host.docker.internal:1", Address.CONTAINER, Address.CONTAINER),
        ("10.0.0.7:1", None, None),
        ("[2001:db8::7]:1", None, None),
        ("camera.lab.example:1", None, None),
    ],
)
def test_addresses_that_others_cannot_reach_are_known(location: str, near: Address | None, far: Address | None) -> None:
    uri = URI(f"PYRO:o@{location}")
    assert (trouble_with(uri, near=True), trouble_with(uri, near=False)) == (near, far)


def test_names_that_lead_to_nothing_are_told_with_the_reason(serve: NameServers, stock5_daemon: StockDaemons) -> None:
    server = serve()
    echo = URI(stock5_daemon()["echo"])
    with locateNS(server.location) as names:
        names.register("alive", echo)
        names.register("leased", echo, lease=60)
        names.register("gone", "PYRO:o@127.0.0.1:1")
        names.register("other", f"PYRO:unknown@{echo.location}")
        names.register("nowhere", "PYRO:o@nowhere.invalid:1")
        names.register("everywhere", "PYRO:o@0.0.0.0:1")
        names.register("another", "PYRONAME:alive")
    status, findings = doctor(server.location)
    assert status == 1
    cures = {
        finding["text"].rpartition(": ")[2]: finding["cure"] for finding in findings if finding["check"] == "names"
    }
    assert cures["gone"].startswith("start their programs")
    assert cures["other"].startswith("have the programs that run there register their objects again")
    assert told(findings, "addresses") == [
        "4 of the names can be reached on this machine only, as the name server: alive, gone, leased, other",
        "1 of the names have an address that means all interfaces and leads nowhere from another machine: everywhere",
        "1 of the names have a host that is not known here: nowhere",
    ]
    assert sorted(told(findings, "names")) == [
        "1 of the names lead to nothing (Connection refused): gone",
        "1 of the names lead to nothing (its daemon does not know the object): other",
        "the objects of 2 names are alive",
    ]


def test_without_a_place_the_own_machine_comes_before_those_that_answer(serve: NameServers) -> None:
    server = serve()
    where = {"PYRO_NS_HOST": server.host, "PYRO_NS_PORT": str(server.port)}
    done = run([PYRONYM, "doctor"], env={**QUIET, **where})
    assert done.status == 0
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert ["ok", "port", f"{server.location} takes connections", "-"] in lines
    assert [line[:2] for line in lines if line[0] == "warning"] == [["warning", "discovery"]]


def test_a_search_that_asks_nobody_is_told(serve: NameServers) -> None:
    _, findings = doctor(serve().location)
    (text,) = told(findings, "discovery")
    assert text.startswith("PYRO_BROADCAST_ADDRS is empty: programs started from here find a name server only if")


def test_few_descriptors_are_a_warning(serve: NameServers) -> None:
    server = serve()
    done = run(["bash", "-c", f"ulimit -n 200; {PYRONYM} doctor --ns {server.location}"], env=QUIET)
    assert done.status == 0
    assert "warning\tdescriptors\tprograms started from here may have 200 files and connections\t" in done.stdout
    assert "ulimit -n 200" in done.stdout


@expose
class Teller:
    """A name server of other times and places: it tells of itself what a test wants."""

    def __init__(self, *versions: str, **status: object) -> None:
        self._versions = versions
        storage = {"description": "etcd://h1:2379/lab", "trouble": None, "commits": 0, "longest": 0.0}
        self._status = {"storage": storage, "stale_since": None, "descriptors": 1024, "connections": 1, **status}

    def nodes(self) -> list[dict[str, str]]:
        return [{"version": number} for number in self._versions]

    def status(self) -> dict[str, object]:
        return self._status

    def list(self, prefix: str, return_metadata: bool) -> dict[str, object]:
        return {}


def doctor_of(teller: Teller) -> Findings:
    with serving(Daemon(host="127.0.0.1")) as daemon:
        daemon.register(teller, "Pyro.NameServer")
        return doctor(str(daemon.uriFor("Pyro.NameServer").location))[1]


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (["0.0.1", "0.0.2", "0.0.1"], "the nodes of the name server have several versions of pyronym: 0.0.1, 0.0.2"),
        (["0.0.1", "0.0.1"], f"the name server has pyronym 0.0.1, this command is of {version('pyronym')}"),
    ],
)
def test_peers_of_other_versions_are_told(versions: Sequence[str], words: str) -> None:
    (finding,) = (finding for finding in doctor_of(Teller(*versions)) if finding["check"] == "version")
    assert (finding["level"], finding["text"]) == ("warning", words)
    assert "pip install --upgrade pyronym" in finding["cure"]


def test_a_node_that_is_stale_is_told_with_the_reason() -> None:
    findings = doctor_of(Teller(version("pyronym"), stale_since=0.0, stale_reason="etcd is away"))
    ((check, text),) = errors(findings)
    assert check == "storage"
    assert re.fullmatch(r"answers may be out of date since 19(70|69)-.*: etcd is away", text)
    assert told(findings, "version") == [f"pyronym {version('pyronym')}, here and there; nodes: 1"]


HURRIED = """
from pyronym.cli import main, reachability
reachability.TOTAL_SECONDS = 0.3
main.main(["doctor", "--json"])
"""


def test_what_was_not_found_out_in_time_is_told(serve: NameServers) -> None:
    server = serve()
    with listening() as place, locateNS(server.location) as names:
        names.register("silent", f"PYRO:o@{place}")
        done = run([sys.executable, "-c", HURRIED], env={**QUIET, "PYRO_NS_HOST": server.location})
    (finding,) = (finding for finding in json.loads(done.stdout) if "was not found out" in finding["text"])
    assert finding["text"] == "of 1 names it was not found out within 0.3 s whether they are alive"
    assert finding["level"] == "warning"


def test_a_storage_that_takes_no_changes_is_told(serve: NameServers, tmp_path: Path) -> None:
    server = serve(storage=f"sql:{tmp_path}/names.sqlite")
    (text,) = told(doctor(server.location)[1], "storage")
    assert text.startswith(f"changes are stored in sql:{tmp_path}/names.sqlite")
    (tmp_path / "names.sqlite").unlink()
    with locateNS(server.location) as names, pytest.raises(NamingError):
        names.register("a", "PYRO:o@10.0.0.7:1")
    error = the_error(server.location)
    assert error["check"] == "storage"
    assert re.match(r"no change is stored since \d{4}-.*/names\.sqlite", error["text"])


def test_a_name_server_that_runs_out_of_descriptors_is_told() -> None:
    few = ["bash", "-c", 'ulimit -n 300; exec "$0" serve "$@"', PYRONYM]
    servers = NameServers(few)
    with stopping(servers.processes), ExitStack() as stack:
        server = servers()
        for _ in range(int((300 - RESERVED_DESCRIPTORS) * NEARLY)):
            stack.enter_context(socket.create_connection(server.address))
        status, findings = doctor(server.location, "--timeout", "20")
        assert status == 1
        (text,) = (text for check, text in errors(findings) if check == "descriptors")
        assert text.endswith("connections, and may have 300 files and connections")


def test_people_see_each_finding_with_its_cure_below(serve: NameServers) -> None:
    with on_terminal(PYRONYM, "doctor", "--ns", "127.0.0.1:1", columns=60, env=QUIET) as terminal:
        assert terminal.wait() == 1
    lines = terminal.text.splitlines()
    assert max(map(len, lines)) <= 60
    place = lines.index("error    127.0.0.1:1: nothing listens there")
    assert lines[place + 1].startswith("         -> start it, or correct host and port;")
