"""The options that say where the name server is, the same for all commands; and how commands end."""

import signal
import sys
from pathlib import Path
from threading import Event

import pytest

from processes import PYRONYM, NameServers, run
from pyronym import Daemon, expose
from server.serving import serving
from tls_files import Certificates

ASKING = ["ls", "nodes", "ping", "watch"]


@pytest.mark.parametrize("command", ASKING)
def test_a_name_server_that_is_not_there_is_told_in_one_line_with_status_3(command: str) -> None:
    done = run([PYRONYM, command, "--ns", "127.0.0.1:1"])
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr.startswith("pyronym: error: Failed to locate the nameserver (tried 127.0.0.1:1: ")
    assert done.stderr.endswith("start one with pyronym serve, or say where it is with --ns HOST[:PORT]\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ns", "host:x"], "invalid port in uri, port=x"),
        (["--ns", "a,,b"], "invalid name servers: 'a,,b'"),
        (["--ns", "host:99999"], "invalid port in host:99999 (expected HOST:PORT, PORT from 1 to 65535)"),
        (["--ns", "a:1,[::1]:0"], "invalid port in [::1]:0 (expected"),
        (["--timeout", "0"], "0.0 is not in the range x>0"),
        (["--tls-key", "k.pem"], "--tls-key needs --tls-cert"),
        (["--nope"], "No such option"),
    ],
)
def test_wrong_options_are_told_in_one_line_with_status_2(options: list[str], words: str) -> None:
    done = run([PYRONYM, "lookup", "x", *options])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert "pyronym lookup --help" in done.stderr


@pytest.mark.parametrize("command", [["ls"], ["doctor"], ["rm", "x", "--yes"]])
def test_a_port_that_cannot_be_is_wrong_usage_of_every_command_and_variable(command: list[str]) -> None:
    done = run([PYRONYM, *command], env={"PYRO_NS_HOST": "host:99999"})
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "PYRO_NS_HOST: invalid port in host:99999 (expected HOST:PORT, PORT from 1 to 65535)" in done.stderr


def test_the_environment_says_where_it_is_and_the_option_comes_before_that(serve: NameServers) -> None:
    server = serve()
    host_and_port = {"PYRO_NS_HOST": server.host, "PYRO_NS_PORT": str(server.port)}
    for env in ({"PYRO_NS_HOST": server.location}, host_and_port):
        assert run([PYRONYM, "lookup", "Pyro.NameServer"], env=env).stdout == f"{server.uri}\n"
    elsewhere = {"PYRO_NS_HOST": "127.0.0.1:1"}
    assert run([PYRONYM, "lookup", "Pyro.NameServer"], env=elsewhere).status == 3
    found = run([PYRONYM, "lookup", "Pyro.NameServer", "--ns", server.location], env=elsewhere)
    assert found.stdout == f"{server.uri}\n"


def test_of_several_nodes_the_first_that_answers_is_asked(serve: NameServers) -> None:
    server = serve()
    done = run([PYRONYM, "lookup", "Pyro.NameServer", "--ns", f"127.0.0.1:1,{server.location}"])
    assert (done.status, done.stdout) == (0, f"{server.uri}\n")


def test_a_unix_socket_and_a_key_are_given_to_every_command(serve: NameServers, tmp_path: Path) -> None:
    serve(unixsocket=tmp_path / "ns.sock", env={"PYRO_HMAC_KEY": "secret"})
    where = ["--ns", f"./u:{tmp_path}/ns.sock"]
    for command in ("ls", "ping"):
        assert run([PYRONYM, command, *where]).status == 3
        assert run([PYRONYM, command, *where], env={"PYRO_HMAC_KEY": "secret"}).status == 0
    given = run([PYRONYM, "ls", *where, "-k", "secret"])
    assert given.status == 0
    assert "everyone on this machine can read a key given with -k" in given.stderr


def test_tls_is_spoken_with_a_certificate_of_ones_own(serve: NameServers, certificates: Certificates) -> None:
    folder = certificates.folder
    server = serve(
        *("--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key")),
        *("--tls-ca", str(folder / "ca.pem"), "--tls-require-client-cert"),
    )
    own = ["--tls-cert", str(folder / "client.pem"), "--tls-key", str(folder / "client.key")]
    trusting = [PYRONYM, "ls", "--ns", f"localhost:{server.port}", "--tls-ca", str(folder / "ca.pem")]
    assert run([*trusting, *own]).status == 0
    assert run(trusting).status == 3


def test_a_name_server_that_does_not_answer_is_given_up_in_time(serve: NameServers) -> None:
    server = serve()
    server.process.signal(signal.SIGSTOP)
    try:
        done = run([PYRONYM, "ls", "--ns", server.location, "--timeout", "0.3"], timeout=10)
        assert done.status == 3
    finally:
        server.process.signal(signal.SIGCONT)


@expose
class Strange:
    """A name server that says strange things about one name, and nothing about others."""

    def __init__(self) -> None:
        self.ended = Event()

    def lookup(self, name: str, return_metadata: bool) -> object:
        if name == "strange":
            raise LookupError("two\nlines\x1b[31m")
        return self.ended.wait()


def test_what_a_name_server_says_and_that_it_says_nothing_is_one_line() -> None:
    strange = Strange()
    with serving(Daemon(host="127.0.0.1")) as daemon:
        where = str(daemon.register(strange, "Pyro.NameServer").location)
        try:
            said = run([PYRONYM, "lookup", "strange", "--ns", where])
            silent = run([PYRONYM, "lookup", "silent", "--ns", where, "--timeout", "0.5"], timeout=20)
        finally:
            strange.ended.set()
    assert said.stderr == "pyronym: error: the name server says: LookupError: two lines\\x1b[31m\n"
    assert (said.status, said.stdout) == (1, "")
    assert (silent.status, silent.stderr.count("\n")) == (3, 1)


def test_the_help_tells_the_exit_statuses() -> None:
    told = run([PYRONYM, "--help"]).stdout
    for status in ("0    done", "1    failed", "2    wrong usage", "3    no name server", "130  ended by Ctrl-C"):
        assert status in told


LOADED = (
    "import sys; {}; print(sorted({{'click', 'rich', 'pyronym.server', 'pyronym.service.regexes'}} & set(sys.modules)))"
)


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import pyronym; pyronym.Proxy", []),
        ("import pyronym.cli.main, pyronym.cli.ls, pyronym.cli.change", ["click"]),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(statement: str, loaded: list[str]) -> None:
    done = run([sys.executable, "-c", LOADED.format(statement)])
    assert (done.stdout, done.stderr) == (f"{loaded}\n", "")
