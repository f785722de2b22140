from __future__ import annotations

from itertools import count

from pyronym.service import chronicle
from pyronym.service.chronicle import Chronicle


def line(name: str, what: str = "register", outcome: str = "done", tags: tuple[str, ...] = ()) -> dict[str, object]:
    return {"who": "key:ops", "from": "10.0.0.1:5", "what": what, "outcome": outcome, "name": name, "tags": list(tags)}


def ticking(most: int) -> Chronicle:
    ticks = count(1)
    return Chronicle(most, lambda: float(next(ticks)))


def test_the_changes_of_a_name_are_told_the_newest_first():
    kept = ticking(10)
    for what in ("register", "set_metadata", "remove"):
        kept(line("a", what))
        kept(line("b", what))
    assert [(entry.what, entry.time) for entry in kept.of("a", 2)] == [("remove", 5.0), ("set_metadata", 3.0)]


def test_what_was_refused_or_has_failed_is_no_change():
    kept = ticking(10)
    kept(line("a", outcome="failed"))
    kept({"who": "anyone", "from": None, "what": "remove", "outcome": "denied", "prefix": "a", "why": "no"})
    assert kept.of("a", 10) == []


def test_the_oldest_changes_are_forgotten_where_there_are_too_many():
    kept = ticking(3)
    for name in "abcd":
        kept(line(name))
    assert [len(kept.of(name, 10)) for name in "abcd"] == [0, 1, 1, 1]


def test_the_oldest_changes_are_forgotten_where_they_have_too_much_text(monkeypatch):
    monkeypatch.setattr(chronicle, "MAX_TEXT", 100)
    kept = ticking(1000)
    kept(line("a", tags=("x" * 60,)))
    kept(line("b", tags=("x" * 30,)))
    assert [len(kept.of(name, 10)) for name in "ab"] == [1, 1]
    kept(line("c", tags=("x" * 30,)))
    assert [len(kept.of(name, 10)) for name in "abc"] == [0, 1, 1]
