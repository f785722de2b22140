"""Following changes: what is asked for, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest

from pyronym.client.network import run
from pyronym.client.watching import Change, Entry, Event, Position, Reset, pauses
from pyronym.errors import ConnectionClosedError, NamingError, ProtocolError


def news(revision: int, *changes: dict[str, Any], reset: bool = False) -> dict[str, Any]:
    return {"revision": revision, "changes": list(changes), "reset": reset}


def change(revision: int, kind: str, name: str, uri: str | None = None, metadata: Any = ()) -> dict[str, Any]:
    return {"kind": kind, "name": name, "uri": uri, "metadata": list(metadata), "revision": revision}


class Script:
    """A name server that gives these answers; `calls` is what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, method: str, kwargs: Mapping[str, object]) -> Any:
        self.calls.append((method, dict(kwargs)))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def events(position: Position, *answers: Any) -> tuple[list[Event], list[tuple[str, dict[str, Any]]]]:
    script = Script(*answers)
    return run(position.next_events(script)), script.calls


def watch(since: int | None, timeout: float) -> tuple[str, dict[str, Any]]:
    return "watch", {"prefix": "lab.", "since": since, "timeout": timeout}


LIST = ("list", {"prefix": "lab.", "return_metadata": True})


def test_it_begins_with_all_names_at_one_revision() -> None:
    listing = {"lab.a": ("PYRO:a@h:1", ["x"]), "lab.b": ("PYRO:b@h:1", {"y"})}
    while_listing = change(6, "removed", "lab.b"), change(7, "registered", "lab.c", "PYRO:c@h:1", {"z"})
    position = Position("lab.", 30, True)
    found, calls = events(position, news(5), listing, news(7, *while_listing))
    assert calls == [watch(None, 0.0), LIST, watch(5, 0.0)]
    names = {"lab.a": Entry("PYRO:a@h:1", frozenset({"x"})), "lab.c": Entry("PYRO:c@h:1", frozenset({"z"}))}
    assert found == [Reset(names, 7)]
    assert events(position, news(7)) == ([], [watch(7, 30)])


def test_a_listing_across_a_restart_is_taken_anew() -> None:
    found, calls = events(Position("lab.", 30, True), news(5), {}, news(100, reset=True), news(100), {}, news(100))
    assert found == [Reset({}, 100)]
    assert len(calls) == 6


def test_without_a_listing_only_the_revision_is_asked_for() -> None:
    assert events(Position("lab.", 30, False), news(5)) == ([Reset({}, 5)], [watch(None, 0.0)])


def at(revision: int) -> Position:
    position = Position("lab.", 30, False)
    events(position, news(revision))
    return position


def test_changes_come_in_their_order_and_are_asked_for_once() -> None:
    position = at(5)
    registered = change(6, "registered", "lab.a", "PYRO:a@h:1", ["x"])
    found, calls = events(position, news(8, registered, change(8, "expired", "lab.a", "PYRO:a@h:1", ["x"])))
    assert calls == [watch(5, 30)]
    assert found == [
        Change("registered", "lab.a", "PYRO:a@h:1", frozenset({"x"}), 6),
        Change("expired", "lab.a", None, frozenset(), 8),
    ]
    assert events(position, news(8)) == ([], [watch(8, 30)])


def test_a_lost_connection_loses_no_change() -> None:
    position = at(5)
    with pytest.raises(ConnectionClosedError):
        events(position, ConnectionClosedError("lost"))
    _, calls = events(position, news(5))
    assert calls == [watch(5, 30)]


def test_a_reset_is_taken_up_again_where_it_was_interrupted() -> None:
    position = at(5)
    with pytest.raises(ConnectionClosedError):
        events(position, news(9, reset=True), ConnectionClosedError("lost"))
    found, _ = events(position, news(9))
    assert found == [Reset({}, 9)]


def test_events_keep_a_dict_right() -> None:
    names = {"lab.old": Entry("PYRO:old@h:1", frozenset())}
    Reset({"lab.a": Entry("PYRO:a@h:1", frozenset())}, 1).apply(names)
    Change("updated", "lab.a", "PYRO:a@h:2", frozenset({"x"}), 2).apply(names)
    Change("registered", "lab.b", "PYRO:b@h:1", frozenset(), 3).apply(names)
    Change("removed", "lab.b", None, frozenset(), 4).apply(names)
    Change("removed", "lab.never", None, frozenset(), 5).apply(names)
    assert names == {"lab.a": Entry("PYRO:a@h:2", frozenset({"x"}))}


def test_a_name_server_without_a_watch_is_an_error_that_says_so() -> None:
    with pytest.raises(NamingError, match="has no watch"):
        events(Position("", 30, True), AttributeError("remote object has no exposed method watch"))


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"revision": 1},
        {"revision": "1", "changes": [], "reset": False},
        news(1, {"kind": "registered"}),
        news(1, change(1, "exploded", "lab.a")),
        news(1, {**change(1, "removed", "lab.a"), "metadata": "text"}),
    ],
)
def test_answers_that_are_none_are_refused(answer: Any) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        events(at(0), answer)


def test_a_listing_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolError, match="expected a dict"):
        events(Position("lab.", 30, True), news(5), ["lab.a"])


def test_pauses_grow_up_to_a_bound() -> None:
    found = list(islice(pauses(), 12))
    assert 0 < found[0] <= 0.05
    assert all(2.5 <= pause <= 5 for pause in found[8:])
