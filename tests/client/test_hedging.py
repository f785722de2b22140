"""Who is asked when an answer does not come, and when. On a network that only says what it was asked for."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pyronym.client.connection import Connection
from pyronym.client.deadline import ENDLESS, Deadline
from pyronym.client.hedging import PATIENCE, Race
from pyronym.client.network import run
from pyronym.client.nodes import HASTE
from pyronym.errors import ConnectionClosedError, TimeoutError
from pyronym.rpc.client import Result, Welcome
from pyronym.settings import Settings
from pyronym.uri import URI, name_servers_at

SETTINGS = Settings()
A, B, C = name_servers_at("127.0.0.1,127.0.0.2,127.0.0.3", 9090)
LATE = None
PART = "a part of the answer of the first"
UNREACHABLE = OSError("no way")


class FakeStream:
    """Takes part in a `FakeNetwork`."""

    family = int(socket.AF_INET)

    def __init__(self, network: FakeNetwork, host: str) -> None:
        self.host = host
        self._network = network

    async def exchange(self, session: Any, data: bytes, deadline: Deadline) -> Any:
        return Welcome("hello", None)

    async def ask(self, session: Any, data: bytes, deadline: Deadline) -> None:
        assert data == b"a call"
        self._network.steps.append(f"ask {self.host}")

    def heard(self) -> bool:
        return self.host == A.host and self._network.outcome == PART

    def close(self) -> None:
        self._network.open.remove(self.host)


class FakeNetwork:
    """Each wait for an answer ends with the next of `outcomes`: the host that answers, LATE, PART, or an exception."""

    def __init__(self, outcomes: list[Any], unreachable: Collection[URI] = ()) -> None:
        self.steps: list[str] = []
        self.open: list[str] = []
        self.outcome: Any = None
        self._outcomes = iter(outcomes)
        self._unreachable = [uri.host for uri in unreachable]

    def stream(self, host: str) -> FakeStream:
        self.open.append(host)
        return FakeStream(self, host)

    async def connect(self, sock: socket.socket, address: Any, *_: Any) -> FakeStream:
        sock.close()
        if address[0] in self._unreachable:
            self.steps.append(f"miss {address[0]}")
            raise UNREACHABLE
        return self.stream(address[0])

    async def first_answer(self, streams: Collection[FakeStream], seconds: float | None) -> Any:
        self.steps.append(f"wait {'on' if seconds is None else seconds}")
        self.outcome = outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        for stream in streams:
            if isinstance(outcome, URI) and stream.host == outcome.host:
                return stream, Result(outcome.host, False)
        return None


def answered(network: FakeNetwork, *others: URI) -> str:
    """The host of the connection that the answer came by, which is the one that is left."""
    session: Any = None
    connection: Any = Connection(A, network.stream(str(A.host)), session)
    fake: Any = network
    found, answer = run(Race(fake, lambda _: b"a call", SETTINGS, None, ENDLESS).run(connection, others))
    assert isinstance(answer, Result)
    assert network.open == [answer.value] == [found.uri.host]
    return str(answer.value)


@contextmanager
def raising(kind: type[Exception], network: FakeNetwork) -> Iterator[pytest.ExceptionInfo[Exception]]:
    with pytest.raises(kind) as caught:
        yield caught
    assert network.open == []


def test_a_node_that_answers_is_the_only_one_that_is_asked() -> None:
    network = FakeNetwork([A])
    assert answered(network, B, C) == A.host
    assert network.steps == ["ask 127.0.0.1", f"wait {HASTE}"]


def test_as_long_as_there_is_no_answer_another_node_is_asked_at_each_turn() -> None:
    network = FakeNetwork([LATE, LATE, C])
    assert answered(network, B, C) == C.host
    turns = [f"ask 127.0.0.1|wait {HASTE}", f"ask 127.0.0.2|wait {HASTE}", "ask 127.0.0.3|wait on"]
    assert network.steps == "|".join(turns).split("|")


@pytest.mark.parametrize("outcomes", [[LATE, A], [LATE, LATE, A]])
def test_the_first_answer_counts_whoever_gives_it(outcomes: list[Any]) -> None:
    assert answered(FakeNetwork(outcomes), B, C) == A.host


def test_a_node_that_cannot_be_reached_is_passed_over_without_a_turn() -> None:
    network = FakeNetwork([LATE, LATE, C], unreachable=[B])
    assert answered(network, B, C) == C.host
    assert network.steps == [
        *("ask 127.0.0.1", f"wait {HASTE}"),
        *("miss 127.0.0.2", "wait 0.0"),
        *("ask 127.0.0.3", f"wait {2 * HASTE}"),
    ]


def test_all_are_waited_for_until_the_deadline_when_nobody_answers() -> None:
    network = FakeNetwork([LATE, LATE, LATE, LATE, TimeoutError("the deadline has passed")])
    with raising(TimeoutError, network) as caught:
        answered(network, B, C)
    assert str(caught.value) == (
        "receiving: timeout: no answer from 127.0.0.1:9090, 127.0.0.2:9090, 127.0.0.3:9090 in time"
    )
    assert network.steps[-3:] == ["wait on", "wait on", "wait on"]


def test_those_that_could_not_be_reached_are_tried_again_and_again_with_twice_the_time() -> None:
    network = FakeNetwork([*[LATE] * 6, A], unreachable=[B, C])
    assert answered(network, B, C) == A.host
    rounds = [f"wait {patience}|miss 127.0.0.2|wait 0.0|miss 127.0.0.3" for patience in (HASTE, 2 * HASTE, 4 * HASTE)]
    assert network.steps == ["ask 127.0.0.1", *"|".join(rounds).split("|"), f"wait {8 * HASTE}"]


def test_they_are_tried_again_every_few_seconds_in_the_end() -> None:
    network = FakeNetwork([*[LATE] * 16, A], unreachable=[B])
    assert answered(network, B) == A.host
    assert [step for step in network.steps if step.startswith("wait")][-2:] == [f"wait {PATIENCE}"] * 2


def test_no_other_node_is_asked_while_an_answer_is_arriving() -> None:
    network = FakeNetwork([PART, PART, LATE, PART, A])
    assert answered(network, B, C) == A.host
    waits = [f"wait {HASTE}"] * 3
    assert network.steps == ["ask 127.0.0.1", *waits, "ask 127.0.0.2", *waits[:2]]


@pytest.mark.parametrize("lost_at", range(3))
def test_nothing_stays_open_when_all_that_were_asked_get_lost(lost_at: int) -> None:
    network = FakeNetwork([*[LATE] * lost_at, ConnectionClosedError("lost")])
    with raising(ConnectionClosedError, network):
        answered(network, B, C)
