"""Changes as server-sent events: each connection is a watcher that asks again and again, as those on the wire do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import zip_longest
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from pyronym.errors import LimitError
from pyronym.service.guard import Guard
from pyronym.service.watches import News, Watch
from pyronym.web.access import Asking, here
from pyronym.web.problems import Problem, responses
from pyronym.web.views import shown_event

HEARTBEAT_SECONDS: Final = 15.0
"""A stream is not silent for longer, so that both sides find out when the other has gone."""

MOST_STREAMS: Final = 100
"""At a time. Each takes one of the connections of the HTTP side."""

router = APIRouter(prefix="/api/v1", tags=["events"], responses=responses(400, 401, 403, 421, 422, 503))


class Streams:
    """The streams that are open. For the thread of the HTTP side."""

    def __init__(self) -> None:
        self._open: set[asyncio.Future[None]] = set()
        self.count = 0
        self._ended = False

    def end(self) -> None:
        """Let all streams end."""
        self._ended = True
        for waiting in self._open:
            _done(waiting)

    async def wait(self, watch: Watch[News]) -> bool:
        """Wait until a watch has something to tell. False: the stream has to end."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._open.add(waiting)

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_done, waiting)

        try:
            watch.add_done_callback(wake)
            if not self._ended:
                await waiting
        finally:
            self._open.discard(waiting)
        return not self._ended


def _done(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "A stream of events"}},
)
async def events(
    request: Request,
    guard: Asking,
    prefix: Annotated[str, Query(description="Changes of names that start with this.")] = "",
    since: Annotated[int | None, Query(ge=0, description="Changes after this revision.")] = None,
    last_event_id: Annotated[str | None, Header(description="The same, and goes first: browsers send it.")] = None,
) -> StreamingResponse:
    """Changes of names, as server-sent events that do not end.

    First comes `open`, with the revision. Then each change is an event `registered`, `updated`, `removed` or `expired`.
    `reset` means that too much has happened meanwhile: list the names again. The id of an event is its revision.
    """
    if last_event_id:
        if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20):
            raise Problem(400, f"invalid Last-Event-ID: {last_event_id[:100]!r} (expected the id of an event)")
        since = int(last_event_id)
    streams: Streams = request.app.state.streams
    if streams.count >= MOST_STREAMS:
        raise Problem(503, f"too many streams: {MOST_STREAMS} are open (close some, or try again later)")
    stream = _stream(streams, guard, prefix, since, request.scope["client"][0], here(request))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _stream(
    streams: Streams, guard: Guard, prefix: str, since: int | None, client: str, address: str
) -> AsyncIterator[str]:
    watch: Watch[News] | None = None
    streams.count += 1
    try:
        if since is None:
            since = _now(guard, prefix)
        yield _message("open", since, {"revision": since})
        while True:
            outcome = guard.watch(prefix, since, HEARTBEAT_SECONDS, _same, client=client)
            watch = outcome if isinstance(outcome, Watch) else None
            if watch is not None and not await streams.wait(watch):
                return
            news = outcome.result() if isinstance(outcome, Watch) else outcome
            if watch is None and not news.events and not news.reset:
                return  # it does not let anybody wait any more: the name server is being closed
            since = news.revision
            for text in _told(news, address):
                yield text
    except LimitError:  # too many watches of this client: it may come back
        return
    finally:
        streams.count -= 1
        if watch is not None:
            guard.discard(watch)


def _now(guard: Guard, prefix: str) -> int:
    news = guard.watch(prefix, None, 0, _same)
    assert isinstance(news, News), "without a revision to begin from there is nothing to wait for"
    return news.revision


def _same(news: News) -> News:
    return news


def _told(news: News, address: str) -> list[str]:
    """What a client is sent about news; with the revision to go on from, even where nothing has happened."""
    if news.reset:
        return [_message("reset", news.revision, {"revision": news.revision})]
    texts = []
    for event, following in zip_longest(news.events, news.events[1:]):
        # Several may share a revision, on etcd: a client that is cut off between them has to hear all of them again.
        is_last = following is None or following.revision != event.revision
        view = shown_event(event, address).model_dump()
        texts.append(_message(event.kind, event.revision if is_last else None, view))
    return [*texts, f": nothing else\nid: {news.revision}\n\n"]


def _message(kind: str, revision: int | None, data: dict[str, object]) -> str:
    identity = "" if revision is None else f"id: {revision}\n"
    return f"{identity}event: {kind}\ndata: {json.dumps(data)}\n\n"
