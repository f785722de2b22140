"""What clients of the REST API send and are shown."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pyronym.directory.leases import LONGEST, SHORTEST
from pyronym.directory.record import Event, Record
from pyronym.service.guard import Guard
from pyronym.service.own_record import seen_by
from pyronym.uri import NAMESERVER_NAME


class LeaseView(BaseModel):
    """How long a record stays unless it is renewed."""

    id: str = Field(description="Of this registration, for `renew`.")
    seconds: float | None = Field(description="Its whole length; null: as long as its connection.")
    left: float | None = Field(description="Seconds until it ends, as far as this node knows.")
    ephemeral: bool = Field(description="Whether it ends, too, when the connection has ended that registered it.")


class RecordView(BaseModel):
    """What a name stands for."""

    name: str
    uri: str
    tags: list[str] = Field(description="Metadata tags, sorted.")
    lease: LeaseView | None
    owner: str | None = Field(description="Who registered it, where names belong to those who registered them.")
    state: str = Field(description="alive, unreachable, object unknown or not probed, as the last probe has found it.")
    state_seconds: float | None = Field(description="How long it has been so, if it is bad.")
    etag: str = Field(description="Of this state of the record, for If-Match.")


class NamesView(BaseModel):
    """A page of a list of names."""

    names: list[RecordView]
    total: int = Field(description="How many there are on all pages.")
    next: str | None = Field(description="`cursor` of the next page; null: this is the last.")
    revision: int = Field(description="Of the name server before it looked, to follow the events from.")


class RecordWanted(BaseModel):
    """What a name is to stand for."""

    model_config = ConfigDict(extra="forbid")
    uri: str = Field(
        examples=["PYRO:camera@10.0.0.7:4444"], json_schema_extra={"pattern": "^(PYRO|PYRONAME|PYROMETA):."}
    )
    tags: list[str] = Field(default=[], examples=[["indoor"]])
    lease: float | None = Field(
        default=None, ge=SHORTEST, le=LONGEST, description="Seconds after which it goes unless it is renewed."
    )


class TagsWanted(BaseModel):
    """What tags a record is to have."""

    model_config = ConfigDict(extra="forbid")
    tags: list[str]


class EventView(BaseModel):
    """The data of an event."""

    kind: Literal["registered", "updated", "removed", "expired"]
    name: str
    uri: str
    tags: list[str]
    revision: int


def etag_of(record: Record) -> str:
    """The entity tag of a record: equal for those that look equal, on all nodes, and after a restart."""
    lease = record.lease and (record.lease.id, record.lease.seconds, record.lease.ephemeral)
    text = json.dumps([record.name, record.uri, sorted(record.metadata), record.owner, lease])
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def shown(record: Record, guard: Guard, here: str) -> RecordView:
    """A record as it is shown to a client that has reached this server at its address `here`."""
    seen = seen_by(record, (here, 0), foreign_tag="")
    state = guard.state_of(record)
    lease = record.lease
    return RecordView(
        name=seen.name,
        uri=seen.uri,
        tags=sorted(seen.metadata),
        lease=lease
        and LeaseView(id=lease.id, seconds=lease.seconds, left=guard.remaining(record.name), ephemeral=lease.ephemeral),
        owner=record.owner,
        state=state.state,
        state_seconds=state.seconds,
        etag=etag_of(record),
    )


def shown_event(event: Event, here: str) -> EventView:
    """An event, for such a client."""
    record = seen_by(event.record, (here, 0), foreign_tag="")
    return EventView(
        kind=event.kind,  # type: ignore[arg-type]  # one of the four constants of directory.record
        name=record.name,
        uri=record.uri,
        tags=sorted(record.metadata),
        revision=event.revision,
    )


def is_own(name: str) -> bool:
    """Whether this is the name server's own name, which only it can change."""
    return name == NAMESERVER_NAME
