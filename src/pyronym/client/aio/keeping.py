"""Keeping names registered, on an event loop: a task for each name server does what its roster says."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import groupby
from math import inf
from typing import Final, NamedTuple, TypedDict

from pyronym.client.aio.network import LOOP
from pyronym.client.aio.pool import LoopConnection
from pyronym.client.announcing import Notice, NoticeKind, Wish
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import key_bytes
from pyronym.client.nodes import Nodes
from pyronym.client.roster import Ask, Connect, Roster, Wait
from pyronym.client.search import find_name_server, named_nodes
from pyronym.errors import ConnectionClosedError, NameServerNotFoundError, PyroError, TimeoutError, UnchangedError
from pyronym.settings import Settings, config
from pyronym.uri import URI

PATIENCE: Final = 1.0
"""Seconds that a name server may take for an answer, however short the leases are."""

FAREWELL: Final = 2.0
"""Seconds that the end of announcements may take. What is not removed by then goes when its lease ends."""

_SHOWN: Final = 5
"""Names that a line of the log shows."""

_LEVELS: Final = {
    NoticeKind.LOST: logging.WARNING,
    NoticeKind.TAKEN: logging.WARNING,
    NoticeKind.FAILED: logging.ERROR,
}
"""Of the lines of the log, where it is not INFO."""

_THERE: Final = frozenset({NoticeKind.REGISTERED, NoticeKind.FOUND, NoticeKind.REGISTERED_AGAIN, NoticeKind.MOVED})

Notify = Callable[[Notice], object]

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A name server, as one looks for it; without `nodes` it has to be found."""

    nodes: tuple[URI, ...]
    port: int | None
    broadcast: bool
    key: bytes | None
    settings: Settings


class Options(TypedDict, total=False):
    """The keywords of `announce`, with the meanings that `pyronym.announce` gives them."""

    safe: bool
    take_back: bool
    notify: Notify | None
    wait: float | None
    host: str | None
    port: int | None
    broadcast: bool
    hmac_key: str | bytes | None
    settings: Settings | None


class Plan(NamedTuple):
    """What is to be announced, and where."""

    wish: Wish
    place: Place
    notify: Notify | None
    wait: float | None

    @classmethod
    def of(cls, name: str, uri: str | URI, lease: float, metadata: Iterable[str] | None, options: Options) -> Plan:
        """One of arguments as programs give them. TypeError, ValueError and PyroError for what cannot be."""
        known = Options.__annotations__
        for option in options:
            if option not in known:
                raise TypeError(f"announce has no keyword {option!r} (expected one of {', '.join(known)})")
        wish = Wish.checked(
            name, uri, lease, metadata, safe=options.get("safe", False), take_back=options.get("take_back", False)
        )
        settings = options.get("settings") or config.settings
        host, port = options.get("host"), options.get("port")
        place = Place(
            named_nodes(str(host) if host else None, port, settings),
            port,
            bool(options.get("broadcast", True)),
            key_bytes(options.get("hmac_key")),
            settings,
        )
        return cls(wish, place, options.get("notify"), _checked_wait(options.get("wait")))


def _checked_wait(wait: object) -> float | None:
    if wait is None:
        return None
    if isinstance(wait, bool) or not isinstance(wait, int | float):
        raise TypeError(f"wait must be a number of seconds or None, not {type(wait).__name__}")
    if not wait >= 0:
        raise ValueError(f"invalid wait: {wait} (expected a number of seconds, 0 or more, or None)")
    return float(wait)


