"""Whether a history is one that the name server promises. Pure: it is given all, and says what is wrong with it.

etcd's own sequence of changes says what happened, and in which order; revisions are global, so all names are on one
line. Every registration has a URI of its own, which says which change is whose. What remains is to find out whether
each operation has a place on that line, between what was acknowledged before it was asked for and what was asked for
after it was answered. An operation whose outcome is unknown may have a place anywhere after it was asked for, or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import groupby
from typing import NamedTuple

from chaos.history import Answer, History, Operation, Outcome, Told
from chaos.timeline import FOREVER, Bounds, Moments, Order, Timeline


def violations(history: History, calm_until: float = FOREVER) -> list[str]:
    """Everything that must not be, in words. Until `calm_until`, a time, no fault lasts as long as etcd's leases."""
    timeline = Timeline(history.commits)
    order = Order(history.operations, timeline)
    found: list[str] = []
    for check in (_registrations, _origins, _removals):
        found += check(history.operations, timeline, order)
    found += _reads(history, timeline, order)
    for _, answers in groupby(sorted(history.answers, key=lambda a: (a.watcher, a.invoked)), lambda a: a.watcher):
        found += _watcher(list(answers), timeline)
    found += _leases(history, calm_until)
    found += _ends(history, timeline)
    return found


# Changes


def _registrations(operations: Iterable[Operation], timeline: Timeline, order: Order) -> Iterator[str]:
    """What was acknowledged is there, in its place; what was refused is not; safe ones found nothing there."""
    for operation in operations:
        if operation.kind not in ("register", "register_safe"):
            continue
        revision = timeline.revision_of.get(operation.uri or "")
        if revision is None:
            if operation.outcome is Outcome.OK:
                yield f"LOST: {operation}: etcd has never had it"
            continue
        if operation.outcome in (Outcome.REFUSED, Outcome.TAKEN):
            yield f"DONE ALTHOUGH REFUSED: {operation}: etcd has it at revision {revision}; it said: {operation.words}"
        bounds = order.bounds(operation)
        if not bounds.after < revision < bounds.before:
            yield f"OUT OF ORDER: {operation}: at revision {revision}, {_expected(bounds)}"
        before = timeline.version_before(operation.name, revision)
        if operation.kind == "register_safe" and before.uri is not None:
            yield f"NOT SAFE: {operation}: at revision {revision} it replaced {before.uri}, there since {before.start}"


def _origins(operations: Iterable[Operation], timeline: Timeline, order: Order) -> Iterator[str]:
    """Everything that etcd has was asked for, and once."""
    asked = {operation.uri: operation.name for operation in operations if operation.kind.startswith("register")}
    for commit in timeline.commits:
        if commit.uri is None:
            continue
        where = f"revision {commit.revision}: {commit.name} = {commit.uri}"
        if asked.get(commit.uri) != commit.name:
            yield f"FROM NOWHERE: {where}: nobody has asked for it"
        if commit.revision != timeline.revision_of[commit.uri]:
            before = timeline.version_before(commit.name, commit.revision)
            if before.uri != commit.uri:
                yield f"CAME BACK: {where}: it was registered at {timeline.revision_of[commit.uri]}, then {before.uri}"
            elif not before.leased:
                yield f"TWICE: {where}: it was there already, since revision {before.start}, and has no lease to renew"


def _removals(operations: Iterable[Operation], timeline: Timeline, order: Order) -> Iterator[str]:
    """Each acknowledged removal is a deletion of its own; each deletion was asked for, or ended a lease.

    Two separate matchings are enough: if one has all removals and another one all deletions, there is one that has both
    (Mendelsohn and Dulmage, 1958).
    """
    asked: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.kind == "remove":
            asked[operation.name].append(operation)
    for name in {*asked, *timeline.names()}:
        deletions = [
            (version.start, timeline.version_before(name, int(version.start)).leased)
            for version in timeline.versions(name)
            if version.uri is None and version.start
        ]
        sure = [op for op in asked[name] if op.outcome is Outcome.OK and op.count]
        perhaps = [op for op in asked[name] if op.outcome is Outcome.UNKNOWN]
        lost, _ = _unmatched([(op, order.bounds(op)) for op in sure], [revision for revision, _ in deletions])
        for operation in lost:
            yield f"LOST: {operation}: there is no deletion for it, {_expected(order.bounds(operation))}"
        unleased = [revision for revision, leased in deletions if not leased]
        _, unasked = _unmatched([(op, order.bounds(op)) for op in [*sure, *perhaps]], unleased)
        for revision in unasked:
            yield f"FROM NOWHERE: revision {revision:g}: {name} was deleted, and nobody has asked for it"


