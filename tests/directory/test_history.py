"""What is remembered for those who have missed something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.directory import history as module
from pyronym.directory.directory import Directory
from pyronym.directory.history import History
from pyronym.directory.record import EXPIRED, REGISTERED, REMOVED, UPDATED, Change, Event, Record


def event(revision, name="n", uri="PYRO:o@h:1"):
    return Event(revision, REGISTERED, Record(name, uri))


def revisions(history, since):
    found = history.since(since)
    return None if found is None else [event.revision for event in found]


@given(st.lists(st.integers(1, 5), max_size=60), st.integers(1, 10))
def test_what_is_told_is_all_that_came_after_or_that_this_is_not_known(gaps, most):
    history, all_revisions, revision = History(100, most), [], 100
    for gap in gaps:
        revision += gap
        history.extend([event(revision)])
        all_revisions.append(revision)
    assert len(history) <= 2 * most
    for since in range(95, revision + 2):
        told = revisions(history, since)
        if told is not None:
            assert told == [one for one in all_revisions if one > since]
    if all_revisions:
        kept = min(most, len(all_revisions))
        assert revisions(history, all_revisions[-kept] - 1) is not None


def test_nothing_is_known_of_the_time_before_it_began():
    history = History(100, 10)
    assert revisions(history, 100) == []
    assert revisions(history, 99) is None


def test_text_is_limited_too(monkeypatch):
    monkeypatch.setattr(module, "MAX_TEXT", 1000)
    history = History(0, 1_000_000)
    for revision in range(1, 100):
        history.extend([event(revision, uri="u" * 100)])
        assert sum(len(one.record.uri) for one in history.since(history._begin)) <= 1000
    assert revisions(history, 98) == [99]
    history.extend([event(100, uri="u" * 5000)])
    assert revisions(history, 100) == []
    assert revisions(history, 99) is None


@pytest.mark.parametrize("expired", [False, True])
def test_events_say_what_has_become_of_the_names(expired):
    directory = Directory(revision=7)
    first, second = Record("a", "PYRO:1@h:1"), Record("a", "PYRO:2@h:1", frozenset({"t"}))
    assert directory.make([Change("a", first), Change("a", second), Change("gone", None)]) == [
        (8, REGISTERED, first),
        (9, UPDATED, second),
    ]
    staged = directory.stage([Change("a", None), Change("a", first)], expired=expired)
    assert directory.apply(staged) == [(11, EXPIRED if expired else REMOVED, second), (12, REGISTERED, first)]
    assert directory.revision == 12
