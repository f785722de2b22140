"""Waiting for what happens to the names of a name server, by its own watch."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

import pyronym

PATIENCE = 20.0
"""Seconds after which something is taken not to happen."""


class Changes:
    """What has happened to the names of the server at a port of 127.0.0.1 since this was made, as (kind, name)."""

    def __init__(self, port: int) -> None:
        self.names = pyronym.locateNS("127.0.0.1", port)
        self._revision = self.names.watch()["revision"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.names._pyroRelease()

    def wait_for(self, *wanted: tuple[str, str], timeout: float = PATIENCE) -> list[tuple[str, str]]:
        """All changes until those that are `wanted` have been among them. AssertionError if they do not come."""
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + timeout
        while missing := set(wanted).difference(seen):
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout} s: {sorted(missing)[:5]}; there was {seen[-5:]}"
            seen += self._next(left)
        return seen

    def during(self, seconds: float) -> list[tuple[str, str]]:
        """All changes of some time."""
        seen: list[tuple[str, str]] = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            seen += self._next(left)
        return seen

    def _next(self, timeout: float) -> list[tuple[str, str]]:
        news: dict[str, Any] = self.names.watch(since=self._revision, timeout=timeout)
        assert not news["reset"]
        self._revision = news["revision"]
        return [(change["kind"], change["name"]) for change in news["changes"]]