def _unmatched(
    asked: Sequence[tuple[Operation, Bounds]], revisions: Sequence[float]
) -> tuple[list[Operation], list[float]]:
    """Those operations, and those revisions, that find no partner. Each revision goes to the operation whose time is up
    first, which leaves as few as possible.
    """
    waiting = sorted(asked, key=lambda pair: pair[1].after, reverse=True)
    open_: list[tuple[float, int, Operation]] = []
    lost: list[Operation] = []
    unasked: list[float] = []
    for revision in revisions:
        while waiting and waiting[-1][1].after < revision:
            operation, bounds = waiting.pop()
            heappush(open_, (bounds.before, len(waiting), operation))
        while open_ and open_[0][0] <= revision:
            lost.append(heappop(open_)[2])
        if open_:
            heappop(open_)
        else:
            unasked.append(revision)
    return lost + [operation for _, _, operation in open_] + [operation for operation, _ in waiting], unasked


# Reads


class _Sight(NamedTuple):
    """That a node knew everything up to a revision when it had answered `what`."""

    revision: float
    what: object


def _reads(history: History, timeline: Timeline, order: Order) -> Iterator[str]:
    """On each node nothing goes back in time, for whomever: neither what it has shown nor what it has acknowledged.

    Each read is taken to be of the earliest revision that it can be of, which leaves most to those that come after it.
    """
    answered: dict[str, list[Operation | Answer]] = defaultdict(list)
    for operation in history.operations:
        if operation.outcome in (Outcome.OK, Outcome.TAKEN) and operation.node:
            answered[operation.node].append(operation)
    for answer in history.answers:
        answered[answer.node].append(answer)
    refusals = _Refusals(history.operations)
    for at_node in answered.values():
        at_node.sort(key=lambda what: what.invoked)
        seen = _Sight(0, "the beginning")
        pending: list[tuple[float, int, _Sight]] = []
        for number, what in enumerate(at_node):
            while pending and pending[0][0] < what.invoked:
                seen = max(seen, heappop(pending)[2], key=lambda sight: sight.revision)
            refusal = isinstance(what, Operation) and refusals.is_one(what)
            revision, problem = _place(what, seen, timeline, order)
            if problem and not (refusal and refusals.explains(what)):
                yield problem
            elif not problem and not refusal:
                heappush(pending, (what.returned, number, _Sight(revision, what)))


class _Refusals:
    """Who is told that a name is taken, or that there is nothing to remove, is told what the node knows, or what
    somebody is about to do at that time: a node counts with that. So it says nothing about how far the node had come.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._writes: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            if operation.kind in ("register", "register_safe", "remove"):
                self._writes[operation.name].append(operation)

    def is_one(self, operation: Operation) -> bool:
        """Whether this was refused, because of what there is."""
        return operation.outcome is Outcome.TAKEN or (operation.kind == "remove" and not operation.count)

    def explains(self, operation: Operation) -> bool:
        """Whether somebody was about to register the name, or to remove it."""
        taken = operation.outcome is Outcome.TAKEN
        return any(
            other is not operation
            and taken is (other.kind != "remove")
            and other.invoked <= operation.returned
            and (other.outcome is Outcome.UNKNOWN or other.returned >= operation.invoked)
            for other in self._writes[operation.name]
        )


def _place(what: Operation | Answer, seen: _Sight, timeline: Timeline, order: Order) -> tuple[float, str]:
    """The earliest revision that an answer can be of, or what is wrong with it."""
    if isinstance(what, Answer):
        return what.revision, ""
    if what.outcome is Outcome.TAKEN:
        moments = timeline.moments_registered(what.name)
    elif what.kind == "list":
        moments = timeline.moments_of_listing(what.name, what.listing or {})
    elif what.kind == "lookup" or (what.kind == "remove" and not what.count):
        moments = timeline.moments_of(what.name, what.uri)
    else:
        return timeline.revision_of.get(what.uri or "", 0), ""
    before = order.before(what.returned)
    for start, end in moments:
        if end > seen.revision and start < before:
            return max(start, seen.revision), ""
    return 0, _misplaced(what, moments, seen, before)


def _misplaced(operation: Operation, moments: Moments, seen: _Sight, before: float) -> str:
    if not moments:
        return f"NEVER SO: {operation}: there is no revision at which this was so"
    if moments[0][0] >= before:
        return f"FROM THE FUTURE: {operation}: this is so since {moments[0][0]:g}, and {before:g} was asked for later"
    last = max(end for start, end in moments if start < before)
    return (
        f"BACK IN TIME: {operation}: this was over at revision {last:g}, and the node had come to {seen.revision:g} "
        f"before, with {seen.what}"
    )


# Watchers


def _watcher(answers: Sequence[Answer], timeline: Timeline) -> Iterator[str]:
    """One watcher's events, all together, are the changes that etcd has, in their order."""
    revision: int | None = None
    for answer in answers:
        if answer.since != revision:
            yield f"ASKED WRONGLY: {answer}: the watcher had come to {revision}"
        revision = answer.revision
        if answer.reset or answer.since is None:
            continue
        if answer.revision < answer.since:
            yield f"BACK IN TIME: {answer}: it leads to {answer.revision}, and is no reset"
            continue
        yield from _differences(answer, _expected_changes(answer.prefix, answer.since, answer.revision, timeline))
    if answers:
        prefix = answers[-1].prefix
        missed = [commit for commit in timeline.commits if commit.name.startswith(prefix)][-1:]
        if missed and missed[0].revision > answers[-1].revision:
            yield f"NOT TOLD: {answers[-1]}: it led to {answers[-1].revision}, and no answer came with {missed[0]}"