class Kept:
    """A name that is kept registered, of a loop. What others wait for, also in other threads, are its futures."""

    def __init__(self, plan: Plan, keeper: Keeper) -> None:
        self.name = plan.wish.name
        self.where: str | None = None
        """The name server that has confirmed it last; None while none does."""
        self.started: Future[None] = _future()
        """Done when it is registered, or at once where nobody waits for that."""
        self.ended: Future[None] = _future()
        self.process = os.getpid()
        """In a forked child there is nobody who keeps it."""
        self._notify = plan.notify
        self._keeper = keeper
        self._patient = plan.wait is not None
        self._problem: Exception | None = None
        self._alarm: asyncio.TimerHandle | None = None
        if plan.wait == 0:
            self.started.set_result(None)
        elif plan.wait is not None and plan.wait < inf:
            self._alarm = asyncio.get_running_loop().call_later(plan.wait, self._give_up)

    def hear(self, notice: Notice) -> None:
        """Take what has happened to it."""
        if notice.kind in _THERE:
            self.where = notice.where
        elif notice.kind is not NoticeKind.FAILED:
            self.where = None
        self._problem = notice.problem or self._problem
        if not self.started.done():
            self._begin(notice)
        if self._notify is not None:
            try:
                self._notify(notice)
            except Exception:
                log.exception("a function that is told of announcements failed")
        if notice.kind is NoticeKind.ENDED:
            self.ended.set_result(None)

    def _begin(self, notice: Notice) -> None:
        if self.where is not None:
            self.started.set_result(None)
        elif notice.kind is NoticeKind.ENDED or not (
            self._patient and isinstance(notice.problem, NameServerNotFoundError)
        ):
            self._give_up()
        if self.started.done() and self._alarm is not None:
            self._alarm.cancel()

    def _give_up(self) -> None:
        if not self.started.done():
            self.started.set_exception(self._problem or TimeoutError(f"cannot register {self.name!r} in time"))
            self.end()

    def end(self) -> None:
        """Have it removed. To be called on its loop."""
        self._keeper.end(self.name)


def _future() -> Future[None]:
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # whoever gives up waiting for it does not take it from others
    return future


