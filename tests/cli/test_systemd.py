"""The serve command under systemd, and beside other programs that look after it. The tests play systemd's part."""

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from processes import PYRONYM, NameServer, NameServers, Process, run, stopping
from pyronym.client.locate import locate
from pyronym.settings import Settings
from tls_files import Certificates

CONTRIB = Path(__file__).resolve().parents[2] / "contrib" / "systemd"
ANALYZE = shutil.which("systemd-analyze")
NEEDS_SYSTEMD = pytest.mark.skipif(ANALYZE is None, reason="needs the program systemd-analyze (Debian package systemd)")

SERVE = [str(PYRONYM), "serve", "-n", "127.0.0.1", "-p", "0"]

Message = dict[str, str]


class Listener:
    """The end of NOTIFY_SOCKET at which systemd listens."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)

    def next(self, timeout: float = 20.0) -> Message:
        """The next message. TimeoutError if none comes."""
        self._socket.settimeout(timeout)
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())

    def next_with(self, key: str) -> Message:
        """The next message with a line of this kind."""
        while key not in (message := self.next()):
            pass
        return message

    def forget(self) -> None:
        """Drop what has come so far."""
        with suppress(BlockingIOError):
            while True:
                self.next(timeout=0.0)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with closing(Listener(str(tmp_path / "notify"))) as listener:
        yield listener


def test_systemd_is_told_when_the_server_is_ready_reloads_and_stops(
    serve: NameServers, listener: Listener, tmp_path: Path
) -> None:
    file = tmp_path / "pyronym.toml"
    file.write_text("")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server = serve("--config", str(file), env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    ready = {"READY": "1", "STATUS": f"serving 1 names at 127.0.0.1:{server.port}"}
    assert listener.next() == ready
    server.process.signal(signal.SIGHUP)
    reloading = listener.next()
    assert reloading.pop("RELOADING") == "1"
    assert before < int(reloading.pop("MONOTONIC_USEC")) < time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert reloading == {}
    assert listener.next() == ready
    server.process.terminate()
    assert listener.next() == {"STOPPING": "1", "STATUS": "stopping"}


def test_the_socket_of_systemd_may_have_an_abstract_name(serve: NameServers) -> None:
    name = f"pyronym-test-{os.getpid()}"
    with closing(Listener(f"\0{name}")) as listener:
        serve(env={"NOTIFY_SOCKET": f"@{name}"})
        assert listener.next()["READY"] == "1"


def test_a_socket_of_systemd_that_is_not_there_harms_nobody(serve: NameServers, tmp_path: Path) -> None:
    server = serve(env={"NOTIFY_SOCKET": str(tmp_path / "nothing")})
    server.process.wait_for_line("cannot tell systemd at NOTIFY_SOCKET: .*No such file")
    with locate(server.host, server.port, settings=Settings()) as nameserver:
        nameserver.ping()


STUCK = """
import signal, sys
from pyronym.cli.main import main
signal.signal(signal.SIGUSR1, lambda *_: (print("stuck", flush=True), signal.sigwait([signal.SIGUSR2])))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
main(sys.argv[1:])
"""
"""Runs a command; a signal makes the thread of its loop, and no other, wait for another signal."""


def test_a_loop_that_is_stuck_gives_no_sign_of_life(listener: Listener, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    process = Process([sys.executable, "-c", STUCK, *SERVE[1:]], env=environment)
    with stopping([process]):
        server = NameServer(process)
        for _ in range(3):
            assert listener.next_with("WATCHDOG")["STATUS"] == f"serving 1 names at 127.0.0.1:{server.port}"
        process.signal(signal.SIGUSR1)
        process.wait_for_line("^stuck$")
        listener.forget()
        with pytest.raises(TimeoutError):
            listener.next(timeout=1.0)
        process.signal(signal.SIGUSR2)
        assert listener.next_with("WATCHDOG")
        assert process.terminate() == 0


def test_a_watchdog_of_another_process_is_not_fed(serve: NameServers, listener: Listener, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000", "WATCHDOG_PID": "1"}
    server = serve(env=environment)
    assert "READY" in listener.next()
    with locate(server.host, server.port, settings=Settings()) as nameserver:
        nameserver.ping()
    server.process.terminate()
    assert "STOPPING" in listener.next()


ACTIVATED = """
import fcntl, os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
sockets = [fcntl.fcntl(int(descriptor), fcntl.F_DUPFD, 100) for descriptor in sys.argv[1].split(",")]
for number, descriptor in enumerate(sockets):
    os.dup2(descriptor, 3 + number)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Hands over sockets as systemd does: from descriptor 3 on, to the program that it becomes itself."""

Activate = Callable[..., Process]


@pytest.fixture
def activate() -> Iterator[Activate]:
    """Start a server with sockets; they have names if any are given."""
    processes: list[Process] = []

    def start(sockets: Sequence[socket.socket], *arguments: str, names: str | None = None) -> Process:
        descriptors = [sock.fileno() for sock in sockets]
        environment = {"LISTEN_FDS": str(len(sockets)), **({"LISTEN_FDNAMES": names} if names else {})}
        command = [sys.executable, "-c", ACTIVATED, ",".join(map(str, descriptors)), PYRONYM, "serve", *arguments]
        process = Process(command, env=environment, pass_fds=descriptors)
        processes.append(process)
        return process

    with stopping(processes):
        yield start


def test_it_listens_on_the_sockets_that_systemd_has_opened_and_on_no_others(activate: Activate) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("::1", 0), family=socket.AF_INET6)]
    server = NameServer(activate(sockets, "-n", "127.0.0.9", "-p", "1"))
    server.process.wait_for_line(r"^another URI = PYRO:Pyro.NameServer@\[::1]:\d+$")
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        sock.close()  # the server has its own
        with locate(host, port, settings=Settings()) as nameserver:
            assert nameserver.lookup("Pyro.NameServer").port == port
    assert len([line for line in server.process.lines if line.startswith("NS running on")]) == 2
    assert server.process.terminate() == 0


def test_a_unix_socket_of_systemd_keeps_its_file(activate: Activate, tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        server = NameServer(activate([sock]))
        with locate(f"./u:{path}", settings=Settings()) as nameserver:
            nameserver.ping()
        assert server.process.terminate() == 0
        assert os.path.exists(path)


def test_a_socket_with_the_name_tls_speaks_tls(activate: Activate, certificates: Certificates) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    server = NameServer(activate(sockets, *certificates.serve_options(), names="tls:pyronym"))
    secret, plain = (sock.getsockname()[:2] for sock in sockets)
    for sock in sockets:
        sock.close()  # the server has its own
    assert server.address == plain
    with locate(*plain, settings=Settings()) as nameserver:
        nameserver.ping()
    with locate(*secret, settings=certificates.nameless()) as nameserver:
        assert nameserver.lookup("Pyro.NameServer").port == secret[1]
    assert server.process.terminate() == 0


def test_sockets_for_another_process_are_left_alone(serve: NameServers) -> None:
    serve(env={"LISTEN_PID": "1", "LISTEN_FDS": "1"})


def test_a_socket_that_does_not_listen_is_refused(activate: Activate) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        process = activate([sock], names="wrong")
        assert process.wait() == 2
        assert process.lines == [
            "pyronym: error: socket 'wrong' of systemd does not listen (expected ListenStream= and Accept=no)"
        ]


@NEEDS_SYSTEMD
def test_the_units_are_right_and_expose_little(tmp_path: Path) -> None:
    assert ANALYZE is not None
    for unit in CONTRIB.iterdir():  # the program is elsewhere here
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/pyronym", str(PYRONYM)))
    units = sorted(str(path) for path in tmp_path.iterdir())
    assert [Path(unit).name for unit in units] == ["pyronym.service", "pyronym.socket"]
    done = run([ANALYZE, "verify", *units])
    assert (done.status, done.stdout + done.stderr) == (0, "")
    # "20" is 2.0 of 10, where systemd says OK; services that say nothing of it have 9.6.
    done = run([ANALYZE, "security", "--offline=true", "--threshold=20", "--no-pager", units[0]])
    assert done.status == 0, done.stdout + done.stderr


def test_the_command_of_the_unit_is_understood(tmp_path: Path) -> None:
    unit = (CONTRIB / "pyronym.service").read_text()
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    (tmp_path / "pyronym.toml").write_text("port = 9\n")
    words = command.removeprefix("ExecStart=/usr/bin/pyronym ").replace("/etc/pyronym", str(tmp_path)).split()
    assert "port = 9  # " in run([PYRONYM, *words, "--show-config"]).stdout


def test_the_process_id_is_in_its_file_while_the_server_runs(serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    server = serve("--pid-file", str(path))
    assert path.read_text() == f"{server.process.pid}\n"
    server.process.terminate()
    assert not path.exists()


def test_the_file_is_left_alone_that_has_the_id_of_another_process_at_the_end(
    serve: NameServers, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    server = serve("--pid-file", str(path))
    path.write_text("1\n")
    server.process.terminate()
    assert path.read_text() == "1\n"


def test_the_file_of_a_process_that_was_killed_is_overwritten(serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    killed = serve("--pid-file", str(path)).process
    killed.kill()
    assert path.read_text() == f"{killed.pid}\n"
    server = serve("--pid-file", str(path))
    assert path.read_text() == f"{server.process.pid}\n"


def test_the_file_of_a_living_process_is_refused_and_left_alone(serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    server = serve("--pid-file", str(path))
    done = run([*SERVE, "--pid-file", path])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{path}: process {server.process.pid} is running (end it, or" in done.stderr
    assert path.read_text() == f"{server.process.pid}\n"


def test_a_pid_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = run([*SERVE, "--pid-file", tmp_path / "no" / "pid"])
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("pyronym: error: [Errno 2] No such file or directory")