def _expected_changes(prefix: str, since: int, until: int, timeline: Timeline) -> list[Told]:
    expected = []
    for commit in timeline.between(since, until):
        if not commit.name.startswith(prefix):
            continue
        before = timeline.version_before(commit.name, commit.revision)
        if commit.uri is not None:
            kind = "registered" if before.uri is None else "updated"
            expected.append(Told(commit.revision, kind, commit.name, commit.uri))
        elif before.uri is not None:
            expected.append(Told(commit.revision, "expired" if before.leased else "removed", commit.name, before.uri))
    return expected


def _differences(answer: Answer, expected: Sequence[Told]) -> Iterator[str]:
    """A record with a lease may be removed, too: etcd does not say which it was."""
    told = [
        replace(change, kind="expired") if _may_have_expired(change, expected) else change for change in answer.changes
    ]
    revisions = [change.revision for change in told]
    if revisions != sorted(revisions):
        yield f"OUT OF ORDER: {answer}: its changes are of the revisions {revisions}"
    for change in expected:
        if change not in told:
            yield f"NOT TOLD: {answer}: {change} is missing"
    for change in told:
        if change not in expected:
            yield f"TOLD WRONGLY: {answer}: {change} is not what etcd has"
    if len(set(told)) < len(told):
        yield f"TOLD TWICE: {answer}: {next(change for change in told if told.count(change) > 1)}"


def _may_have_expired(change: Told, expected: Sequence[Told]) -> bool:
    return change.kind == "removed" and replace(change, kind="expired") in expected


# Leases, and the end


def _leases(history: History, calm_until: float) -> Iterator[str]:
    """What was renewed, or registered with a lease, was there for as long as that lease, unless somebody removed it."""
    renewed: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.lease is not None and operation.outcome is Outcome.OK and operation.kind != "remove":
            renewed[operation.name].append(operation)
    first_told: dict[Told, float] = {}
    for answer in history.answers:
        for change in answer.changes:
            if change.kind == "expired" and answer.returned < calm_until:
                first_told[change] = min(answer.returned, first_told.get(change, FOREVER))
    for change, told in first_told.items():
        for operation in renewed[change.name]:
            assert operation.lease is not None, "only those were collected"
            if operation.returned < told < operation.invoked + operation.lease and _keeps(operation, change):
                yield f"ENDED EARLY: {operation}: its lease of {operation.lease:g} s had ended at {told:.3f}: {change}"


def _keeps(operation: Operation, change: Told) -> bool:
    return operation.count > 0 if operation.kind == "renew" else operation.uri == change.uri


def _ends(history: History, timeline: Timeline) -> Iterator[str]:
    """When all is quiet, all nodes have what etcd has."""
    for node, names in history.ends.items():
        there = {name: uri for name in timeline.names() if (uri := timeline.versions(name)[-1].uri) is not None}
        for name in sorted({*names, *there}):
            if names.get(name) != there.get(name):
                yield f"NEVER KNOWN: {node} has {name} = {names.get(name)} in the end, and etcd has {there.get(name)}"


def _expected(bounds: Bounds) -> str:
    return f"expected after {bounds.after:g} and before {bounds.before:g}"
