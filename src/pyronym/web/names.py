"""The REST API: names.

In a path a name is percent-encoded, its slashes too. What a path cannot end in (nothing, ``.`` and ``..``, which
clients take for folders) is written with a ``=`` before it, which is not part of the name.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyronym.directory.record import Record
from pyronym.errors import NameTakenError, RecordChangedError, SecurityError, UnknownNameError
from pyronym.service.arguments import (
    check_length,
    check_tags,
    checked_tags,
    checked_uri,
    storable,
)
from pyronym.service.guard import Guard
from pyronym.service.pipeline import waited_for
from pyronym.settings import Settings
from pyronym.web.access import JSON_ONLY, Asking, here
from pyronym.web.listing import Sort, Wanted, page_of
from pyronym.web.problems import Problem, responses
from pyronym.web.views import NamesView, RecordView, RecordWanted, TagsWanted, etag_of, is_own, shown

MOST_NAMES: Final = 1000
"""On one page."""

ESCAPE: Final = "="


class _Anything(StringConvertor):
    """The rest of a path, whatever it is. Starlette's own for that leaves lines out, and the last end of one."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())

router = APIRouter(prefix="/api/v1", tags=["names"], responses=responses(400, 401, 403, 421, 422, 503))

_CHANGING: Final = responses(404, 408, 409, 412, 413, 415) | {204: {"description": "Done; the client may not see it"}}

Name = Annotated[
    str,
    Path(
        description="The name, percent-encoded. A `=` at its beginning is not part of it: write `=` for the empty "
        "name, `=..` for `..`, `==x` for `=x`."
    ),
]
IfMatch = Annotated[
    str | None, Header(description="Do it only if the record is (one of) these: entity tags, or `*` for any.")
]
IfNoneMatch = Annotated[
    str | None, Header(description="Do it only if the record is none of these; `*`: if there is none.")
]


def named(name: str) -> str:
    """The name that is written so in a path."""
    return name.removeprefix(ESCAPE)


@router.get("/names")
def list_names(
    request: Request,
    guard: Asking,
    prefix: Annotated[str, Query(description="Names that start with this.")] = "",
    regex: Annotated[str | None, Query(description="Names that match from their beginning.")] = None,
    tag: Annotated[list[str], Query(description="Names that have all of these tags.")] = [],  # noqa: B006  # FastAPI copies it
    any_tag: Annotated[list[str], Query(description="Names that have one of these tags.")] = [],  # noqa: B006  # the same
    sort: Annotated[Sort, Query(description="By what; with `-` the last come first.")] = "name",
    limit: Annotated[int, Query(ge=1, le=MOST_NAMES, description="Names on one page.")] = 100,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> NamesView:
    """List names, page by page. All filters that are given must fit."""
    revision = request.app.state.doorman.daemon.nameserver.service.status.revision
    wanted = Wanted(prefix, regex, frozenset(tag), frozenset(any_tag), sort, limit, cursor)
    records, total, following = page_of(guard, wanted)
    views = [shown(record, guard, here(request)) for record in records]
    return NamesView(names=views, total=total, next=following, revision=revision)


@router.get(
    "/names/{name:anything}", response_model=RecordView, responses=responses(404) | {304: {"description": "As it was"}}
)
def get_name(request: Request, name: Name, guard: Asking, if_none_match: IfNoneMatch = None) -> Response:
    """What a name stands for."""
    record = guard.get(named(name))
    if record is None:
        raise UnknownNameError(named(name))
    if _is_among(record, if_none_match):
        return Response(status_code=304, headers={"ETag": etag_of(record)})
    return _answer(record, guard, request)


@router.put(
    "/names/{name:anything}",
    dependencies=[JSON_ONLY],
    response_model=RecordView,
    responses=_CHANGING | {201: {"model": RecordView, "description": "The name is new"}},
)
def put_name(
    request: Request,
    name: Name,
    wanted: RecordWanted,
    guard: Asking,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Register a name, in place of what is there, or only if it is what the headers say."""
    name = named(name)
    settings = request.app.state.doorman.daemon.settings
    uri, tags = checked_uri(wanted.uri), _checked(name, wanted.tags, settings)
    check_length(uri, "uri", settings.max_name_length)
    if is_own(name):
        raise NameTakenError(name)
    before = guard.straight_get(name)
    expected = _expected(name, before, if_match)
    if _is_among(before, if_none_match):
        raise _exists(name)
    lease = None if wanted.lease is None else guard.new_lease(wanted.lease)
    try:
        waited_for(guard.register(name, uri, tags, safe=if_none_match == "*", expected=expected, lease=lease))
    except NameTakenError:
        raise _exists(name) from None
    return _answer(guard.straight_get(name), guard, request, 201 if before is None else 200)


@router.patch("/names/{name:anything}", dependencies=[JSON_ONLY], response_model=RecordView, responses=_CHANGING)
def set_tags(request: Request, name: Name, wanted: TagsWanted, guard: Asking, if_match: IfMatch = None) -> Response:
    """Replace the tags of a name. All else stays, its lease too."""
    name = named(name)
    tags = _checked(name, wanted.tags, request.app.state.doorman.daemon.settings)
    _refuse_own(name)
    expected = _expected(name, guard.straight_get(name), if_match)
    waited_for(guard.set_metadata(name, tags, expected=expected))
    return _answer(guard.straight_get(name), guard, request)


@router.delete("/names/{name:anything}", status_code=204, responses=responses(404, 412))
def delete_name(name: Name, guard: Asking, if_match: IfMatch = None) -> Response:
    """Remove a name."""
    name = named(name)
    _refuse_own(name)
    expected = _expected(name, guard.straight_get(name), if_match)
    if waited_for(guard.remove([name], expected=expected)) == 0:
        raise UnknownNameError(name)
    return Response(status_code=204)


def _answer(record: Record | None, guard: Guard, request: Request, status: int = 200) -> Response:
    """A record as the answer; nothing where the client may not see it, or it has gone since."""
    if record is None:
        return Response(status_code=204)
    view = shown(record, guard, here(request))
    return JSONResponse(view.model_dump(), status, {"ETag": view.etag})


def _checked(name: str, tags: list[str], settings: Settings) -> frozenset[str]:
    """The tags that a record is to have. ValueError and LimitError for what cannot be registered."""
    check_length(storable(name, "name"), "name", settings.max_name_length)
    chosen = checked_tags(tags)
    check_tags(chosen, settings)
    return chosen


def _is_among(record: Record | None, header: str | None) -> bool:
    """Whether a record is one of those that a header tells."""
    if record is None or header is None:
        return False
    etags = [etag.strip().removeprefix("W/") for etag in header.split(",")]
    return header.strip() == "*" or etag_of(record) in etags


def _expected(name: str, record: Record | None, if_match: str | None) -> Record | None:
    """The record that a change is about; None: whichever there is. RecordChangedError if If-Match means another."""
    if if_match is None:
        return None
    if not _is_among(record, if_match):
        raise RecordChangedError(name)
    return record


def _exists(name: str) -> Problem:
    return Problem(412, f"there is a record of {name!r} (leave If-None-Match away to replace it)")


def _refuse_own(name: str) -> None:
    if is_own(name):
        raise SecurityError(f"{name} is the name server itself, and cannot be changed")
