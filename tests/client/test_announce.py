"""Announcing, blocking and on an event loop: what is waited for, what is told, and what is left at the end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted import ScriptedDaemon, Silence

import pyronym
from following import Changes
from processes import NameServer, NameServers
from pyronym import Notice, aio
from pyronym.client.aio.keeping import FAREWELL
from pyronym.client.locate import locateNS
from pyronym.errors import (
    NameServerNotFoundError,
    NameTakenError,
    NamingError,
    PyroError,
    SecurityError,
    TimeoutError,
    UnchangedError,
)

URI = "PYRO:thing@localhost:1"
PATIENCE = 10.0


@pytest.fixture
def server(serve: NameServers) -> NameServer:
    return serve()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "pyronym-announcements":
            thread.join(PATIENCE)
            assert not thread.is_alive()


async def on_a_loop(name: str, uri: str = URI, inside: Callable[[], object] = lambda: None, **options: Any) -> None:
    async with aio.announce(name, uri, **options):
        await asyncio.to_thread(inside)


def in_a_thread(name: str, uri: str = URI, inside: Callable[[], object] = lambda: None, **options: Any) -> None:
    with pyronym.announce(name, uri, **options):
        inside()


def looping(name: str, uri: str = URI, inside: Callable[[], object] = lambda: None, **options: Any) -> None:
    asyncio.run(asyncio.wait_for(on_a_loop(name, uri, inside, **options), PATIENCE))


both = pytest.mark.parametrize("announce", [in_a_thread, looping])


@both
def test_a_name_is_there_inside_and_gone_after(server: NameServer, announce: Callable[..., None]) -> None:
    with locateNS(server.host, server.port) as names:

        def inside() -> None:
            uri, tags = names.lookup("lab.thing", return_metadata=True)
            assert (str(uri), list(tags)) == (URI, ["tag"])

        announce("lab.thing", URI, inside, metadata=["tag"], host=server.location)
        assert list(names.list()) == ["Pyro.NameServer"]


@both
def test_all_that_happens_is_told(server: NameServer, announce: Callable[..., None]) -> None:
    told: list[Notice] = []
    again = threading.Event()

    def notify(notice: Notice) -> None:
        told.append(notice)
        if notice.kind == "registered again":
            again.set()
        raise RuntimeError("a bug of the program")  # is logged, and does no harm

    def inside() -> None:
        with locateNS(server.host, server.port) as names:
            names.remove("lab.thing")
        assert again.wait(PATIENCE)

    announce("lab.thing", URI, inside, host=server.location, lease=0.6, notify=notify)
    assert [(notice.kind, notice.name) for notice in told] == [
        (kind, "lab.thing") for kind in ("registered", "lost", "registered again", "ended")
    ]
    assert {notice.where for notice in told} == {server.location}


@both
def test_what_can_never_be_registered_is_raised_at_once(server: NameServer, announce: Callable[..., None]) -> None:
    with locateNS(server.host, server.port) as names:
        names.register("lab.thing", "PYRO:other@localhost:2")
        with pytest.raises(NameTakenError):
            announce("lab.thing", host=server.location, safe=True, wait=60)
        with pytest.raises(NamingError, match="name is too long"):
            announce("x" * 5000, host=server.location)
        assert str(names.lookup("lab.thing")) == "PYRO:other@localhost:2"


@both
def test_a_name_server_that_refuses_the_program_is_heard(announce: Callable[..., None]) -> None:
    def register(*_: object, **__: object) -> None:
        raise SecurityError("not for you")

    methods = {"renew": lambda *_: {"unknown": [], "taken": []}, "register": register}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as daemon:
        with pytest.raises(SecurityError, match="not for you"):
            announce("lab.thing", host=daemon.location)


@both
def test_no_name_server_is_an_error_that_says_where_it_was_looked_for(announce: Callable[..., None]) -> None:
    with pytest.raises(NameServerNotFoundError, match=r"127\.0\.0\.1:1: .*(refused|failed)"):
        announce("lab.thing", host="127.0.0.1:1")
    with pytest.raises(NameServerNotFoundError, match=r"127\.0\.0\.1:1: "):
        announce("lab.thing", host="127.0.0.1:1", wait=0.2)


@both
def test_waiting_ends_when_the_time_is_over_though_the_name_server_is_silent(announce: Callable[..., None]) -> None:
    with ScriptedDaemon({"renew": lambda *_: Silence}, object_id="Pyro.NameServer") as daemon:
        with pytest.raises(TimeoutError, match=r"cannot register 'lab\.thing' in time"):
            announce("lab.thing", host=daemon.location, wait=0.2)


@both
def test_without_waiting_it_is_registered_when_a_name_server_is_there(
    serve: NameServers, announce: Callable[..., None]
) -> None:
    server = serve()
    server.process.kill()
    registered = threading.Event()

    def notify(notice: Notice) -> None:
        if notice.kind == "registered":
            registered.set()

    def inside() -> None:
        assert not registered.is_set()
        serve(port=server.port)
        assert registered.wait(PATIENCE)

    announce("lab.thing", URI, inside, host=server.location, wait=0, notify=notify)


@both
def test_wrong_arguments_are_refused(announce: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="invalid wait: -1"):
        announce("lab.thing", wait=-1)
    with pytest.raises(TypeError, match="wait must be a number of seconds or None, not str"):
        announce("lab.thing", wait="long")
    with pytest.raises(PyroError, match="invalid name servers"):
        announce("lab.thing", host="ns1,,ns2")
    with pytest.raises(TypeError, match="announce has no keyword 'hots'"):
        announce("lab.thing", hots="ns1")


def test_all_names_of_a_process_are_renewed_by_one_request_on_one_connection() -> None:
    renewals: list[set[str]] = []
    together = threading.Event()

    def renew(ids: dict[str, str]) -> dict[str, list[str]]:
        renewals.append(set(ids))
        if len(ids) == 3:
            together.set()
        return {"unknown": [], "taken": []}

    methods = {"renew": renew, "register": lambda name, *_, **__: {"id": name}, "remove": lambda *_: 1}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as daemon:
        announcements = [pyronym.announce(name, URI, 0.6, host=daemon.location) for name in "abc"]
        assert together.wait(PATIENCE)
        for announcement in announcements:
            announcement.close()
        assert len(daemon.handshakes) == 1


CUT_OFF = NamingError("nothing was changed in etcd://h1/lab: no answer; try again when etcd is back")


def test_a_name_is_kept_at_another_node_when_its_own_cannot_renew_it() -> None:
    renewed = threading.Event()

    def renew(ids: dict[str, str]) -> dict[str, list[str]]:
        if ids:
            renewed.set()
        return {"unknown": [], "taken": []}

    there = {"register": lambda name, *_, **__: {"id": name}, "remove": lambda *_: 1, "renew": renew}
    cut_off = {**there, "renew": lambda ids: CUT_OFF if ids else renew(ids)}
    with ScriptedDaemon(cut_off, object_id="Pyro.NameServer") as one:
        with ScriptedDaemon(there, object_id="Pyro.NameServer") as two:
            with pyronym.announce("lab.camera", URI, 0.3, host=f"{one.location},{two.location}"):
                assert renewed.wait(PATIENCE)


@both
def test_that_no_node_can_change_anything_is_raised(announce: Callable[..., None]) -> None:
    methods = {"register": lambda *_, **__: CUT_OFF, "renew": lambda ids: {"unknown": [], "taken": []}}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as one:
        with ScriptedDaemon(methods, object_id="Pyro.NameServer") as two:
            with pytest.raises(UnchangedError, match="nothing was changed in etcd://h1/lab: no answer"):
                announce("lab.camera", host=f"{one.location},{two.location}")
    assert (one.calls, two.calls) == (["renew", "register"], ["renew", "register"])


def test_a_name_is_announced_once_in_a_process_but_may_be_announced_anew(server: NameServer) -> None:
    with pyronym.announce("lab.thing", URI, host=server.location):
        with pytest.raises(ValueError, match=r"announces 'lab\.thing' already"):
            pyronym.announce("lab.thing", URI, host=server.location)
    with pyronym.announce("lab.thing", URI, host=server.location) as announcement:
        assert (announcement.where, announcement.ended) == (server.location, False)
        assert repr(announcement).endswith(f" of 'lab.thing'; at {server.location}>")
    assert (announcement.where, announcement.ended) == (None, True)
    announcement.close()


def test_an_announcement_may_be_closed_by_the_function_that_is_told(server: NameServer) -> None:
    closed = threading.Event()
    announcements: list[Any] = []

    def notify(notice: Notice) -> None:
        if notice.kind == "registered again":
            announcements[0].close()
            with pytest.raises(RuntimeError, match="cannot announce anything itself"):
                pyronym.announce("lab.other", URI, host=server.location)
            closed.set()

    announcements.append(pyronym.announce("lab.thing", URI, 0.6, host=server.location, notify=notify))
    with Changes(server.port) as changes:
        changes.names.remove("lab.thing")
        changes.wait_for(("registered", "lab.thing"), ("removed", "lab.thing"))
    assert closed.wait(PATIENCE)
    announcements[0].close()


def test_the_end_does_not_wait_long_for_a_name_server_that_is_silent() -> None:
    answers: list[Any] = [{"unknown": [], "taken": []}]
    methods = {
        "renew": lambda *_: answers.pop() if answers else Silence,
        "register": lambda *_, **__: {"id": "1"},
    }
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as daemon:
        announcement = pyronym.announce("lab.thing", URI, 60, host=daemon.location)
        waiting = threading.Thread(target=announcement.close)
        waiting.start()
        waiting.join(FAREWELL + PATIENCE)
        assert not waiting.is_alive()
    # the silent daemon is gone, and so nothing is left to be removed


def test_what_is_announced_when_a_loop_ends_is_removed(server: NameServer) -> None:
    async def main() -> None:
        announced = asyncio.Event()

        async def serve() -> None:
            async with aio.announce("lab.thing", URI, 60, host=server.location):
                announced.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await announced.wait()
        assert not task.done()  # asyncio.run cancels it, together with the task that keeps the name

    with locateNS(server.host, server.port) as names:
        asyncio.run(main())
        assert list(names.list()) == ["Pyro.NameServer"]


def test_an_async_announcement_that_is_cancelled_while_it_waits_leaves_nothing(server: NameServer) -> None:
    async def main() -> None:
        waiting = on_a_loop("lab.thing", host="127.0.0.1:1", wait=60)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(waiting, 0.2)
        async with aio.announce("lab.thing", URI, host=server.location):
            pass

    asyncio.run(main())


def test_the_log_tells_in_one_line_of_many_names(server: NameServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    names = [f"lab.{number}" for number in range(7)]
    lost = threading.Semaphore(0)
    announcements = [
        pyronym.announce(
            name, URI, 0.6, host=server.location, notify=lambda notice: notice.kind == "lost" and lost.release()
        )
        for name in names
    ]
    server.process.kill()
    for _ in names:
        assert lost.acquire(timeout=PATIENCE)
    for announcement in announcements:
        announcement.close()
    (line,) = [record for record in caplog.records if " lost" in record.getMessage()]
    assert line.levelname == "WARNING"
    assert "(lab.0, lab.1, lab.2, lab.3, lab.4 and 2 more)" in line.getMessage()
