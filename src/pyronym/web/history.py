"""The REST API: what has been done to a name, as far as this node remembers."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from pyronym.service.chronicle import Chronicle
from pyronym.web.access import Asking
from pyronym.web.names import Name, named
from pyronym.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["names"], responses=responses(400, 401, 403, 421, 422))


class ChangeView(BaseModel):
    """A change of a name."""

    time: float = Field(description="Seconds since 1970.")
    what: Literal["register", "set_metadata", "renew", "remove", "expire"]
    who: str = Field(description="As in the audit log, for example token:ops or net:10.0.0.7.")
    address: str | None = Field(description="Where that client was; null: it was the name server itself.")
    uri: str | None = Field(description="What the name stands for since then; null: it is gone.")
    tags: list[str]


@router.get("/history/{name:anything}")
def get_history(
    request: Request,
    name: Name,
    guard: Asking,
    limit: Annotated[int, Query(ge=1, le=1000, description="Changes.")] = 50,
) -> list[ChangeView]:
    """The latest changes of a name that were made by way of this node, the newest first. Gone names have some, too.

    They are kept in memory: those of an earlier run are not remembered, and those before many others were made.
    """
    guard.get(named(name))  # refuses what the client may not read
    chronicle: Chronicle = request.app.state.chronicle
    return [
        ChangeView.model_validate(entry._asdict() | {"tags": list(entry.tags)})
        for entry in chronicle.of(named(name), limit)
    ]
