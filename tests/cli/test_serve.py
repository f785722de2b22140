"""What the serve command does to its process. The rest of its behaviour is in tests/interop/test_life_cycle.py."""

import os
import resource
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from fuzz.frames import Frame, greetings
from processes import PYRONYM, NameServer, NameServers, Process, run, stopping
from pyronym.client.locate import locate, locateNS
from pyronym.wire.message import PYRO4, MessageType
from tls_files import Certificates

LIMITED = """
import resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, min(hard, 1000)))
from pyronym.cli.main import main
main(["serve", "-n", "127.0.0.1", "-p", "0"])
"""


def test_the_limit_of_open_files_is_raised_and_that_is_logged() -> None:
    process = Process([sys.executable, "-c", LIMITED], env={"PYRO_LOGLEVEL": "INFO"})
    with stopping([process]):
        server = NameServer(process)
        process.wait_for_line(r"raised the limit of open files from 200 to 1000")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max open files            1000                 1000" in limits
        assert server.process.terminate() == 0


def memory(process: Process) -> float:
    """Resident, in megabytes."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def test_the_memory_that_large_calls_took_is_given_back(serve: NameServers) -> None:
    server = serve()
    greeting = next(frame for frame in greetings(PYRO4) if frame.name == "serpent")
    messages = greeting.wire(None) + lookup("n" * 15_000_000) + lookup("Pyro.NameServer")
    before = memory(server.process)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(server.address, 20)) for _ in range(2)]
        for client in clients:
            client.sendall(messages)
        for client in clients:
            answers = bytearray()
            while b"core.URI" not in answers[-70_000:]:  # in the answer to the second lookup
                part = client.recv(65536)
                assert part
                answers += part
    assert memory(server.process) - before < 6  # and above 100 where the C library keeps large blocks


def lookup(name: str) -> bytes:
    call = f"# serpent utf-8 python3.2\n('Pyro.NameServer','lookup',('{name}',),{{}})".encode()
    return Frame(PYRO4, MessageType.INVOKE, 1, 0, 7, b"", call).wire(None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tls-cert", "/nowhere/c.pem"], "cannot use /nowhere/c.pem for SSL_SERVERCERT: No such file or directory"),
        (["--tls-key", "k"], "--tls-key needs --tls-cert"),
        (["--tls-ca", "ca"], "the --tls options need --tls-cert"),
        (["--tls-require-client-cert"], "the --tls options need --tls-cert"),
        (["--tls-port", "0"], "TLS needs a certificate: set SSL_SERVERCERT to its file"),
        (["--tls-cert", "c", "--tls-require-client-cert"], "SSL_REQUIRECLIENTCERT needs SSL_CACERTS"),
        (["--tls-cert", "c", "-u", "s.sock"], "a Unix socket speaks no TLS"),
    ],
)
def test_wrong_tls_options_are_one_line_and_exit_status_2(options: list[str], words: str, tmp_path: Path) -> None:
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", *options])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_the_password_of_the_key_comes_from_the_environment_and_is_not_shown(
    certificates: Certificates, tmp_path: Path
) -> None:
    key = serialization.load_pem_private_key(Path(certificates.path("server.key")).read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"sesame")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    (tmp_path / "key").write_bytes(key.private_bytes(*form))
    command = [PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "--tls-cert", certificates.path("server.pem")]
    command += ["--tls-key", str(tmp_path / "key")]
    for password, words in (("", "SSL_SERVERKEYPASSWD to its password"), ("sesam", "it cannot be decrypted")):
        done = run(command, env={"PYRO_SSL_SERVERKEYPASSWD": password, "PYRO_LOGLEVEL": "DEBUG"})
        assert (done.status, words in done.stderr, "sesam" in done.stderr) == (2, True, False)
    process = Process(command, env={"PYRO_SSL_SERVERKEYPASSWD": "sesame", "PYRO_LOGLEVEL": "DEBUG"})
    with stopping([process]):
        server = NameServer(process)
        with locate(server.host, server.port, settings=certificates.nameless()) as nameserver:
            nameserver.ping()
        assert process.terminate() == 0
        assert "sesame" not in process.output


def test_it_listens_on_all_hosts_that_are_given_and_says_so(serve: NameServers) -> None:
    server = serve("-n", "[::1]:0", "-n", "127.0.0.2")
    ports = [server.process.wait_for_line(rf"^another URI = PYRO:Pyro.NameServer@{host}:(\d+)$")[1] for host in OTHERS]
    lines = [line for line in server.process.lines if line.startswith("NS running")]
    assert lines == [
        f"NS running on 127.0.0.1:{server.port} (127.0.0.1)",
        f"NS running on [::1]:{ports[0]} (::1)",
        f"NS running on 127.0.0.2:{ports[1]} (127.0.0.2)",
    ]
    for host, port in (server.address, ("::1", int(ports[0])), ("127.0.0.2", int(ports[1]))):
        with locateNS(host, port) as nameserver:
            assert nameserver.lookup("Pyro.NameServer") == nameserver._pyroUri


OTHERS = (r"\[::1]", "127.0.0.2")


def test_tls_has_its_port_on_each_host(serve: NameServers, certificates: Certificates) -> None:
    environment = {"PYRO_SSL_SERVERCERT": certificates.path("server.pem")}
    environment["PYRO_SSL_SERVERKEY"] = certificates.path("server.key")
    server = serve("-n", "localhost:0", "--tls-port", "0", host="127.0.0.3", env=environment)
    found = server.process.wait_for_line(r"^URI with TLS = PYRO:Pyro.NameServer@127.0.0.3:(\d+)$")
    assert found
    assert server.host == "127.0.0.3"
    assert len(bound_addresses(server.process.pid)) == 4


def test_by_itself_it_can_only_be_reached_from_this_machine() -> None:
    process = Process([PYRONYM, "serve"], env={"PYRO_NS_PORT": "0"})  # the usual port may be taken
    with stopping([process]):
        NameServer(process)
        assert bound_addresses(process.pid) == ["0100007F"]
        assert process.terminate() == 0


def bound_addresses(pid: int) -> list[str]:
    """The addresses at which others can reach a process, by TCP and UDP, as the system writes them."""
    mine = inodes(pid)
    tables = [Path(f"/proc/{pid}/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6")]
    lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return [line[1].partition(":")[0] for line in lines if line[3] in ("0A", "07") and line[9] in mine]


def inodes(pid: int) -> set[str]:
    """The sockets of a process, as the system numbers them."""
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")}


@pytest.mark.parametrize("host", ["127.0.0.1:x", "[::1", "127.0.0.1,"])
def test_a_wrong_host_is_one_line_and_exit_status_2(host: str) -> None:
    done = run([PYRONYM, "serve", "-n", host])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "invalid host" in done.stderr
