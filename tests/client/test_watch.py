"""Watching a name server on an event loop, through restarts and kills."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedDaemon, Silence
from watchable import Watchable, daemon_with

from loops import LOOPS, OnLoop
from processes import Process, stopping
from pyronym import aio
from pyronym.client import following
from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError, SecurityError
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from server.serving import serving

URI_1, URI_2 = "PYRO:one@localhost:1", "PYRO:two@localhost:2"
SETTINGS = Settings(ns_host="127.0.0.1", broadcast_addrs=("127.0.0.1",))


@pytest.fixture(params=LOOPS)
def on_loop(request: pytest.FixtureRequest) -> OnLoop[Any]:
    play: OnLoop[Any] = request.param
    return play


@pytest.fixture
def watchable() -> Iterator[Daemon]:
    with serving(daemon_with(Watchable())) as daemon:
        yield daemon
        with Proxy(daemon.uriFor("Pyro.NameServer")) as names:
            names.stop()


class Nodes:
    """Starts watchable name servers in processes of their own."""

    def __init__(self) -> None:
        self.processes: list[Process] = []

    def __call__(self, port: int = 0) -> tuple[Process, str]:
        process = Process([sys.executable, Path(__file__).parent / "watchable.py", str(port)])
        self.processes.append(process)
        return process, process.wait_for_line(r"^URI = \S+@(\S+)")[1]


@pytest.fixture
def start() -> Iterator[Nodes]:
    nodes = Nodes()
    with stopping(nodes.processes):
        yield nodes


async def mirrored(watch: aio.Watch, names: dict[str, aio.Entry], *expected: str) -> list[Any]:
    """Follow a watch until `names` are the expected ones; what it gave meanwhile."""
    events = []
    while set(names) != set(expected):
        events.append(await anext(watch))
        events[-1].apply(names)
    return events


def test_it_begins_with_what_there_is_and_goes_on_with_changes(watchable: Daemon, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(watchable.locationStr) as ns:
            await ns.register("lab.a", URI_1, metadata=["x"])
            await ns.register("elsewhere", URI_1)
            events = []
            async for event in ns.watch("lab."):
                events.append(event)
                if len(events) == 1:
                    await ns.register("lab.b", URI_2)
                    await ns.register("elsewhere", URI_2)
                    await ns.register("lab.a", URI_2)
                    await ns.expire("lab.b")
                    await ns.remove("lab.a")
                if len(events) == 5:
                    break
            (start, *changes) = events
            assert start.names == {"lab.a": aio.Entry(URI_1, frozenset({"x"}))}
            assert [(change.kind, change.name, change.uri) for change in changes] == [
                ("registered", "lab.b", URI_2),
                ("updated", "lab.a", URI_2),
                ("expired", "lab.b", None),
                ("removed", "lab.a", None),
            ]

    on_loop(main())


def test_a_watch_does_not_hold_up_calls(watchable: Daemon, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(watchable.locationStr) as ns:
            watches = [ns.watch() for _ in range(10)]  # more than the proxy has connections
            for watch in watches:
                assert isinstance(await anext(watch), aio.Reset)
            waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
            assert await ns.count() == 0
            await ns.register("x", URI_1)
            assert {change.name for change in await asyncio.gather(*waiting)} == {"x"}

    on_loop(main())


def test_a_wait_that_is_cancelled_loses_nothing(watchable: Daemon, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(watchable.locationStr) as ns, ns.watch() as watch:
            await anext(watch)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(watch)
            await ns.register("x", URI_1)
            await ns.register("y", URI_1)
            assert [(await anext(watch)).name for _ in range(2)] == ["x", "y"]

    on_loop(main())


def test_a_watch_that_is_dropped_closes_its_connection(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        ns = await aio.locate_ns(daemon.location, settings=SETTINGS)
        async for _ in ns.watch():
            break
        gc.collect()
        with daemon._open[1].dup() as other_end:
            assert await asyncio.to_thread(other_end.recv, 1) == b""
        ns._pyroRelease()

    answers = {"revision": 1, "changes": [], "reset": False}
    methods = {"watch": lambda prefix, since, timeout: answers, "list": lambda prefix, return_metadata: {}}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as daemon:
        on_loop(main())


def test_a_stock_name_server_is_known_to_have_no_watch(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(daemon.location, settings=SETTINGS) as ns:
            with pytest.raises(NamingError, match="has no watch"):
                await anext(ns.watch())

    def watch(**kwargs: object) -> None:
        raise AttributeError("attempt to access unexposed or unknown remote attribute 'watch'")

    with ScriptedDaemon({"watch": watch}, object_id="Pyro.NameServer") as daemon:
        on_loop(main())


def test_a_watch_that_is_not_allowed_is_an_error(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(daemon.location, settings=SETTINGS) as ns:
            with pytest.raises(SecurityError, match="may not read"):
                await anext(ns.watch())

    def watch(**kwargs: object) -> None:
        raise SecurityError("you may not read")

    with ScriptedDaemon({"watch": watch}, object_id="Pyro.NameServer") as daemon:
        on_loop(main())


def test_a_lost_connection_loses_no_change_and_repeats_none(watchable: Daemon, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(watchable.locationStr) as ns, ns.watch() as watch:
            await anext(watch)
            seen = []
            for number in range(20):
                await ns.register(f"{number}", URI_1)
                if number % 3 == 0:
                    connection = watch._follower.connection
                    assert connection is not None
                    connection.close()
                if number % 2 == 0:
                    seen.append((await anext(watch)).name)
            while len(seen) < 20:
                seen.append((await anext(watch)).name)
            assert seen == [f"{number}" for number in range(20)]

    on_loop(main())


def test_changes_that_the_history_has_lost_come_as_a_reset(watchable: Daemon, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with await aio.locate_ns(watchable.locationStr) as ns, ns.watch() as watch:
            names: dict[str, aio.Entry] = {}
            (await anext(watch)).apply(names)
            for number in range(300):  # the history has 100
                await ns.register(f"{number}", URI_1)
            events = await mirrored(watch, names, *(f"{number}" for number in range(300)))
            assert [type(event) for event in events] == [aio.Reset]

    on_loop(main())


def test_a_killed_server_that_comes_back_empty_is_a_reset(start: Nodes, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        process, location = start()
        names: dict[str, aio.Entry] = {}
        async with await aio.locate_ns(location, settings=SETTINGS) as ns, ns.watch() as watch:
            await ns.register("old", URI_1)
            await mirrored(watch, names, "old")
            waiting = asyncio.ensure_future(anext(watch))
            process.kill()
            await asyncio.to_thread(start, int(location.rpartition(":")[2]))
            event = await waiting
            assert isinstance(event, aio.Reset)
            event.apply(names)
            assert names == {}
            await ns.register("new", URI_2)
            await mirrored(watch, names, "new")

    on_loop(main())


def test_a_watch_goes_on_at_another_node_when_its_own_is_killed(start: Nodes, on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        (one, where), (_, elsewhere) = start(), start()
        names: dict[str, aio.Entry] = {}
        async with await aio.locate_ns(f"{where},{elsewhere}", settings=SETTINGS) as ns, ns.watch() as watch:
            await ns.register("at one", URI_1)
            await mirrored(watch, names, "at one")
            one.kill()
            await ns.register("at two", URI_2)
            (event,) = await mirrored(watch, names, "at two")
            assert isinstance(event, aio.Reset)

    on_loop(main())


def test_a_node_that_is_frozen_is_left(start: Nodes, on_loop: OnLoop[None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_GRACE", 0.2)

    async def main() -> None:
        (_, elsewhere) = start()
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            where = f"127.0.0.1:{frozen.getsockname()[1]}"
            proxy = aio.NameServer(f"PYRONAME:Pyro.NameServer@{where},{elsewhere}", settings=SETTINGS)
            async with proxy.watch(poll=0.1) as watch:
                assert isinstance(await anext(watch), aio.Reset)

    on_loop(main())


def test_a_node_that_freezes_while_it_is_watched_is_left(
    watchable: Daemon, on_loop: OnLoop[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_GRACE", 0.2)

    def watch(prefix: str, since: int | None, timeout: float) -> object:
        return {"revision": 1, "changes": [], "reset": False} if timeout == 0 else Silence

    async def main() -> None:
        nodes = f"PYRONAME:Pyro.NameServer@{freezing.location},{watchable.locationStr}"
        async with aio.NameServer(nodes, settings=SETTINGS).watch(poll=0.1) as watch:
            events = [await anext(watch), await anext(watch)]
            assert [event.revision > 1 for event in events] == [False, True]

    methods = {"watch": watch, "list": lambda prefix, return_metadata: {}}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as freezing:
        on_loop(main())
