"""Regular expressions that never end stall nobody: they are stopped, and their clients are told so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from asking import ask
from rawwire import RawPeer, call_message

from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy
from pyronym.errors import SlowPatternError

BUDGET = 0.5
"""Seconds. The hostile searches run four at a time, each as long as it is allowed to."""
STALL = 0.4
"""Seconds in which every other call must be answered: without protection the wait for it has no end."""
TRAP = "a" * 37 + "!"
HOSTILE = ["(a+)+$", "(a|aa)+$", "(.*)*x", r"(\w+\s?)+$", "(a*)*b", r"(?:a|a)+(a)\1$", "(?=(a|aa)+$)", "(a?){40}a{40}"]
EVERY_DIALECT = pytest.mark.parametrize("dialect", [4, 5])


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    servers = NameServers([PYRONYM, "serve"], {"PYRO_REGEX_TIMEOUT": str(BUDGET)})
    with stopping(servers.processes):
        server = servers()
        with Proxy(server.uri) as nameserver:
            nameserver.register(TRAP, "PYRO:trap@host:1", metadata=["kept"])
            nameserver.register("lab.camera", "PYRO:camera@host:1")
        yield server
        with Proxy(server.uri) as nameserver:
            assert sorted(nameserver.list()) == ["Pyro.NameServer", TRAP, "lab.camera"]
        assert server.process.terminate() == 0, server.process.output


class Bystander:
    """Somebody who looks names up, registers them, and lists them, one call after the other, all the time."""

    def __init__(self, server: NameServer, dialect: int) -> None:
        self._peer = RawPeer(server.address, dialect)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self.waits: list[float] = []

    def __enter__(self) -> Bystander:
        self._peer.shake_hands()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._peer.socket.close()

    def _call(self) -> None:
        calls = [
            ("lookup", "lab.camera"),
            ("register", "lab.camera", "PYRO:camera@host:1"),
            ("list", "lab."),
            ("list", None, r"lab\..*"),
        ]
        while not self._over.is_set():
            for call in calls:
                begun = time.perf_counter()
                self._peer.call(*call)
                self.waits.append(time.perf_counter() - begun)


@EVERY_DIALECT
@pytest.mark.parametrize("method", ["list", "remove"])
def test_searches_that_never_end_are_stopped_and_nobody_else_waits(
    dialect: int, method: str, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    stubborn = ["(a|aa)+$", "(a|a)*$", r"(?:\w|a)+(?:a|aa)+$"]
    lines = [f"ns.{method}(regex={pattern!r})" for pattern in stubborn]
    answers: list[list[str]] = []
    attackers = [threading.Thread(target=lambda: answers.append(ask(python, server.uri, *lines))) for _ in range(4)]
    with Bystander(server, 5) as bystander:
        for attacker in attackers:
            attacker.start()
        for attacker in attackers:
            attacker.join()
    assert max(bystander.waits) < STALL
    assert len(bystander.waits) > 100
    assert len(answers) == 4
    for answer in answers:
        for pattern, told in zip(stubborn, answer, strict=True):
            assert told.startswith(f"!! Pyro{dialect}.errors.NamingError("), told
            assert told.endswith(" with remote traceback")
            assert "regex takes too long: " in told
            assert pattern[:3] in told
            assert "s (use a prefix" in told or "s, because others' patterns take long (try again later" in told


@EVERY_DIALECT
def test_what_is_known_to_stop_the_stock_servers_is_answered(
    dialect: int, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    for told in ask(python, server.uri, *(f"sorted(ns.list(regex={pattern!r}))" for pattern in HOSTILE)):
        assert told.startswith("[") or "regex takes too long: " in told, told


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a" * 1_000_000, r"it has 1000000 characters \(expected at most 1000\)"),
        ("((a|aa){1000}){1000}", "it repeats too much"),
        ("(?i)" + "[a-\uffff]" * 150, "its ranges of characters are too large"),
        ("(" * 400 + ")" * 400, "its groups are nested too deeply"),
    ],
    ids=["long", "repeats", "ranges", "nested"],
)
def test_patterns_that_are_too_large_are_refused(server: NameServer, pattern: str, words: str) -> None:
    with Bystander(server, 4) as bystander, Proxy(server.uri) as nameserver:
        for search in (nameserver.list, nameserver.remove):
            with pytest.raises(Exception, match=f"^invalid regex: {words}"):
                search(regex=pattern)
    assert max(bystander.waits) < STALL


def test_huge_repeats_that_cannot_go_wrong_are_answered(server: NameServer) -> None:
    with Proxy(server.uri) as nameserver:
        assert nameserver.list(regex="(((a{1000}){1000}){1000})") == {}


def test_our_own_client_is_told_the_class(server: NameServer) -> None:
    with (
        Proxy(server.uri) as nameserver,
        pytest.raises(SlowPatternError, match=r"'\(a\|aa\)\+\$' was stopped after 0\.5 s"),
    ):
        nameserver.list(regex="(a|aa)+$")


def test_long_lists_of_others_are_made_while_many_patterns_wait(server: NameServer) -> None:
    """Those that wait for their turn need no worker threads: there are 40 of these."""
    with Bystander(server, 4) as bystander, ExitStack() as peers:
        crowd = [peers.enter_context(RawPeer(server.address, 5)) for _ in range(60)]
        for peer in crowd:
            peer.shake_hands()
            peer.send(call_message(5, "list", None, "(a|aa)+$"))
        answers = [peer.receive() for peer in crowd]
    assert max(bystander.waits) < STALL
    assert {b"regex takes too long" in answer.data for answer in answers if answer} == {True}
    assert any(b"got no turn" in answer.data for answer in answers if answer)