class Announcement:
    """What both kinds of announcements show."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kept: Kept | None = None

    @property
    def name(self) -> str:
        """The name that is announced."""
        return self._plan.wish.name

    @property
    def uri(self) -> URI:
        """What it stands for."""
        return URI(self._plan.wish.uri)

    @property
    def where(self) -> str | None:
        """The location of the name server that has confirmed it last; None while none does."""
        return None if self._kept is None else self._kept.where

    @property
    def ended(self) -> bool:
        """Whether it is not announced any more: it was closed, could not be registered, or was taken."""
        return self._kept is not None and self._kept.ended.done()

    def __repr__(self) -> str:
        kind = type(self)
        state = f"at {self.where}" if self.where else "not registered"
        return f"<{kind.__module__}.{kind.__qualname__} of {self.name!r}; {state}>"


class Keeper:
    """Keeps names registered at one place, in a task that ends with the last of them. `gone` is told then.

    When the task is cancelled it removes the names first. In a forked child it does nothing.
    """

    def __init__(self, place: Place, gone: Callable[[], object]) -> None:
        self._place = place
        self._gone = gone
        self._nodes = Nodes(place.nodes)
        self._roster = Roster()
        self._kept: dict[str, Kept] = {}
        self._connection: LoopConnection | None = None
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._warned = False
        self._process = os.getpid()
        self._task = self._loop.create_task(self._run())

    def add(self, plan: Plan) -> Kept:
        """Keep something registered from here on. ValueError if its name is announced already."""
        self._roster.add(plan.wish, self._loop.time())
        kept = self._kept[plan.wish.name] = Kept(plan, self)
        self._changed.set()
        return kept

    def end(self, name: str) -> None:
        """Have a name removed."""
        self._tell(self._roster.end(name, self._loop.time()))
        self._changed.set()

    def end_all(self) -> None:
        """Have all names removed."""
        for name in list(self._kept):
            self.end(name)

    async def _run(self) -> None:
        try:
            await self._keep()
        except asyncio.CancelledError:
            await self._say_goodbye()
            raise
        finally:
            self._gone()
            if self._is_ours():
                self._disconnect()
                self._tell([Notice(NoticeKind.ENDED, name, None) for name in self._kept])

    def _is_ours(self) -> bool:
        """False in a forked child, where the connection is that of its parent."""
        return os.getpid() == self._process

    async def _keep(self) -> None:
        while self._roster and self._is_ours():
            if self._connection is not None and self._connection.stream.ended():
                self._disconnect()
                self._tell(self._roster.hung_up(ConnectionClosedError("the connection was closed"), self._loop.time()))
            match self._roster.next_step(self._loop.time()):
                case Wait(seconds):
                    await self._rest(seconds)
                case Connect():
                    await self._connect()
                case Ask() as ask:
                    await self._ask(ask)

    async def _say_goodbye(self) -> None:
        if not self._is_ours():
            return
        self._disconnect()  # something may have been asked
        self._tell(self._roster.hung_up(ConnectionClosedError("cancelled"), self._loop.time()))
        self.end_all()
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._keep()

    async def _rest(self, seconds: float) -> None:
        self._changed.clear()
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(seconds if seconds < inf else None):
                await self._changed.wait()

    async def _connect(self) -> None:
        place = self._place
        try:
            connection = await find_name_server(
                LOOP,
                self._nodes.in_order(),
                place.port,
                place.broadcast,
                place.settings,
                place.key,
                Deadline(None),
            )
        except (PyroError, OSError) as problem:
            self._tell(self._roster.not_found(problem, self._loop.time()))
            return
        self._connection = connection
        if place.nodes:
            self._nodes.answers(connection.uri)
        self._roster.connected(str(connection.uri.location), self._loop.time())

    async def _ask(self, ask: Ask) -> None:
        connection = self._connection
        assert connection is not None, "the roster asks only where it is connected"
        deadline = Deadline(max(PATIENCE, self._roster.interval))
        try:
            answer = await connection.call(ask.method, ask.args, ask.kwargs, self._place.settings.serializer, deadline)
        except Exception as problem:  # whatever a name server raises
            if isinstance(problem, ConnectionClosedError | TimeoutError) or self._is_cut_off(problem):
                self._nodes.is_gone(connection.uri)
                self._disconnect()
                notices = self._roster.hung_up(problem, self._loop.time())
            else:
                notices = self._roster.refused(problem, self._loop.time())
        else:
            notices = self._roster.answered(answer, self._loop.time())
        self._tell(notices)
        if self._roster.leases is False and not self._warned:
            self._warned = True
            log.warning(
                "the name server at %s knows no leases: names of programs that die will stay", connection.uri.location
            )

    def _is_cut_off(self, problem: Exception) -> bool:
        """Whether another node may be able to do what this one cannot."""
        return isinstance(problem, UnchangedError) and len(self._nodes) > 1

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _tell(self, notices: Sequence[Notice]) -> None:
        _log(notices)
        for notice in notices:
            kept = self._kept[notice.name]
            if notice.kind is NoticeKind.ENDED:
                del self._kept[notice.name]
            kept.hear(notice)


class Keepers:
    """The keepers of an event loop, by their places. `idle` is set while there are none."""

    def __init__(self) -> None:
        self._keepers: dict[Place, Keeper] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def keep(self, plan: Plan) -> Kept:
        """Keep something registered from here on. ValueError if its name is announced there already."""
        place = plan.place
        keeper = self._keepers.get(place)
        if keeper is None:
            keeper = self._keepers[place] = Keeper(place, lambda: self._forget(place))
            self.idle.clear()
        return keeper.add(plan)

    def end_all(self) -> None:
        """Have all names removed."""
        for keeper in self._keepers.values():
            keeper.end_all()

    def _forget(self, place: Place) -> None:
        del self._keepers[place]
        if not self._keepers:
            self.idle.set()


def _log(notices: Sequence[Notice]) -> None:
    for (kind, where, problem), group in groupby(notices, lambda notice: (notice.kind, notice.where, notice.problem)):
        names = [notice.name for notice in group]
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        at = f" at {where}" if where else ""
        why = f": {problem}" if problem else ""
        log.log(_LEVELS.get(kind, logging.INFO), "announced name %s%s%s (%s)", kind.value, at, why, shown)
