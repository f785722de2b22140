"""What records have beyond stock Pyro4's, as storages write it: an owner and a lease, each a text or None.

A lease is the JSON list ``["id", seconds or null, ephemeral]``.
"""

from __future__ import annotations

import json
from typing import Final

from pyronym.directory.record import Lease, Record

Extras = tuple[str | None, str | None]

NO_EXTRAS: Final[Extras] = (None, None)


def has_extras(record: Record) -> bool:
    """Whether a record has any of that."""
    return record.owner is not None or record.lease is not None


def extras_of(record: Record) -> Extras:
    """The owner and the lease of a record."""
    return record.owner, None if record.lease is None else json.dumps(record.lease)


def with_extras(record: Record, owner: str | None, lease: str | None) -> Record:
    """The record with its owner and its lease. ValueError if that is no lease."""
    if owner is None and lease is None:
        return record
    return record._replace(owner=owner, lease=None if lease is None else _lease(lease))


def _lease(text: str) -> Lease:
    match json.loads(text):
        case [str(lease_id), int() | float() | None as seconds, bool(ephemeral)]:
            return Lease(lease_id, seconds, ephemeral)
    raise ValueError(f"{text!r} is no lease (expected [id, seconds, ephemeral])")
