"""The nodes of a name server: what each tells of itself."""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import NamedTuple

from pyronym.service.own_record import reachable_uri
from pyronym.storage.health import CommitTimes, Trouble
from pyronym.storage.shared import ALWAYS_FRESH, Freshness, SharedStorage
from pyronym.uri import URI


class Status(NamedTuple):
    """How a node is, for those who watch over it. docs/etcd.md says what to make of it."""

    records: int
    revision: int
    """That of the directory: all changes up to it are known here."""
    trouble: Trouble | None
    """Why the storage takes no changes and since when; None when it does."""
    stale_since: float | None
    """Since when answers may be out of date, in seconds since 1970, because the nodes' storage is away; None: they are
    not."""
    stale_reason: str | None
    lag: float | None
    """Seconds between when the storage had the latest change that was measured and when this node knew of it; None:
    none was measured, as where nobody else changes anything."""
    commits: CommitTimes
    """How long it takes to make changes durable."""
    storage: str
    """Which it is, as in ``sql:names.sqlite``."""
    leases: int
    """That are running, and that this node counts."""
    watches: int
    """That are waiting."""


class Node:
    """This node, as clients and other nodes know it. `storage`: the one that it shares with other nodes, if it does."""

    def __init__(self, storage: SharedStorage | None) -> None:
        self._storage = storage
        self.id = secrets.token_hex(6) if storage is None else storage.node
        """Another one each time that it starts."""
        self.traffic: Callable[[], Mapping[str, object]] = dict
        """What its daemon knows of those who ask, for `report`."""
        self._about: Mapping[str, object] = {}

    @property
    def freshness(self) -> Freshness:
        """How well it knows what the storage has."""
        return ALWAYS_FRESH if self._storage is None else self._storage.freshness

    def appear(self, uri: URI) -> None:
        """Clients reach it at `uri` from here on. Other nodes are told so."""
        local = None if self._storage is None else self._storage.local_host()
        self._about = {
            "address": str(reachable_uri(uri, local and (local, 0)).location),
            "host": platform.node(),
            "pid": os.getpid(),
            "version": version("pyronym"),
            "started": time.time(),
        }
        if self._storage is not None:
            self._storage.announce(self._about)

    def report(self, status: Status) -> dict[str, object]:
        """What clients are told about it: docs/operating.md says what is in it. `status`: how it is."""
        started = self._about.get("started")
        return {
            "id": self.id,
            **_identity(self._about),
            "python": platform.python_version(),
            "uptime": time.time() - started if isinstance(started, float) else None,
            "records": status.records,
            "revision": status.revision,
            "leases": status.leases,
            "watches": status.watches,
            "storage": {
                "description": status.storage,
                "trouble": None if status.trouble is None else asdict(status.trouble),
                **status.commits._asdict(),
            },
            "stale_since": status.stale_since,
            "stale_reason": status.stale_reason,
            "lag": status.lag,
            **self.traffic(),
        }

    def all(self, status: Status) -> list[dict[str, object]]:
        """What is known about all nodes of the name server: this one first, the others by their addresses."""
        others = {} if self._storage is None else self._storage.nodes()
        told = [_as_told(node, about, None) for node, about in others.items() if node != self.id]
        told.sort(key=lambda about: str(about["address"]))
        return [_as_told(self.id, self._about, status), *told]


def _as_told(node: str, about: Mapping[str, object], status: Status | None) -> dict[str, object]:
    """What clients are told about a node. `status`: of the one that is asked, which nobody knows of the others."""
    told: dict[str, object] = {
        "id": node,
        "self": status is not None,
        "state": "up" if status is None else "ok" if status.stale_since is None else "stale",
        "revision": status and status.revision,
        "records": status and status.records,
        "stale_since": status and status.stale_since,
        "lag": status and status.lag,
    }
    return told | _identity(about)


def _identity(about: Mapping[str, object]) -> dict[str, object]:
    return {item: about.get(item) for item in ("address", "host", "pid", "version", "started")}
