"""What nodes of a name server tell of themselves."""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import NamedTuple

from pyronym.storage.health import CommitTimes, Trouble


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


def new_node() -> str:
    """An id for a node. It gets another one each time that it starts."""
    return secrets.token_hex(6)


def about_this(address: str) -> dict[str, object]:
    """What other nodes are told about this one, which clients reach at `address`."""
    return {
        "address": address,
        "host": platform.node(),
        "pid": os.getpid(),
        "version": version("pyronym"),
        "started": time.time(),
    }


def report(
    node: str, about: Mapping[str, object], status: Status, traffic: Mapping[str, object], now: float
) -> dict[str, object]:
    """What clients are told about the node that they ask: docs/operating.md says what is in it. `traffic`: what its
    daemon knows; `now`: seconds since 1970.
    """
    started = about.get("started")
    return {
        "id": node,
        **{item: about.get(item) for item in ("address", "host", "pid", "version", "started")},
        "python": platform.python_version(),
        "uptime": now - started if isinstance(started, float) else None,
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
        **traffic,
    }


def as_told(node: str, about: Mapping[str, object], status: Status | None) -> dict[str, object]:
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
    return told | {item: about.get(item) for item in ("address", "host", "pid", "version", "started")}
