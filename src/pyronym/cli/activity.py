"""What went on in a name server between two looks at it, reckoned from what `status()` told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pyronym.cli.showing import plain
from pyronym.cli.table import Row
from pyronym.wire.message import PYRO4, PYRO5

PROTOCOLS: Final = {PYRO4: "Pyro4", PYRO5: "Pyro5"}
MOST_PREFIXES: Final = 8
MOST_COUNTED: Final = 200_000
"""From so many names on those with each prefix are not counted: to list them would keep the name server too long."""

Status = Mapping[str, Any]
"""As docs/operating.md says."""


class Look(NamedTuple):
    """One look at a name server."""

    moment: float
    """Seconds of a clock that never goes back."""
    took: float
    """Seconds until it had answered."""
    status: Status


class Calls(NamedTuple):
    """The calls of one method in one protocol, in a second."""

    method: str
    protocol: str
    rate: float
    failed: float
    """Of these, how many ended in an error."""
    seconds: float | None
    """How long one took in the mean, in both protocols; None: not known."""


class Activity(NamedTuple):
    """What went on. `status` is that of the later look, without what is reckoned here."""

    status: Status
    took: float
    seconds: float
    """Between the two looks; 0 if there is only one, as after a new start: then all rates are 0."""
    calls: list[Calls]
    """The most frequent first."""
    commits: float
    """Of the storage, in a second."""
    commit_seconds: float | None
    """How long one took in the mean; None if there was none."""
    offences: dict[str, int]
    """Those since the look before."""


def activity(before: Look | None, now: Look) -> Activity:
    """What went on between two looks; if they are at two processes, only what is there now counts."""
    if before is None or before.status["id"] != now.status["id"]:
        before = now
    seconds = now.moment - before.moment
    storage, stored = now.status["storage"], before.status["storage"]
    commits, spent = storage["commits"] - stored["commits"], storage["total"] - stored["total"]
    offences, offended = now.status.get("offences", {}), before.status.get("offences", {})
    return Activity(
        {item: value for item, value in now.status.items() if item not in ("requests", "latencies")},
        now.took,
        seconds,
        sorted(_calls(before.status, now.status, seconds), key=lambda calls: (-calls.rate, calls)),
        commits / seconds if seconds else 0.0,
        spent / commits if commits else None,
        {what: more for what, count in offences.items() if (more := count - offended.get(what, 0))},
    )


def _calls(before: Status, now: Status, seconds: float) -> Iterator[Calls]:
    already, counts = _by_result(before), _by_result(now)
    known, latencies = before.get("latencies", {}), now.get("latencies", {})
    nothing = {"calls": 0, "seconds": 0.0}
    for protocol, method in {(protocol, method) for protocol, method, _ in counts}:
        more = {key[2]: count - already[key] for key, count in counts.items() if key[:2] == (protocol, method)}
        total = sum(more.values())
        timed, earlier = latencies.get(method, nothing), known.get(method, nothing)
        number = timed["calls"] - earlier["calls"]
        took = (timed["seconds"] - earlier["seconds"]) / number if number > 0 else None
        if total and seconds:
            failed = (total - more.get("ok", 0)) / seconds
            yield Calls(method, PROTOCOLS.get(protocol, str(protocol)), total / seconds, failed, took)


def _by_result(status: Status) -> Counter[tuple[int, str, str]]:
    return Counter(
        {(one["protocol"], one["method"], one["result"]): one["count"] for one in status.get("requests", ())}
    )


def biggest(names: Iterable[str]) -> dict[str, int]:
    """The prefixes, up to the first dot, that most names have; the most frequent first."""
    counts = Counter(f"{head}{dot}" for head, dot, _ in (name.partition(".") for name in names) if dot)
    return dict(counts.most_common(MOST_PREFIXES))


def rows(now: Activity, prefixes: Mapping[str, int] | None) -> Iterator[Row]:
    """A table of two columns. `prefixes`: None, if there are too many names to count them."""
    status, storage = now.status, now.status["storage"]
    yield _row("name server", f"{status['address']}, pyronym {status['version']}, up {_time(status['uptime'] or 0.0)}")
    yield _row("answers in", _milliseconds(now.took))
    if status.get("loop_lag") is not None:
        yield _row("loop is late by", _milliseconds(status["loop_lag"]))
    yield _row("names", f"{status['records']}, revision {status['revision']}")
    yield _row("leases", str(status["leases"]))
    yield _row("watchers", str(status["watches"]))
    yield _row("connections", str(status.get("connections", 0)))
    for what, number in status.get("slow", {}).items():
        yield _row("slow clients", f"{number}: {what}", alarming=True)
    for what, more in now.offences.items():
        yield _row("stopped", f"{more} times: {what}", alarming=True)
    if trouble := storage["trouble"]:
        yield _row("storage", f"stores no changes: {trouble['reason']}", alarming=True)
    else:
        took = "" if now.commit_seconds is None else f", {_milliseconds(now.commit_seconds)} each"
        yield _row("storage", f"{storage['description']}, {now.commits:.1f} commits/s{took}")
    if status["stale_since"] is not None:
        yield _row("stale", str(status["stale_reason"]), alarming=True)
    for calls in now.calls:
        took = "" if calls.seconds is None else f", {_milliseconds(calls.seconds)} each"
        failed = f", {calls.failed:.1f}/s failed" if calls.failed else ""
        yield _row(f"{calls.method} ({calls.protocol})", f"{calls.rate:.1f}/s{took}{failed}", alarming=calls.failed > 0)
    if prefixes is None:
        yield _row("prefixes", f"not counted from {MOST_COUNTED:,} names on")
    else:
        yield from (_row(f"names {prefix}*", str(number)) for prefix, number in prefixes.items())


def _row(item: str, value: str, *, alarming: bool = False) -> Row:
    return Row([plain(item), plain(value)], alarming)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"


def _time(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"
