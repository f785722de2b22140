"""Daemons that announce their objects, in each of the ways to serve a daemon."""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from serving import PATIENCE, serving

import pyronym
from following import Changes
from pyronym.client.announce import ThreadAnnouncement
from pyronym.errors import DaemonError, NameServerNotFoundError, NameTakenError, PyroError
from pyronym.rpc.exposed import expose
from pyronym.server.daemon import Daemon
from pyronym.server.nameserver import NameServerDaemon
from pyronym.settings import config


class Thing:
    @expose
    def ping(self) -> str:
        return "pong"


@pytest.fixture
def names() -> Iterator[NameServerDaemon]:
    """A daemon with a name server that nobody serves yet."""
    with NameServerDaemon("127.0.0.1", 0) as daemon:
        yield daemon


def here(daemon: NameServerDaemon) -> dict[str, Any]:
    host, port = daemon.sock.getsockname()
    return {"host": host, "port": port, "lease": 60.0}


def uri_in(daemon: NameServerDaemon, name: str) -> str:
    record = daemon.nameserver.service.get(name)
    assert record is not None
    return record.uri


def test_the_name_server_may_be_in_the_same_daemon_before_anybody_serves_it(names: NameServerDaemon) -> None:
    announcement = names.announce(Thing(), "lab.thing", **here(names))
    assert uri_in(names, "lab.thing") == str(announcement.uri)
    with serving(names):
        with pyronym.Proxy(announcement.uri) as thing:
            assert thing.ping() == "pong"
        announcement.close()
        assert "lab.thing" not in names.nameserver.service


def test_the_name_server_may_be_in_a_combined_daemon(names: NameServerDaemon) -> None:
    with Daemon("127.0.0.1") as daemon:
        daemon.combine(names)
        daemon.announce(Thing(), "lab.thing", **here(names))
        assert "lab.thing" in names.nameserver.service


def test_another_thread_may_serve(names: NameServerDaemon) -> None:
    with serving(names):
        names.announce(Thing(), "lab.thing", **here(names))
        assert "lab.thing" in names.nameserver.service


def test_a_loop_of_ones_own_may_serve(names: NameServerDaemon) -> None:
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            ready, _, _ = select.select(names.sockets, [], [], 0.1)
            names.events(ready)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        names.announce(Thing(), "lab.thing", **here(names))
        assert "lab.thing" in names.nameserver.service
    finally:
        done.set()
        thread.join(PATIENCE)


def test_an_asyncio_loop_may_serve(names: NameServerDaemon) -> None:
    async def main() -> None:
        names.attach()
        names.announce(Thing(), "lab.blocking", **here(names))
        await asyncio.to_thread(names.announce, Thing(), "lab.threaded", **here(names))
        assert {"lab.blocking", "lab.threaded"} < set(names.nameserver.service._directory)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


class Announcing:
    """Announces from inside of its methods."""

    def __init__(self, daemon: NameServerDaemon) -> None:
        self.daemon = daemon
        self.announcements: list[ThreadAnnouncement] = []

    @expose
    def in_a_worker(self) -> bool:
        self.daemon.announce(Thing(), "lab.worker", **here(self.daemon))
        return "lab.worker" in self.daemon.nameserver.service

    @expose
    async def on_the_loop(self) -> None:
        self.announcements.append(self.daemon.announce(Thing(), "lab.loop", **here(self.daemon)))


def test_a_remote_method_may_announce(names: NameServerDaemon) -> None:
    announcing = Announcing(names)
    uri = names.register(announcing)
    with serving(names), pyronym.Proxy(uri) as proxy:
        assert proxy.in_a_worker()
        with Changes(here(names)["port"]) as changes:
            proxy.on_the_loop()  # cannot wait: the name server would have to answer on this loop
            changes.wait_for(("registered", "lab.loop"))
        announcing.announcements[0].started.result(PATIENCE)


def test_who_serves_only_to_wait_makes_way_for_who_wants_to_serve() -> None:
    with Daemon("127.0.0.1") as silent, Daemon("127.0.0.1") as daemon:
        host, port = silent.sock.getsockname()  # takes connections and answers nobody
        settings = replace(config.settings, locate_timeout=2.0)
        thing, serving_it = Thing(), threading.Event()
        uri = daemon.register(Thing())
        failure: list[BaseException] = []

        def announce() -> None:
            try:
                daemon.announce(thing, "lab.thing", host=host, port=port, settings=settings)
            except PyroError as problem:
                failure.append(problem)

        def serve() -> None:
            serving_it.set()
            daemon.requestLoop()

        announcer = threading.Thread(target=announce)
        announcer.start()
        with pyronym.Proxy(uri) as proxy:
            assert proxy.ping() == "pong"  # the waiting thread serves
            server = threading.Thread(target=serve)
            server.start()
            announcer.join(PATIENCE)
            assert isinstance(failure[0], NameServerNotFoundError)
            assert proxy.ping() == "pong"  # the other one does
            assert serving_it.is_set()
            with pytest.raises(DaemonError, match="being served already"):
                daemon.requestLoop()
        daemon.close()
        server.join(PATIENCE)
        assert not server.is_alive()


def test_what_cannot_be_announced_is_not_hosted_either(names: NameServerDaemon) -> None:
    names.nameserver.register("lab.thing", "PYRO:other@localhost:1")
    thing = Thing()
    with pytest.raises(NameTakenError):
        names.announce(thing, "lab.thing", safe=True, **here(names))
    with pytest.raises(ValueError, match="invalid lease"):
        names.announce(thing, "lab.thing", **{**here(names), "lease": -1})
    with pytest.raises(TypeError, match="announce has no keyword 'sfae'"):
        names.announce(thing, "lab.thing", sfae=True)  # type: ignore[call-arg]  # a slip of the pen
    assert len(names.registered()) == 2
    assert not hasattr(thing, "_pyroId")


def test_an_object_that_is_hosted_already_keeps_its_id_and_may_have_several_names(names: NameServerDaemon) -> None:
    thing = Thing()
    uri = names.register(thing, "thing")
    assert names.announce(thing, "lab.one", **here(names)).uri == uri
    assert names.announce(thing, "lab.two", metadata=["tag"], **here(names)).uri == uri
    with serving(names), Changes(here(names)["port"]) as changes:
        assert changes.names.lookup("lab.two", return_metadata=True)[1] == ["tag"]
        names.unregister(thing)
        changes.wait_for(("removed", "lab.one"), ("removed", "lab.two"))


def test_names_go_when_the_daemon_is_closed(names: NameServerDaemon) -> None:
    with serving(names), Changes(here(names)["port"]) as changes:
        with Daemon("127.0.0.1") as daemon:
            announcement = daemon.announce(Thing(), "lab.thing", objectId="thing", **here(names))
            assert str(announcement.uri).startswith("PYRO:thing@127.0.0.1:")
        changes.wait_for(("removed", "lab.thing"))


def test_an_announcement_may_be_closed_and_made_again(names: NameServerDaemon) -> None:
    thing = Thing()
    with serving(names):
        names.announce(thing, "lab.thing", **here(names)).close()
        assert "lab.thing" not in names.nameserver.service
        names.announce(thing, "lab.thing", **here(names))
        assert "lab.thing" in names.nameserver.service
