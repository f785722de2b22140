"""What was registered at which revision, and by when that must have been so."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from chaos.history import Commit, Operation, Outcome

FOREVER = math.inf


class Version(NamedTuple):
    """What a name stood for from the revision `start` on, until just before `end`. `uri`: None while it was unknown."""

    start: float
    end: float
    uri: str | None
    leased: bool


Moments = Sequence[tuple[float, float]]
"""Ranges of revisions, the end of each not included, in order."""


class Timeline:
    """What etcd had at each revision."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.commits = commits
        self.revision_of: dict[str, int] = {}
        """When each URI was first registered; every registration has one of its own."""
        by_name: dict[str, list[Commit]] = defaultdict(list)
        for commit in commits:
            by_name[commit.name].append(commit)
            if commit.uri is not None:
                self.revision_of.setdefault(commit.uri, commit.revision)
        self._versions = {name: _versions(of_name) for name, of_name in by_name.items()}
        self._moments: dict[tuple[str, str | None], list[tuple[float, float]]] = defaultdict(list)
        for name, versions in self._versions.items():
            for version in versions:
                self._moments[name, version.uri].append((version.start, version.end))
        self._states: dict[str, dict[int, list[tuple[float, float]]]] = {}

    def names(self) -> Iterable[str]:
        """All names that there ever were."""
        return self._versions

    def versions(self, name: str) -> Sequence[Version]:
        """All that a name stood for, from the beginning to the end."""
        return self._versions.get(name, _NEVER)

    def version_before(self, name: str, revision: float) -> Version:
        """What a name stood for until something happened to it at a revision."""
        versions = self.versions(name)
        return versions[bisect_left(versions, revision, key=lambda version: version.start) - 1]

    def between(self, after: int, until: int) -> Sequence[Commit]:
        """What was changed after one revision and until another one."""
        first, last = (bisect_right(self.commits, end, key=lambda commit: commit.revision) for end in (after, until))
        return self.commits[first:last]

    def moments_of(self, name: str, uri: str | None) -> Moments:
        """When a name stood for a URI, or for None when it was unknown."""
        if name not in self._versions and uri is None:
            return [(0, FOREVER)]
        return self._moments.get((name, uri), ())

    def moments_registered(self, name: str) -> Moments:
        """When a name stood for something."""
        return [(version.start, version.end) for version in self.versions(name) if version.uri is not None]

    def moments_of_listing(self, prefix: str, listing: Mapping[str, str]) -> Moments:
        """When exactly these were the names with a prefix."""
        if prefix not in self._states:
            self._states[prefix] = self._states_of(prefix)
        return self._states[prefix].get(_mark(listing), ())

    def _states_of(self, prefix: str) -> dict[int, list[tuple[float, float]]]:
        """A state is known by a mark that grows with it: there are many, of many names."""
        state: dict[str, str] = {}
        marks: dict[float, int] = {0: 0}
        mark = 0
        for commit in self.commits:
            name, uri = commit.name, commit.uri
            if name.startswith(prefix):
                if name in state:
                    mark ^= hash((name, state.pop(name)))
                if uri is not None:
                    state[name] = uri
                    mark ^= hash((name, uri))
                marks[commit.revision] = mark
        states: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for (start, now), end in zip(marks.items(), [*list(marks)[1:], FOREVER], strict=True):
            states[now].append((start, end))
        return states


_NEVER = (Version(0, FOREVER, None, False),)


def _versions(commits: Sequence[Commit]) -> list[Version]:
    ends = [*(commit.revision for commit in commits), FOREVER]
    versions = [Version(0, ends[0], None, False)]
    for commit, end in zip(commits, ends[1:], strict=True):
        versions.append(Version(commit.revision, end, commit.uri, commit.leased))
    return versions


def _mark(listing: Mapping[str, str]) -> int:
    mark = 0
    for item in listing.items():
        mark ^= hash(item)
    return mark


@dataclass(frozen=True)
class Bounds:
    """Revisions between which something happened, neither included."""

    after: float
    before: float


class Order:
    """What the clock says about revisions: what was acknowledged before something was asked for has a lower one, and
    what was asked for after that was answered a higher one.
    """

    def __init__(self, operations: Iterable[Operation], timeline: Timeline) -> None:
        placed = [
            (operation, timeline.revision_of[operation.uri])
            for operation in operations
            if operation.kind in ("register", "register_safe") and operation.uri in timeline.revision_of
        ]
        ended = sorted((op.returned, revision) for op, revision in placed if op.outcome is Outcome.OK)
        begun = sorted((op.invoked, revision) for op, revision in placed)
        self._returned = [returned for returned, _ in ended]
        self._highest = [0, *accumulate((revision for _, revision in ended), max)]
        self._invoked = [invoked for invoked, _ in begun]
        backwards = accumulate((float(revision) for _, revision in reversed(begun)), min)
        self._lowest = [*reversed(list(backwards)), FOREVER]

    def after(self, invoked: float) -> float:
        """The highest revision that was acknowledged before a time."""
        return self._highest[bisect_left(self._returned, invoked)]

    def before(self, returned: float) -> float:
        """The lowest revision of what was asked for after a time."""
        return self._lowest[bisect_right(self._invoked, returned)]

    def bounds(self, operation: Operation) -> Bounds:
        """Those of an operation. What is unknown to have happened may do so at any time later."""
        later = FOREVER if operation.outcome is Outcome.UNKNOWN else self.before(operation.returned)
        return Bounds(self.after(operation.invoked), later)
