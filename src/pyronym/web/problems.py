"""What goes wrong with a request, as RFC 9457 has it: a status, and words that say what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from pyronym.errors import (
    BadPatternError,
    LimitError,
    NameTakenError,
    PyroError,
    RecordChangedError,
    SecurityError,
    SlowPatternError,
    StorageError,
    UnknownNameError,
)

MEDIA_TYPE: Final = "application/problem+json"

_STATUSES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (UnknownNameError, 404),
    (NameTakenError, 409),
    (RecordChangedError, 412),
    (SecurityError, 403),
    (LimitError, 422),
    (BadPatternError, 400),
    (SlowPatternError, 400),
    (StorageError, 503),
    (PyroError, 422),
    (ValueError, 422),
)
"""What the name server says, and with which status. Of several classes that fit the first counts."""


class Problem(HTTPException):
    """A request cannot be answered as it is: `detail` says why, and what to do."""


class ProblemView(BaseModel):
    """What an error looks like (RFC 9457)."""

    title: str = Field(description="The kind of problem: the words that go with the status.")
    status: int = Field(description="The status of the answer.")
    detail: str = Field(description="What is wrong, and what to do.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an OpenAPI description says of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    title = HTTPStatus(status).phrase
    body = json.dumps({"title": title, "status": status, "detail": detail})
    return Response(body, status, headers, MEDIA_TYPE)


async def of_http(request: Request, problem: Exception) -> Response:
    """The answer to what starlette or this package has found wrong with a request."""
    assert isinstance(problem, HTTPException), "it is registered for these"
    detail = str(problem.detail)
    if not isinstance(problem, Problem):
        detail = f"{request.method} {request.url.path!r}: {detail} (see /api/v1/docs)"
    headers = {"Allow": _allowed(request)} if problem.status_code == 405 else problem.headers
    return answer(problem.status_code, detail, headers)


def _allowed(request: Request) -> str:
    """The methods of a path. Each has a route of its own, of which starlette would tell the first."""
    found: set[str] = set()
    for route in request.app.state.routes:
        if isinstance(route, Route) and route.methods and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return ", ".join(sorted(found))


async def of_values(request: Request, problem: Exception) -> Response:
    """The answer to parameters and bodies that are not as they are described."""
    assert isinstance(problem, RequestValidationError), "it is registered for these"
    words = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in problem.errors())
    return answer(422, f"{words} (see /api/v1/docs)")


async def of_name_server(request: Request, problem: Exception) -> Response:
    """The answer to what the name server refuses."""
    status = next(status for kind, status in _STATUSES if isinstance(problem, kind))
    return answer(status, str(problem))
