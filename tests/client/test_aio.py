"""The proxy on an event loop, with daemons that answer as told."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
from scripted import Hangup, Raw, ScriptedDaemon, Silence, Stream

from loops import LOOPS, PATIENCE, OnLoop
from pyronym import aio
from pyronym.client.aio.network import LOOP, LoopStream
from pyronym.client.deadline import ENDLESS
from pyronym.client.dialing import dial
from pyronym.errors import (
    CommunicationError,
    ConnectionClosedError,
    MessageTooLargeError,
    NotSentError,
    ProtocolError,
    SerializeError,
    TimeoutError,
)
from pyronym.settings import Settings
from pyronym.tls import ServerCertificates
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5
from tls_files import Certificates


@pytest.fixture(params=LOOPS)
def on_loop(request: pytest.FixtureRequest) -> OnLoop[Any]:
    play: OnLoop[Any] = request.param
    return play


def echo(*args: object, **kwargs: object) -> object:
    return [list(args), kwargs]


class Slow:
    """A method that returns when it is told to. `started` is set while it runs."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.release = threading.Event()

    def __call__(self) -> str:
        self.started.set()
        self.release.wait(PATIENCE)
        return "slow"


class Meeting:
    """A method in which so many callers wait for each other, so that it returns only if they are there together."""

    def __init__(self, callers: int) -> None:
        self._barrier = threading.Barrier(callers, timeout=PATIENCE)

    def __call__(self) -> str:
        self._barrier.wait()
        return "met"


# Calls


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_methods_and_attributes_are_awaited(protocol: int, on_loop: OnLoop[None]) -> None:
    state = {"mood": "calm"}
    methods = {"echo": echo, "__getattr__": state.get, "__setattr__": state.__setitem__}

    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            assert await proxy.echo(1, two=2) == [[1], {"two": 2}]
            assert await proxy.mood == "calm"
            await proxy._pyroSet("mood", "wild")
            assert await proxy.mood == "wild"

    with ScriptedDaemon(methods, attributes=["mood"], protocol=protocol) as daemon:
        on_loop(main())


def test_what_the_object_does_not_have_is_not_asked_for(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            for action in (proxy.nothing(), proxy._pyroSet("nothing", 1)):
                with pytest.raises(AttributeError, match="has no exposed attribute or method 'nothing'"):
                    await action
            with pytest.raises(AttributeError, match="nothing"):
                await proxy.nothing
            assert await proxy.echo() == [[], {}]

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())
        assert daemon.calls == ["echo"]
        assert daemon.connections == 1


def test_attributes_cannot_be_set_by_assignment() -> None:
    proxy = aio.Proxy("PYRO:thing@localhost:1")
    with pytest.raises(AttributeError, match=r"await proxy._pyroSet\('mood', value\)"):
        proxy.mood = 1


def test_what_the_method_raises_is_raised_here(on_loop: OnLoop[None]) -> None:
    def fail() -> None:
        raise ZeroDivisionError("no")

    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            with pytest.raises(ZeroDivisionError, match=r"^no$") as caught:
                await proxy.fail()
            assert caught.value._pyroTraceback == ["remote line\n"]  # type: ignore[attr-defined]
            with pytest.raises(ZeroDivisionError):
                await proxy.fail()

    with ScriptedDaemon({"fail": fail}) as daemon:
        on_loop(main())
        assert daemon.connections == 1


def test_a_oneway_call_waits_for_no_answer(on_loop: OnLoop[None]) -> None:
    noted: list[int] = []

    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            assert await proxy.note(1) is None
            assert await proxy.noted() == [1]

    with ScriptedDaemon({"note": noted.append, "noted": lambda: noted}, oneway=["note"]) as daemon:
        on_loop(main())


def test_proxies_in_answers_are_of_the_same_kind_and_travel_as_arguments(on_loop: OnLoop[None]) -> None:
    other = aio.Proxy("PYRO:other@localhost:1")
    methods = {"other": lambda: [other._pyroReference()], "kind": lambda value: type(value).__name__}

    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            (found,) = await proxy.other()
            assert type(found) is aio.Proxy
            assert found == other
            assert await proxy.kind(proxy) == "RemoteReference"

    with ScriptedDaemon(methods) as daemon:
        on_loop(main())


