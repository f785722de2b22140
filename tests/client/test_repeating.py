"""Which calls are made again after a failure, and at which node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pyronym.client.network import run
from pyronym.client.nodes import Nodes
from pyronym.client.repeating import READS, call_again, call_node
from pyronym.errors import (
    CommunicationError,
    ConnectionClosedError,
    NotSentError,
    StorageError,
    TimeoutError,
    UncertainError,
    UnchangedError,
)
from pyronym.rpc.client import Failure
from pyronym.uri import name_servers_at

CUT_OFF = Failure(UnchangedError("etcd"), ends_connection=False)
LOST, UNSENT, LATE = ConnectionClosedError("lost"), NotSentError("unsent"), TimeoutError("late")
A, B = name_servers_at("a,b", 1)


@dataclass
class FakeConnection:
    uri: object


def called(method: str, *outcomes: Any, nodes: Nodes | None = None) -> tuple[Any, list[object]]:
    """What a call comes to when it has these outcomes one after the other, and the nodes that were asked."""
    nodes = nodes or Nodes([A, B])
    asked: list[object] = []
    left: Iterator[Any] = iter(outcomes)

    async def connect() -> Any:
        return FakeConnection(nodes.in_order()[0])

    async def ask(connection: Any) -> Any:
        asked.append(connection.uri)
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    try:
        return run(call_node(connect, ask, [method], nodes)), asked
    except CommunicationError as problem:
        return problem, asked


def test_the_nodes_go_round() -> None:
    nodes = Nodes(name_servers_at("a,b,c", 1))
    first, second, third = nodes.in_order()
    nodes.is_gone(first)
    nodes.is_gone(first)  # as the next of several calls that it failed says, too
    assert nodes.in_order() == (second, third, first)
    nodes.answers(first)
    assert nodes.in_order() == (first, second, third)


@pytest.mark.parametrize("method", sorted(READS))
def test_reads_go_to_the_next_node(method: str) -> None:
    assert called(method, LOST, 1) == (1, [A, B])
    assert called(method, UNSENT, LOST, 1) == (1, [A, B, A])


def test_reads_end_when_all_nodes_are_lost() -> None:
    assert called("lookup", LOST, LOST, LOST) == (LOST, [A, B, A])


def test_a_read_that_is_late_is_not_made_again_because_its_time_is_over() -> None:
    assert called("lookup", LATE) == (LATE, [A])


@pytest.mark.parametrize("method", ["register", "set_metadata", "remove", "renew", "register_unique", "unheard_of"])
def test_changes_go_to_the_next_node_only_if_they_were_not_carried_out(method: str) -> None:
    assert called(method, UNSENT, 1) == (1, [A, B])
    for problem in (LOST, LATE):
        error, asked = called(method, problem)
        assert isinstance(error, UncertainError)
        assert error.method == method
        assert str(error).startswith(f"{method}: {problem}; the request had been sent, so whether it was carried out")
        assert error.__cause__ is problem
        assert asked == [A]


@pytest.mark.parametrize("method", ["register", "remove", "unheard_of"])
def test_what_a_node_cannot_change_now_goes_to_the_next_node_once(method: str) -> None:
    assert called(method, CUT_OFF, 1) == (1, [A, B])
    assert called(method, CUT_OFF, CUT_OFF) == (CUT_OFF, [A, B])
    assert called(method, UNSENT, UNSENT, CUT_OFF) == (CUT_OFF, [A, B, A])
    other = Failure(StorageError("half done in etcd"), ends_connection=False)
    assert called(method, other) == (other, [A])


def test_a_name_server_without_other_nodes_is_asked_once() -> None:
    assert called("register", CUT_OFF, nodes=Nodes([A])) == (CUT_OFF, [A])


def test_the_next_call_goes_to_yet_another_node() -> None:
    nodes = Nodes(name_servers_at("a,b,c", 1))
    first, second, third = nodes.in_order()
    called("register", CUT_OFF, CUT_OFF, nodes=nodes)
    assert nodes.in_order() == (third, first, second)


def test_what_to_do_about_an_uncertain_change_depends_on_it() -> None:
    words = {str(called(method, LOST)[0]).partition("not known")[2] for method in ("register", "remove", "other")}
    assert len(words) == 3


def test_a_call_is_made_again_as_often_as_allowed() -> None:
    outcomes: list[Exception] = [LOST, LATE, LOST]

    async def once() -> int:
        if outcomes:
            raise outcomes.pop(0)
        return 1

    with pytest.raises(TimeoutError):
        run(call_again(once, 1))
    assert run(call_again(once, 1)) == 1
