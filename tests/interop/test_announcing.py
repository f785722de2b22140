"""Programs that announce names, and what becomes of these when programs and name servers come and go."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

import pyronym
from following import Changes
from processes import NameServer, NameServers, Process, stopping

PROGRAM = Path(__file__).with_name("announcer.py")
SHORT = 1.0
"""Seconds of a lease that a test waits for to end."""


class Announcers(Protocol):
    def __call__(self, host: str | int, *names: str, lease: float = ..., manner: str = ...) -> Process: ...


@pytest.fixture
def announcer() -> Iterator[Announcers]:
    """Start programs that announce names, and wait until these are registered."""
    processes: list[Process] = []

    def start(host: str | int, *names: str, lease: float = SHORT, manner: str = "with") -> Process:
        where = f"127.0.0.1:{host}" if isinstance(host, int) else host
        process = Process([sys.executable, PROGRAM, where, str(lease), manner, *names])
        processes.append(process)
        process.wait_for_line("^ready$")
        return process

    with stopping(processes):
        yield start


def uri_of(name: str, port: int) -> str:
    with pyronym.locateNS("127.0.0.1", port) as names:
        return str(names.lookup(name))


def restarted(serve: NameServers, server: NameServer, storage: str = "memory") -> None:
    server.process.kill()
    assert serve(storage=storage, port=server.port).port == server.port


@pytest.mark.parametrize(
    ("manner", "number", "status", "words"),
    [
        ("with", signal.SIGUSR2, 0, "interrupted"),
        ("with", signal.SIGUSR1, 1, "RuntimeError: something is wrong"),
        ("with", signal.SIGTERM, 3, "ended lab.a"),
        ("loose", signal.SIGUSR2, 0, "interrupted"),
        ("loose", signal.SIGUSR1, 1, "RuntimeError: something is wrong"),
        ("loose", signal.SIGTERM, 3, "ended lab.a"),
        ("aio", signal.SIGINT, 1, "KeyboardInterrupt"),
    ],
)
def test_a_program_that_ends_in_order_takes_its_names_with_it(
    serve: NameServers, announcer: Announcers, manner: str, number: int, status: int, words: str
) -> None:
    server = serve()
    program = announcer(server.port, "lab.a", "lab.b", lease=60, manner=manner)
    with Changes(server.port) as changes:
        program.signal(number)
        assert sorted(changes.wait_for(("removed", "lab.a"), ("removed", "lab.b"))) == [
            ("removed", "lab.a"),
            ("removed", "lab.b"),
        ]
    assert program.wait() == (-signal.SIGINT if number == signal.SIGINT else status)
    assert words in program.output


def test_the_names_of_a_killed_program_go_when_their_lease_ends(serve: NameServers, announcer: Announcers) -> None:
    server = serve()
    program = announcer(server.port, "lab.a")
    with Changes(server.port) as changes:
        assert changes.during(2 * SHORT) == []  # it is renewed
        program.kill()
        assert changes.wait_for(("expired", "lab.a")) == [("expired", "lab.a")]


def test_a_program_that_was_stopped_gets_its_name_back_by_itself(serve: NameServers, announcer: Announcers) -> None:
    server = serve()
    program = announcer(server.port, "lab.a")
    with Changes(server.port) as changes:
        program.signal(signal.SIGSTOP)
        assert changes.wait_for(("expired", "lab.a")) == [("expired", "lab.a")]
        program.signal(signal.SIGCONT)
        assert changes.wait_for(("registered", "lab.a")) == [("registered", "lab.a")]
    program.wait_for_line("^registered again lab.a")


def test_what_a_stopped_program_has_lost_to_another_it_does_not_take_back(
    serve: NameServers, announcer: Announcers
) -> None:
    server = serve()
    program = announcer(server.port, "lab.a", "lab.b")
    with Changes(server.port) as changes:
        program.signal(signal.SIGSTOP)
        changes.wait_for(("expired", "lab.a"), ("expired", "lab.b"))
        changes.names.register("lab.a", "PYRO:other@127.0.0.1:9")
        program.signal(signal.SIGCONT)
        changes.wait_for(("registered", "lab.b"))
    program.wait_for_line("^taken lab.a")
    program.wait_for_line("^registered again lab.b")
    assert "registered again lab.a" not in program.output
    assert uri_of("lab.a", server.port) == "PYRO:other@127.0.0.1:9"


def test_of_two_programs_that_announce_one_name_the_later_one_has_it(serve: NameServers, announcer: Announcers) -> None:
    server = serve()
    first = announcer(server.port, "lab.a", "lab.first")
    first_uri = uri_of("lab.a", server.port)
    announcer(server.port, "lab.a")
    first.wait_for_line("^taken lab.a")
    first.wait_for_line("^ended lab.a")
    second_uri = uri_of("lab.a", server.port)
    assert second_uri != first_uri
    with Changes(server.port) as changes:
        first.signal(signal.SIGTERM)
        assert changes.wait_for(("removed", "lab.first")) == [("removed", "lab.first")]
        assert first.wait() == 3
        assert changes.during(SHORT) == []
    assert uri_of("lab.a", server.port) == second_uri


def test_all_names_are_back_within_a_lease_when_a_name_server_in_memory_was_killed(
    serve: NameServers, announcer: Announcers
) -> None:
    lease = 3.0
    server = serve()
    names = [f"lab.{number}" for number in range(100)]
    for first in range(0, 100, 25):
        announcer(server.port, *names[first : first + 25], lease=lease)
    restarted(serve, server)
    begin = time.monotonic()
    with pyronym.locateNS("127.0.0.1", server.port) as found:
        revision = found.watch()["revision"]
        while (missing := set(names).difference(found.list(prefix="lab."))) and time.monotonic() - begin < lease:
            revision = found.watch("lab.", since=revision, timeout=lease)["revision"]
    assert not missing


def test_names_stay_when_a_name_server_on_sqlite_was_killed(
    serve: NameServers, announcer: Announcers, tmp_path: Path
) -> None:
    storage = f"sql:{tmp_path}/names.sqlite"
    server = serve(storage=storage)
    program = announcer(server.port, "lab.a", "lab.b", lease=1.0)
    restarted(serve, server, storage)
    with Changes(server.port) as changes:
        assert changes.during(2.0) == []
    assert "registered again" not in program.output
    program.kill()


def test_a_name_server_may_be_replaced_by_a_stock_one_and_back(
    serve: NameServers, serve_stock4: NameServers, announcer: Announcers
) -> None:
    server = serve()
    program = announcer(server.port, "lab.a")
    server.process.kill()
    stock = serve_stock4(port=server.port)
    program.wait_for_line("^registered again lab.a")
    assert "knows no leases: names of programs that die will stay" in program.output
    uri = uri_of("lab.a", server.port)
    stock.process.kill()
    seen = len(program.lines)
    assert serve(port=server.port).port == server.port
    program.wait_for_line("^registered again lab.a", since=seen)
    with Changes(server.port) as changes:
        assert str(changes.names.lookup("lab.a")) == uri
        program.kill()
        changes.wait_for(("expired", "lab.a"))


@pytest.mark.parametrize("which", ["serve_stock4", "serve_stock5"])
def test_a_stock_name_server_has_the_names_as_long_as_the_program_runs(
    request: pytest.FixtureRequest, announcer: Announcers, which: str
) -> None:
    server: NameServer = request.getfixturevalue(which)()
    program = announcer(server.port, "lab.a", "lab.b")
    with pyronym.locateNS("127.0.0.1", server.port) as names:
        names.remove("lab.a")
        program.wait_for_line("^registered again lab.a")
        names.register("lab.b", "PYRO:other@127.0.0.1:9")
        program.wait_for_line("^taken lab.b")
        program.terminate()
        assert set(names.list()) == {"Pyro.NameServer", "lab.b"}
    assert program.output.count("knows no leases") == 1


def test_when_a_node_dies_the_names_move_to_another(serve: NameServers, announcer: Announcers) -> None:
    first, second = serve(), serve()
    with Changes(second.port) as changes:
        program = announcer(f"127.0.0.1:{first.port},127.0.0.1:{second.port}", "lab.a")
        first.process.kill()
        changes.wait_for(("registered", "lab.a"))
    program.wait_for_line(f"^registered again lab.a 127.0.0.1:{second.port}$")


def test_a_forked_child_neither_renews_nor_removes_the_names(serve: NameServers, announcer: Announcers) -> None:
    server = serve()
    program = announcer(server.port, "lab.a", manner="fork")
    with Changes(server.port) as changes:
        assert changes.during(2 * SHORT) == []
        program.kill()
        assert changes.wait_for(("expired", "lab.a")) == [("expired", "lab.a")]
    assert "child: 1 thread" in program.output
    assert "registered again" not in program.output


def test_a_program_ends_though_the_name_server_does_not_answer(serve: NameServers, announcer: Announcers) -> None:
    server = serve()
    programs = [announcer(server.port, "lab.a", lease=60, manner=manner) for manner in ("loose", "with")]
    server.process.signal(signal.SIGSTOP)
    try:
        assert [program.terminate() for program in programs] == [3, 3]
    finally:
        server.process.signal(signal.SIGCONT)