def test_a_stream_is_fetched_item_by_item_and_gives_its_connection_back(on_loop: OnLoop[None]) -> None:
    items = iter([1, 2])

    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=1) as proxy:
            numbers = await proxy.numbers()
            assert await anext(numbers) == 1
            assert await proxy.echo(1) == [[1], {}]  # on another connection
            assert [number async for number in numbers] == [2]
            assert [number async for number in numbers] == []

    methods = {"numbers": lambda: Stream("s1"), "get_next_stream_item": lambda _: next(items), "echo": echo}
    with ScriptedDaemon(methods) as daemon:
        on_loop(main())
        assert daemon.connections == 2


def test_a_stream_that_is_given_up_closes_its_connection(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            numbers = await proxy.numbers()
            await numbers.aclose()
            assert [number async for number in numbers] == []
            del numbers
            dropped = await proxy.numbers()
            del dropped
            assert await proxy.echo() == [[], {}]

    with ScriptedDaemon({"numbers": lambda: Stream("s1"), "echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 3


# Several at a time


def test_concurrent_calls_have_connections_of_their_own(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=3) as proxy:
            assert await asyncio.gather(*(proxy.meet() for _ in range(3))) == ["met"] * 3
            assert await asyncio.gather(*(proxy.echo(n) for n in range(30))) == [[[n], {}] for n in range(30)]

    with ScriptedDaemon({"meet": Meeting(3), "echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 3


def test_one_call_after_the_other_uses_one_connection(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            for number in range(10):
                assert await proxy.echo(number) == [[number], {}]
            assert "0 of 4 connections in use, 1 kept" in repr(proxy)

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 1


def test_waiting_for_a_connection_is_part_of_the_timeout(on_loop: OnLoop[None]) -> None:
    slow = Slow()

    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=1) as proxy:
            call = asyncio.ensure_future(proxy.slow())
            await asyncio.to_thread(slow.started.wait, PATIENCE)
            proxy._pyroTimeout = 0.05
            with pytest.raises(TimeoutError, match="all 1 connections of the proxy are in use"):
                await proxy.echo()
            slow.release.set()
            assert await call == "slow"
            proxy._pyroTimeout = None
            assert await proxy.echo() == [[], {}]

    with ScriptedDaemon({"slow": slow, "echo": echo}) as daemon:
        on_loop(main())


def test_a_number_of_connections_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"invalid number of connections: 0 \(expected 1 or more\)"):
        aio.Proxy("PYRO:thing@localhost:1", connections=0)


# Failures


def test_a_cancelled_call_never_leaves_its_answer_to_the_next(on_loop: OnLoop[None]) -> None:
    slow = Slow()

    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=1) as proxy:
            await proxy.echo()
            call = asyncio.ensure_future(proxy.slow())
            await asyncio.to_thread(slow.started.wait, PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            quick = asyncio.ensure_future(proxy.echo("quick"))
            slow.release.set()
            assert await quick == [["quick"], {}]
            assert await proxy.echo("next") == [["next"], {}]

    with ScriptedDaemon({"slow": slow, "echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 2


def test_a_call_can_be_cancelled_at_any_moment(on_loop: OnLoop[None]) -> None:
    """Cancelled after so many turns of the loop: while connecting, shaking hands, or waiting for its answer."""

    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=1) as proxy:
            for turns in range(40):
                call = asyncio.ensure_future(proxy.echo("cancelled"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                if turns % 4 == 0:
                    proxy._pyroRelease()
                assert await proxy.echo(turns) == [[turns], {}]

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())


def test_a_timeout_ends_the_connection_so_that_the_late_answer_is_never_taken(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri, connections=1) as proxy:
            await proxy.echo()
            proxy._pyroTimeout = 0.05
            with pytest.raises(TimeoutError, match=f"timeout: no answer from {daemon.location} in time"):
                await proxy.silent()
            proxy._pyroTimeout = PATIENCE
            assert await proxy.echo(1) == [[1], {}]

    with ScriptedDaemon({"silent": lambda: Silence, "echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 2


def test_the_timeout_holds_for_connecting(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri, settings=Settings(commtimeout=0.05)) as proxy:
            with pytest.raises(TimeoutError):
                await proxy.echo()

    with ScriptedDaemon(silent=True) as daemon:
        on_loop(main())


def test_a_lost_connection_is_an_error_once(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            with pytest.raises(ConnectionClosedError, match=f"{daemon.location} closed the connection"):
                await proxy.end()
            assert await proxy.echo() == [[], {}]

    with ScriptedDaemon({"end": lambda: Hangup, "echo": echo}) as daemon:
        on_loop(main())


def test_a_connection_that_was_dropped_meanwhile_is_replaced(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            assert await proxy.echo(1) == [[1], {}]
            daemon.drop_connections()  # and the loop has no chance to see it
            assert await proxy.echo(2) == [[2], {}]

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 2


def test_lost_connections_are_retried_as_often_as_allowed(on_loop: OnLoop[None]) -> None:
    ends = iter([Hangup, Silence, "third"])

    async def main() -> None:
        async with aio.Proxy(daemon.uri, settings=Settings(max_retries=2, commtimeout=0.5)) as proxy:
            assert await proxy.work() == "third"

    with ScriptedDaemon({"work": lambda: next(ends)}) as daemon:
        on_loop(main())


def test_arguments_that_cannot_travel_leave_the_connection_as_it_is(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri, settings=Settings(max_message_size=1000)) as proxy:
            with pytest.raises(SerializeError):
                await proxy.echo(object())
            with pytest.raises(MessageTooLargeError):
                await proxy.echo("x" * 1000)
            assert await proxy.echo(1) == [[1], {}]

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 1


def test_an_answer_in_pieces_is_put_together_and_garbage_is_refused(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            assert await proxy.echo("x" * 500_000) == [["x" * 500_000], {}]
            with pytest.raises(ProtocolError):
                await proxy.garbage()
            assert await proxy.echo(1) == [[1], {}]

    with ScriptedDaemon({"garbage": lambda: Raw([b"HTTP/1.1 200 OK\r\n" * 10]), "echo": echo}) as daemon:
        on_loop(main())


class Deaf(ScriptedDaemon):
    """Closes the connection in the middle of a message that is over the limit, and says nothing."""

    def _refuse_with(self, sock: socket.socket, problem: Exception) -> None:
        sock.shutdown(socket.SHUT_RD)


def test_a_request_that_was_not_sent_in_full_is_known_as_such(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            await proxy.echo()
            with pytest.raises(NotSentError):
                await proxy.echo("x" * 15_000_000)
            assert await proxy.echo(1) == [[1], {}]

    with Deaf({"echo": echo}, limit=1000) as daemon:
        on_loop(main())


class HalfClosing(ScriptedDaemon):
    """Ends its side in the middle of a message that is over the limit, and reads on when it is told to."""

    def __init__(self, **options: Any) -> None:
        self.go_on = threading.Event()
        self.received = 0
        super().__init__({"echo": echo}, **options)

    def _refuse_with(self, sock: socket.socket, problem: Exception) -> None:
        sock.shutdown(socket.SHUT_WR)
        self.go_on.wait(PATIENCE)
        with suppress(ConnectionError):
            while data := sock.recv(65536):
                self.received += len(data)


def test_the_rest_of_a_request_is_not_sent_when_nobody_will_answer_it(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri) as proxy:
            with pytest.raises(NotSentError):
                await proxy.echo("x" * 15_000_000)
            daemon.go_on.set()

    with HalfClosing(limit=1000) as daemon:
        on_loop(main())
    assert daemon.received < 14_000_000


def test_nobody_there_is_a_communication_error(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        with pytest.raises(CommunicationError, match=rf"^cannot connect to {daemon.location}: .*refused"):
            await aio.Proxy(daemon.uri)._pyroBind()

    with ScriptedDaemon() as daemon:
        pass
    on_loop(main())


def test_messages_are_signed_with_the_key(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(daemon.uri, hmac_key="secret") as proxy:
            assert await proxy.echo() == [[], {}]

    with ScriptedDaemon({"echo": echo}, hmac_key=b"secret") as daemon:
        on_loop(main())


# Its life


def test_a_unix_socket_and_ipv6_lead_to_daemons(tmp_path: Any, on_loop: OnLoop[None]) -> None:
    async def main(uri: str) -> None:
        async with aio.Proxy(uri) as proxy:
            assert await proxy.echo() == [[], {}]

    for where in ({"path": str(tmp_path / "thing")}, {"host": "::1"}):
        with ScriptedDaemon({"echo": echo}, **where) as daemon:  # type: ignore[arg-type]  # each has one of them
            on_loop(main(daemon.uri))


def test_a_proxy_can_be_used_after_its_release(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        proxy = aio.Proxy(daemon.uri)
        await proxy._pyroBind()
        async with proxy:
            assert await proxy.echo(1) == [[1], {}]
        assert await proxy.echo(2) == [[2], {}]
        proxy._pyroRelease()

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())
        assert daemon.connections == 2


def test_a_release_lets_the_call_that_is_under_way_end(on_loop: OnLoop[None]) -> None:
    slow = Slow()

    async def main() -> None:
        proxy = aio.Proxy(daemon.uri)
        call = asyncio.ensure_future(proxy.slow())
        await asyncio.to_thread(slow.started.wait, PATIENCE)
        proxy._pyroRelease()
        slow.release.set()
        assert await call == "slow"
        assert "0 of 4 connections in use, 0 kept" in repr(proxy)

    with ScriptedDaemon({"slow": slow}) as daemon:
        on_loop(main())


def test_a_proxy_that_is_dropped_closes_its_connections(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        await aio.Proxy(daemon.uri).echo()
        gc.collect()
        with daemon._open[0].dup() as other_end:
            assert await asyncio.to_thread(other_end.recv, 1) == b""

    with ScriptedDaemon({"echo": echo}) as daemon:
        on_loop(main())


def test_a_name_is_resolved_on_the_way(on_loop: OnLoop[None]) -> None:
    async def main() -> None:
        async with aio.Proxy(f"PYRONAME:echo@127.0.0.1:1,{names.location}") as proxy:
            assert await proxy.echo(1) == [[1], {}]
        assert await aio.resolve(f"PYRONAME:echo@{names.location}") == URI(daemon.uri)
        with pytest.raises(TypeError):
            await aio.resolve(7)  # type: ignore[arg-type]

    with ScriptedDaemon({"echo": echo}) as daemon:
        with ScriptedDaemon({"lookup": lambda name: URI(daemon.uri)}, object_id="Pyro.NameServer") as names:
            on_loop(main())


def test_no_connection_is_left_at_the_descriptor_of_the_next_socket_when_connecting_is_cancelled(
    on_loop: OnLoop[None], certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the last moment: TLS has shaken hands, and would say goodbye in good order."""
    made = LoopStream.connection_made

    async def main() -> None:
        tls = ServerCertificates(certificates.server()).context()
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=tls) as server:
            uri = URI(f"PYRO:o@127.0.0.1:{server.sockets[0].getsockname()[1]}")
            connecting = asyncio.create_task(dial(LOOP, uri, certificates.client(), ENDLESS))

            def cancelled(stream: LoopStream, transport: asyncio.BaseTransport) -> None:
                made(stream, transport)
                connecting.cancel()

            with monkeypatch.context() as patch:
                patch.setattr(LoopStream, "connection_made", cancelled)
                with suppress(asyncio.CancelledError):
                    await connecting
            (await dial(LOOP, uri, certificates.client(), ENDLESS)).close()

    on_loop(main())
