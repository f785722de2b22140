"""Every way to serve a daemon, and every way to stop one."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from serving import PATIENCE, RawClient, address_of, connected, serving

from pyronym.client.proxy import Proxy
from pyronym.errors import DaemonError
from pyronym.rpc.exposed import expose, oneway
from pyronym.server.daemon import GOODBYE_SECONDS, Daemon
from pyronym.settings import Settings
from pyronym.uri import URI

SETTINGS = Settings()


@expose
class Service:
    """Methods that stop their own daemon, or do not."""

    def __init__(self) -> None:
        self.stopped = False
        self.entered, self.gate = threading.Event(), threading.Event()

    def add(self, a: int, b: int) -> int:
        return a + b

    async def add_later(self, a: int, b: int) -> int:
        await asyncio.sleep(0.01)
        return a + b

    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)

    def hold(self) -> str:
        self.entered.set()
        self.gate.wait(PATIENCE)
        return "held"

    async def hold_forever(self) -> None:
        self.entered.set()
        await asyncio.get_running_loop().create_future()

    def set_flag(self) -> str:
        self.stopped = True
        return "flag set"

    def shut_down(self) -> str:
        self._pyroDaemon.shutdown()  # type: ignore[attr-defined]
        return "shutting down"

    async def shut_down_async(self) -> str:
        self._pyroDaemon.shutdown()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return "shutting down"

    @oneway
    def shut_down_oneway(self) -> None:
        self._pyroDaemon.shutdown()  # type: ignore[attr-defined]


def use(uri: URI) -> None:
    """What a client wants of a daemon, however that is served."""
    for protocol in (4, 5):
        with Proxy(uri, protocol=protocol) as proxy:
            proxy._pyroTimeout = PATIENCE
            assert proxy.add(1, 2) == 3
            assert proxy.add_later(1, 2) == 3
            assert list(proxy.numbers(3)) == [0, 1, 2]
    proxies = [Proxy(uri) for _ in range(20)]
    for proxy in proxies:
        proxy._pyroTimeout = PATIENCE
        proxy._pyroBind()
    assert [proxy.add(0, i) for i, proxy in enumerate(proxies)] == list(range(20))
    for proxy in proxies:
        proxy._pyroRelease()


@contextmanager
def in_a_thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run clients in a thread, so that this one can serve. What they raise is raised at the end."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive()
    for problem in problems:
        raise problem


# Ways to serve


def test_the_request_loop_of_a_thread() -> None:
    with serving(Daemon("127.0.0.1")) as daemon:
        use(daemon.register(Service()))


def test_the_request_loop_of_the_main_thread() -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())

        def visit() -> None:
            use(uri)
            daemon.shutdown()

        with in_a_thread(visit):
            daemon.requestLoop()


def test_a_select_loop_of_ones_own() -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        with in_a_thread(lambda: use(uri)) as visitors:
            while visitors.is_alive():
                ready, _, _ = select.select(daemon.sockets, [], [], 0.1)
                if ready:
                    daemon.events(ready)


def test_a_select_loop_that_watches_two_daemons_and_fixed_lists_of_their_sockets() -> None:
    with Daemon("127.0.0.1") as first, Daemon("127.0.0.1") as second:
        uris = [daemon.register(Service()) for daemon in (first, second)]
        of_first, of_second = set(first.sockets), set(second.sockets)

        def visit() -> None:
            for uri in uris:
                use(uri)

        with in_a_thread(visit) as visitors:
            while visitors.is_alive():
                ready, _, _ = select.select(of_first | of_second, [], [], 0.1)
                for daemon, own in ((first, of_first), (second, of_second)):
                    events = [sock for sock in ready if sock in own]
                    if events:
                        daemon.events(events)


def test_a_selector_of_ones_own() -> None:
    with Daemon("127.0.0.1") as daemon, selectors.DefaultSelector() as selector:
        uri = daemon.register(Service())
        selector.register(daemon, selectors.EVENT_READ)
        with in_a_thread(lambda: use(uri)) as visitors:
            while visitors.is_alive():
                for key, _ in selector.select(0.1):
                    assert key.fileobj is daemon
                    daemon.events([daemon])


def test_the_request_loop_of_another_daemon() -> None:
    with Daemon("127.0.0.1") as main, Daemon("127.0.0.1") as second, Daemon("127.0.0.1") as third:
        uris = [daemon.register(Service()) for daemon in (main, second, third)]
        main.combine(second)
        second.combine(third)

        def visit() -> None:
            for uri in uris:
                use(uri)
            main.shutdown()

        with in_a_thread(visit):
            main.requestLoop()


def test_a_daemon_is_combined_into_one_that_is_being_served() -> None:
    with serving(Daemon("127.0.0.1")) as main, Daemon("127.0.0.1") as second:
        main.combine(second)
        use(second.register(Service()))
        second.close()
        use(main.register(Service()))
        with Daemon("127.0.0.1") as third:  # most likely with the descriptor that the second one had
            main.combine(third)
            use(third.register(Service()))


def test_a_running_asyncio_loop() -> None:
    async def main() -> None:
        with Daemon("127.0.0.1") as daemon:
            uri = daemon.register(Service())
            daemon.attach()
            await asyncio.to_thread(use, uri)

    asyncio.run(main())


def test_a_running_asyncio_loop_that_watches_the_descriptor_itself() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Daemon("127.0.0.1") as daemon:
            uri = daemon.register(Service())
            loop.add_reader(daemon.fileno(), daemon.events)
            await asyncio.to_thread(use, uri)
            loop.remove_reader(daemon.fileno())

    asyncio.run(main())


def test_a_task_that_does_turns_by_itself() -> None:
    async def main() -> None:
        with Daemon("127.0.0.1") as daemon:
            visit = asyncio.create_task(asyncio.to_thread(use, daemon.register(Service())))
            while not visit.done():
                daemon.events()
                await asyncio.sleep(0.001)
            await visit

    asyncio.run(main())


def test_one_way_after_the_other() -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        asked: list[int] = []
        daemon.requestLoop(lambda: bool(asked.append(1)))
        assert asked == [1]
        daemon.events()
        with in_a_thread(daemon.requestLoop):
            use(uri)
            daemon.request_stop()
        with in_a_thread(daemon.requestLoop):
            use(uri)
            daemon.request_stop()


def test_clients_that_came_before_anybody_served_are_answered() -> None:
    with Daemon("127.0.0.1") as daemon:
        clients = [RawClient(daemon) for _ in range(50)]
        for client in clients:
            client.sock.sendall(client.connect_message() + client.call_message("ping"))
        with serving(daemon):
            for client in clients:
                client.receive()
                assert client.value(client.receive()) is None
                client.sock.close()


def test_a_method_that_calls_its_own_daemon() -> None:
    @expose
    class Caller:
        def __init__(self) -> None:
            self.uri = ""

        def call(self) -> int:
            with Proxy(self.uri) as proxy:
                return int(proxy.add(1, 2))

    caller = Caller()
    with serving(Daemon("127.0.0.1")) as daemon:
        caller.uri = str(daemon.register(Service()))
        with Proxy(daemon.register(caller)) as proxy:
            assert proxy.call() == 3


# What cannot be


def test_a_daemon_is_served_by_one_thread_at_a_time() -> None:
    with serving(Daemon("127.0.0.1")) as daemon, connected(daemon):  # it has answered, so it is running
        with pytest.raises(DaemonError, match="served already"):
            daemon.requestLoop()
        with pytest.raises(DaemonError, match="served already"):
            daemon.events()


def test_a_condition_cannot_serve_its_own_daemon() -> None:
    with Daemon("127.0.0.1") as daemon, pytest.raises(DaemonError, match="served already"):
        daemon.requestLoop(daemon.events)


def test_a_request_loop_is_refused_where_an_asyncio_loop_is_running() -> None:
    async def main() -> None:
        with Daemon("127.0.0.1") as daemon, pytest.raises(DaemonError, match=r"call daemon\.attach\(\)"):
            daemon.requestLoop()

    asyncio.run(main())


# Ways to stop


def test_a_flag_that_a_remote_method_sets_ends_the_loop_and_the_answer_still_arrives() -> None:
    service = Service()
    answers: list[object] = []
    settings = replace(SETTINGS, polltimeout=60)  # it is asked because of the request
    with Daemon("127.0.0.1", settings=settings) as daemon:
        uri = daemon.register(service)
        with in_a_thread(lambda: answers.append(Proxy(uri).set_flag())):
            daemon.requestLoop(lambda: not service.stopped)
            daemon.close()
    assert answers == ["flag set"]


def test_the_condition_is_asked_again_when_nothing_happens() -> None:
    ends = time.monotonic() + 0.1
    with Daemon("127.0.0.1", settings=replace(SETTINGS, polltimeout=0.05)) as daemon:
        daemon.requestLoop(lambda: time.monotonic() < ends)
    assert ends <= time.monotonic() < ends + PATIENCE


def test_an_interrupt_ends_the_request_loop_quietly_and_it_can_go_on() -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        daemon._loop.post(os.kill, os.getpid(), signal.SIGINT)
        daemon.requestLoop()
        with in_a_thread(daemon.requestLoop):
            use(uri)
            daemon.request_stop()


def test_a_signal_handler_can_ask_to_stop() -> None:
    with Daemon("127.0.0.1") as daemon:
        previous = signal.signal(signal.SIGTERM, lambda *_: daemon.request_stop())
        try:
            daemon._loop.post(os.kill, os.getpid(), signal.SIGTERM)
            daemon.requestLoop()
        finally:
            signal.signal(signal.SIGTERM, previous)
        assert daemon.sockets == [daemon]


def test_a_signal_handler_can_shut_down() -> None:
    with Daemon("127.0.0.1") as daemon:
        previous = signal.signal(signal.SIGTERM, lambda *_: daemon.shutdown())
        try:
            daemon._loop.post(os.kill, os.getpid(), signal.SIGTERM)
            daemon.requestLoop()
        finally:
            signal.signal(signal.SIGTERM, previous)
        assert daemon.sockets == []


@pytest.mark.parametrize("method", ["shut_down", "shut_down_async"])
def test_a_remote_method_shuts_the_daemon_down_and_is_answered(method: str) -> None:
    answers: list[object] = []
    started = time.monotonic()
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        with in_a_thread(lambda: answers.append(getattr(Proxy(uri), method)())):
            daemon.requestLoop()
        assert daemon.sockets == []
    assert answers == ["shutting down"]
    assert time.monotonic() - started < GOODBYE_SECONDS


@pytest.mark.parametrize("method", ["shut_down", "shut_down_async", "shut_down_oneway"])
def test_a_remote_method_shuts_down_a_daemon_in_a_select_loop(method: str) -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Service())
        with in_a_thread(lambda: getattr(Proxy(uri), method)()):
            while daemon.sockets:
                select.select(daemon.sockets, [], [], PATIENCE)
                daemon.events(daemon.sockets)
        assert daemon.fileno() == -1


@pytest.mark.parametrize("method", ["shut_down", "shut_down_async", "shut_down_oneway"])
def test_a_remote_method_shuts_down_a_daemon_in_an_asyncio_loop(method: str) -> None:
    async def main() -> None:
        daemon = Daemon("127.0.0.1")
        uri = daemon.register(Service())
        daemon.attach()
        await asyncio.to_thread(lambda: getattr(Proxy(uri), method)())
        deadline = time.monotonic() + PATIENCE
        while daemon.sockets:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)  # the daemon has no event to wait for

    asyncio.run(main())


@pytest.mark.parametrize("method", ["shut_down", "shut_down_async", "shut_down_oneway"])
def test_a_remote_method_shuts_down_a_combined_daemon_and_the_others_go_on(method: str) -> None:
    with serving(Daemon("127.0.0.1")) as main, Daemon("127.0.0.1") as second:
        main.combine(second)
        with Proxy(second.register(Service())) as proxy:
            getattr(proxy, method)()
        use(main.register(Service()))
        deadline = time.monotonic() + PATIENCE
        while second.sockets:
            assert time.monotonic() < deadline


def test_shutdown_from_another_thread_returns_when_all_is_closed() -> None:
    with Daemon("127.0.0.1") as daemon:
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        client = connected(daemon)
        daemon.shutdown()
        assert daemon.sockets == []
        assert client.is_closed()
        client.sock.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_shutdown_before_the_request_loop_has_begun() -> None:
    daemon = Daemon("127.0.0.1")
    daemon.shutdown()
    daemon.requestLoop(lambda: pytest.fail("it ran"))
    daemon.events()
    assert daemon.sockets == []


def test_a_daemon_that_nobody_ever_served_is_closed() -> None:
    Daemon("127.0.0.1").close()


def test_closing_again_or_using_a_closed_daemon_does_no_harm() -> None:
    with Daemon("127.0.0.1") as daemon:
        pass
    daemon.close()
    daemon.shutdown()
    daemon.request_stop()
    daemon.events([])
    with Daemon("127.0.0.1") as other:
        other.combine(daemon)
        daemon.combine(other)
        other.events()


def test_many_threads_may_close_at_once() -> None:
    with Daemon("127.0.0.1") as daemon:
        threads = [threading.Thread(target=daemon.requestLoop)]
        threads += [threading.Thread(target=daemon.close) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def wait_until_refused(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(address) == errno.ECONNREFUSED:
                return
    raise AssertionError("somebody still listens")


def test_calls_that_are_running_are_answered_before_the_end() -> None:
    service = Service()
    with serving(Daemon("127.0.0.1")) as daemon:
        daemon.register(service, "service")
        address = address_of(daemon)
        with connected(daemon, "service") as client:
            client.send("hold")
            assert service.entered.wait(PATIENCE)
            client.send("add", 1, 2)
            while not any(connection._paused for connection in daemon._clients._open):
                pass  # until this call has come as far as it can
            closing = threading.Thread(target=daemon.close)
            closing.start()
            wait_until_refused(address)
            started = time.monotonic()
            service.gate.set()
            assert client.value(client.receive()) == "held"
            assert client.is_closed()  # with the call behind it not performed
            closing.join(PATIENCE)
            assert time.monotonic() - started < GOODBYE_SECONDS / 2


@pytest.mark.parametrize("method", ["hold", "hold_forever"])
def test_a_call_that_does_not_end_holds_up_the_end_only_so_long(method: str) -> None:
    service = Service()
    with serving(Daemon("127.0.0.1")) as daemon:
        daemon.register(service, "service")
        with connected(daemon, "service") as client:
            client.send(method)
            assert service.entered.wait(PATIENCE)
            started = time.monotonic()
            daemon.close()
            assert time.monotonic() - started < GOODBYE_SECONDS + 1
            assert client.is_closed()
    service.gate.set()


def test_a_client_that_does_not_read_holds_up_the_end_only_so_long() -> None:
    @expose
    class Big:
        def big(self) -> str:
            return "x" * 30_000_000

    with serving(Daemon("127.0.0.1", settings=replace(SETTINGS, max_message_size=0))) as daemon:
        daemon.register(Big(), "big")
        with connected(daemon, "big") as client:
            client.send("big")
            assert client.sock.recv(1) != b""
            started = time.monotonic()
            daemon.close()
            assert time.monotonic() - started < GOODBYE_SECONDS + 1


def test_a_subclass_gives_back_what_it_has_when_nothing_runs_any_more() -> None:
    class Owner(Daemon):
        released = 0

        def _release(self) -> None:
            assert self.sockets == []
            self.released += 1

    with serving(Owner("127.0.0.1")) as daemon:
        with Proxy(daemon.register(Service())) as proxy:
            proxy.shut_down()
    daemon.close()
    assert isinstance(daemon, Owner)
    assert daemon.released == 1


def test_nothing_is_left_of_daemons_that_are_closed(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    before, threads = opened(), set(threading.enumerate())
    for number in range(5):
        with serving(Daemon(unixsocket=str(tmp_path / f"socket{number}"))) as daemon:
            with Proxy(daemon.register(Service())) as proxy:
                assert proxy.add(1, 2) == 3
        with pytest.raises(OSError, match="cannot listen"):
            Daemon("192.0.2.1")
    assert opened() == before
    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) <= threads


# The short form


def test_serve_simple_hosts_objects_by_name_and_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon("127.0.0.1")
    service = Service()
    location = daemon.locationStr

    def visit() -> None:
        use(URI(f"PYRO:service@{location}"))
        daemon.shutdown()

    with in_a_thread(visit):
        Daemon.serveSimple({service: "service", Service(): None}, daemon=daemon, ns=False)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Object <")
    assert said[0].endswith(">:")
    assert said[1] == f"    uri = PYRO:service@{location}"
    assert said[3].startswith("    uri = PYRO:obj_")
    assert said[-1] == "Pyro daemon running."
