"""Whether the name server lives, whether it is ready, and how it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pyronym.server.nameserver import NameServerDaemon
from pyronym.web.access import Asking
from pyronym.web.problems import answer, responses

router = APIRouter()
api = APIRouter(prefix="/api/v1", tags=["status"], responses=responses(401, 403, 421))


class HealthView(BaseModel):
    """How the server is, for those who start it anew, or send clients elsewhere. Open to all who can reach it."""

    alive: bool = Field(description="It runs, and can answer.")
    ready: bool = Field(description="It answers from what is up to date, and takes changes.")
    reasons: list[str] = Field(description="Why not.")


_NOT: Final[dict[int | str, dict[str, Any]]] = {503: {"model": HealthView, "description": "It is not"}}


STARTING: Final = "it is still starting"

LOADING: Final = f"{STARTING}: the names are not loaded from the storage yet (the log says what it waits for)"

RETRY_SECONDS: Final = 5
"""After which clients may try again, while it starts."""


async def starting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request while there is no name server yet to ask: it lives, and is not ready."""
    if scope["path"] in ("/healthz", "/readyz"):
        health = HealthView(alive=True, ready=False, reasons=[LOADING])
        response: Response = JSONResponse(health.model_dump(), 200 if scope["path"] == "/healthz" else 503)
    else:
        response = answer(503, LOADING, {"Retry-After": str(RETRY_SECONDS)})
    await response(scope, receive, send)


def health_of(daemon: NameServerDaemon) -> HealthView:
    """How a name server is."""
    status, pulse = daemon.nameserver.service.status, daemon.measures.pulse
    reasons = []
    is_starting = pulse.last is None
    if is_starting:
        reasons.append(STARTING)
    elif not pulse.is_alive():
        reasons.append("its loop does not answer")
    alive = not reasons or is_starting
    if status.trouble is not None:
        reasons.append(f"changes cannot be stored since {_time(status.trouble.since)}: the log and the status say why")
    if status.stale_since is not None:
        reasons.append(f"answers may be out of date since {_time(status.stale_since)}: the nodes' storage is away")
    return HealthView(alive=alive, ready=not reasons, reasons=reasons)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@router.get("/healthz", tags=["health"], response_model=HealthView, responses=responses(421) | _NOT)
async def healthz(request: Request) -> Response:
    """200 while the server lives and can answer, even from what is out of date."""
    health = health_of(request.app.state.doorman.daemon)
    return JSONResponse(health.model_dump(), 200 if health.alive else 503)


@router.get("/readyz", tags=["health"], response_model=HealthView, responses=responses(421) | _NOT)
async def readyz(request: Request) -> Response:
    """200 while it answers from what is up to date, and takes changes."""
    health = health_of(request.app.state.doorman.daemon)
    return JSONResponse(health.model_dump(), 200 if health.ready else 503)


@api.get("/status")
def status(guard: Asking) -> dict[str, Any]:
    """How this node is: what `status()` tells on the wire."""
    return guard.report()


@api.get("/nodes")
def nodes(guard: Asking) -> list[dict[str, Any]]:
    """The nodes of this name server, this one first: what `nodes()` tells on the wire."""
    return guard.nodes()
