"""Name servers of several nodes, which are killed: the blocking client, and that on event loops."""

from __future__ import annotations

import asyncio
import copy
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from scripted import Hangup, ScriptedDaemon, Silence

from loops import LOOPS, PATIENCE, OnLoop
from processes import NameServer, NameServers
from pyronym import aio
from pyronym.client import hedging, search
from pyronym.client.batch import batch
from pyronym.client.locate import NameServerProxy, locate, locateNS, resolve_with
from pyronym.client.nodes import HASTE
from pyronym.client.proxy import Proxy
from pyronym.errors import (
    CommunicationError,
    NameServerNotFoundError,
    NamingError,
    PyroError,
    TimeoutError,
    UncertainError,
    UnchangedError,
)
from pyronym.settings import Settings, config
from pyronym.uri import URI
from tls_files import Certificates, variables

URI_1, URI_2 = "PYRO:one@localhost:1", "PYRO:two@localhost:2"
SETTINGS = Settings(ns_host="127.0.0.1", broadcast_addrs=("127.0.0.1",))


class Node(ScriptedDaemon):
    """A node that answers each lookup with its own URI; `end` is what it does instead, the first time it is asked."""

    def __init__(self, uri: str, end: object = None, **options: Any) -> None:
        self.registered: list[str] = []
        self.ends = [] if end is None else [end]
        self._uri = uri
        methods = {"lookup": self._lookup, "register": self._register, "ping": self._ping}
        super().__init__(methods, object_id="Pyro.NameServer", **options)

    def _ping(self) -> None:
        return None

    def _lookup(self, name: str) -> object:
        return self.ends.pop() if self.ends else URI(self._uri)

    def _register(self, name: str, uri: str) -> object:
        self.registered.append(name)
        return self.ends.pop() if self.ends else None


class BlockingCaller:
    """The blocking client, used as the other one is in these tests."""

    def locate(self, hosts: str, settings: Settings = SETTINGS) -> Any:
        return locate(hosts, settings=settings)

    def call(self, proxy: Any, method: str, *args: object) -> Any:
        return getattr(proxy, method)(*args)

    def release(self, proxy: Any) -> None:
        proxy._pyroRelease()


class LoopCaller:
    """The client on an event loop, used as the other one is in these tests."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def locate(self, hosts: str, settings: Settings = SETTINGS) -> Any:
        return self._runner.run(aio.locate_ns(hosts, settings=settings))

    def call(self, proxy: Any, method: str, *args: object) -> Any:
        return self._runner.run(getattr(proxy, method).__call__(*args))

    def release(self, proxy: Any) -> None:
        self._runner.run(proxy.__aexit__(None, None, None))


@contextmanager
def blocking() -> Iterator[Any]:
    yield BlockingCaller()


@contextmanager
def on_loop() -> Iterator[Any]:
    with asyncio.Runner() as runner:
        yield LoopCaller(runner)


@pytest.fixture(params=[blocking, on_loop])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    with request.param() as client:
        yield client


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


SOON, NEVER = 0.01, 3600.0
Haste = Callable[[float], None]


@pytest.fixture(autouse=True)
def ask_others(monkeypatch: pytest.MonkeyPatch) -> Haste:
    """Says when another node is asked, too: as long as nothing is said, never, however slow the machine is.

    Nor is another one looked for because one is slow.
    """

    def ask_others(seconds: float) -> None:
        monkeypatch.setattr(hedging, "HASTE", seconds)

    ask_others(NEVER)
    monkeypatch.setattr(search, "HASTE", NEVER)
    return ask_others


# Finding one


def test_the_first_node_that_answers_is_taken(client: Any, closed_port: int) -> None:
    with Node(URI_1) as one, Node(URI_2) as two:
        proxy = client.locate(f"127.0.0.1:{closed_port},{one.location},{two.location}")
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)
    assert two.connections == 0


def test_a_node_that_is_off_costs_little(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "HASTE", 0.1)
    with ScriptedDaemon(silent=True) as off, Node(URI_2) as two:
        started = time.monotonic()
        proxy = client.locate(f"{off.location},{two.location}", replace(SETTINGS, locate_timeout=60))
        assert time.monotonic() - started < 10  # an even share would be half a minute
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)


def test_a_node_that_freezes_after_it_has_said_hello_is_passed_over(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "HASTE", 0.1)
    with Node(URI_1) as one, Node(URI_2) as two:
        one.methods["nodes"] = lambda: Silence
        proxy = client.locate(f"{one.location},{two.location}", replace(SETTINGS, locate_timeout=60))
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)
        assert "nodes" in one.calls


def test_a_node_that_is_slow_is_found_if_no_other_is_there(
    client: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "HASTE", 0.001)
    with Node(URI_1) as slow:
        real = slow._welcome

        def welcome(message: Any) -> Any:
            threading.Event().wait(0.1)
            return real(message)

        monkeypatch.setattr(slow, "_welcome", welcome)
        proxy = client.locate(f"{slow.location},127.0.0.1:{closed_port}", replace(SETTINGS, locate_timeout=60))
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)


def test_when_nobody_answers_all_that_was_tried_is_listed_once(client: Any, closed_port: int) -> None:
    with ScriptedDaemon(silent=True) as frozen:
        with pytest.raises(NameServerNotFoundError) as caught:
            client.locate(f"127.0.0.1:{closed_port},{frozen.location}", replace(SETTINGS, locate_timeout=0.5))
    (first, refused), (second, late) = caught.value.attempts
    assert (first, second) == (f"127.0.0.1:{closed_port}", frozen.location)
    assert "Connection refused" in refused
    assert "time" in late
    assert f"{first}: {refused}; {second}: {late}" in str(caught.value)


def test_places_are_written_in_many_ways(client: Any, tmp_path: Any, closed_port: int) -> None:
    with Node(URI_1, host="::1") as one, Node(URI_2, path=str(tmp_path / "ns")) as two:
        port = replace(SETTINGS, ns_port=one.port)
        for hosts in (f"localhost:{closed_port}, [::1]", "127.0.0.1,::1", f"localhost:{closed_port},[::1]:{one.port}"):
            proxy = client.locate(hosts, port)
            assert client.call(proxy, "lookup", "x") == URI(URI_1)
            client.release(proxy)
        proxy = client.locate(f"127.0.0.1:{closed_port},{two.location}")
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("ns1,", r"^invalid name servers: 'ns1,' \(expected host\[:port\],host\[:port\],...\)"),
        ("ns1:port,ns2", "invalid port in uri, port=port"),
        ("[ns1],ns2", "invalid ipv6 address"),
    ],
)
def test_lists_that_are_none_are_refused(client: Any, hosts: str, words: str) -> None:
    with pytest.raises(PyroError, match=words):
        client.locate(hosts)


def test_ns_host_may_name_several_and_nobody_else_is_asked_then(closed_port: int) -> None:
    with Node(URI_1) as one:
        config.NS_HOST = f"127.0.0.1:{closed_port},{one.location}"
        try:
            with locateNS() as found:
                assert found.lookup("x") == URI(URI_1)
            config.NS_HOST = f"127.0.0.1:{closed_port},127.0.0.1:{closed_port}"
            with pytest.raises(NameServerNotFoundError) as caught:
                locateNS()
        finally:
            config.reset()
    assert len(caught.value.attempts) == 1


def test_uris_may_name_several_name_servers(closed_port: int) -> None:
    with Node(URI_1) as one:
        uri = URI(f"PYRONAME:x@127.0.0.1:{closed_port},{one.location}")
        assert resolve_with(uri, settings=SETTINGS) == URI(URI_1)
        assert str(uri) == f"PYRONAME:x@127.0.0.1:{closed_port},{one.location}"


def test_a_name_is_resolved_by_the_next_node_when_one_dies_while_it_is_asked() -> None:
    with Node(URI_1, end=Hangup) as one, Node(URI_2) as two:
        assert resolve_with(f"PYRONAME:x@{one.location},{two.location}", settings=SETTINGS) == URI(URI_2)


# Moving on


def test_a_read_is_made_again_at_the_next_node(client: Any) -> None:
    with Node(URI_1, end=Hangup) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)
        assert one.calls == ["lookup"]


def test_a_read_comes_back_to_a_node_that_was_restarted(client: Any) -> None:
    with Node(URI_1, end=Hangup) as one, Node(URI_2, end=Hangup) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)
        assert two.calls == ["lookup"]


def test_a_change_that_may_have_been_carried_out_is_not_made_again(client: Any) -> None:
    with Node(URI_1, end=Hangup) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        with pytest.raises(UncertainError, match=r"^register: .*carried out is not known \(look the name"):
            client.call(proxy, "register", "x", URI_1)
        assert (one.registered, two.registered) == (["x"], [])
        assert client.call(proxy, "register", "x", URI_1) is None
        client.release(proxy)
        assert (one.registered, two.registered) == (["x"], ["x"])


def test_a_change_whose_answer_does_not_come_in_time_is_uncertain(client: Any) -> None:
    with Node(URI_1, end=Silence) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}", replace(SETTINGS, commtimeout=0.2))
        with pytest.raises(UncertainError, match="in time"):
            client.call(proxy, "register", "x", URI_1)
        proxy._pyroTimeout = None
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)


# Nodes that do not answer


def test_a_read_that_a_frozen_node_does_not_answer_is_answered_by_the_next(client: Any, ask_others: Haste) -> None:
    with Node(URI_1, end=Silence) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")  # without a time limit
        ask_others(SOON)
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        ask_others(NEVER)
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)
        assert (one.calls, two.calls) == (["lookup"], ["lookup", "lookup"])


def test_the_answer_of_a_node_that_is_only_slow_counts_if_it_is_the_first(client: Any, ask_others: Haste) -> None:
    with Node(URI_1) as slow, Node(URI_2) as two:
        asked = threading.Event()
        slow.methods["lookup"] = lambda name: URI(URI_1) if asked.wait(PATIENCE) else None
        two.methods["lookup"] = lambda name: asked.set() or Silence
        proxy = client.locate(f"{slow.location},{two.location}")
        ask_others(SOON)
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        ask_others(NEVER)
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)
        assert (slow.calls, two.calls) == (["lookup", "lookup"], ["lookup"])


def test_the_answer_of_a_slow_node_is_waited_for_when_the_other_one_gets_lost(client: Any, ask_others: Haste) -> None:
    with Node(URI_1) as slow, Node(URI_2) as two:
        asked = threading.Event()
        slow.methods["lookup"] = lambda name: URI(URI_1) if asked.wait(PATIENCE) else None
        two.methods["lookup"] = lambda name: asked.set() or Hangup
        proxy = client.locate(f"{slow.location},{two.location}")
        ask_others(SOON)
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)


def test_a_read_is_made_again_when_all_that_were_asked_get_lost(client: Any, ask_others: Haste) -> None:
    with Node(URI_1) as one, Node(URI_2) as two:
        asked = threading.Event()
        one.methods["lookup"] = lambda name: Hangup if asked.wait(PATIENCE) else None
        two.methods["lookup"] = lambda name: URI(URI_2) if asked.is_set() else asked.set() or Hangup
        proxy = client.locate(f"{one.location},{two.location}")
        ask_others(SOON)
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        client.release(proxy)


def test_a_watch_is_asked_of_one_node_because_it_is_to_wait(ask_others: Haste) -> None:
    with Node(URI_1) as one, Node(URI_2) as two:
        for node in (one, two):
            node.methods["watch"] = lambda: Silence
        with locate(f"{one.location},{two.location}", settings=replace(SETTINGS, commtimeout=0.2)) as proxy:
            ask_others(SOON)
            with pytest.raises(TimeoutError):
                proxy.watch()
        assert two.calls == []


def test_a_read_fails_in_time_when_no_node_answers(client: Any, ask_others: Haste) -> None:
    with Node(URI_1, end=Silence) as one, Node(URI_2, end=Silence) as two:
        proxy = client.locate(f"{one.location},{two.location}", replace(SETTINGS, commtimeout=1.5))
        ask_others(0.2)  # and, when that was too little, 0.4
        with pytest.raises(TimeoutError, match=f"no answer from {one.location}, {two.location} in time"):
            client.call(proxy, "lookup", "x")
        proxy._pyroTimeout = None
        assert client.call(proxy, "lookup", "x") in (URI(URI_1), URI(URI_2))
        client.release(proxy)


def test_a_batch_of_reads_is_asked_of_the_next_node_when_the_first_is_frozen(ask_others: Haste) -> None:
    with Node(URI_1) as one, Node(URI_2) as two, locate(f"{one.location},{two.location}", settings=SETTINGS) as proxy:
        answered = threading.Event()
        one.methods["lookup"] = lambda name: URI(URI_1) if answered.wait(PATIENCE) else None
        calls = batch(proxy)
        calls.lookup("x")
        ask_others(SOON)
        assert list(calls() or ()) == [URI(URI_2)]
        answered.set()


def test_an_argument_that_cannot_be_sent_leaves_the_connection_as_it_was(client: Any) -> None:
    with Node(URI_1) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        with pytest.raises(PyroError, match="object"):
            client.call(proxy, "lookup", object())
        assert client.call(proxy, "lookup", "x") == URI(URI_1)
        client.release(proxy)
        assert (one.connections, two.connections) == (1, 0)


def test_no_kept_connection_to_a_frozen_node_is_used_again(ask_others: Haste) -> None:
    async def main() -> None:
        async with await aio.locate_ns(f"{one.location},{two.location}", settings=SETTINGS) as ns:
            await asyncio.gather(*(ns.ping() for _ in range(3)))  # each on a connection of its own, which is kept
            one.ends.append(Silence)
            ask_others(SOON)
            assert await ns.lookup("x") == URI(URI_2)
            ask_others(NEVER)
            assert await ns.lookup("x") == URI(URI_2)

    with Node(URI_1) as one, Node(URI_2) as two:
        asyncio.run(main())
        assert one.connections == 3


class Deaf(Node):
    """Closes the connection in the middle of a message that is over the limit, and says nothing."""

    def _refuse_with(self, sock: socket.socket, problem: Exception) -> None:
        sock.shutdown(socket.SHUT_RD)


def test_a_change_that_was_not_sent_in_full_is_made_at_the_next_node(client: Any) -> None:
    long = "x" * 15_000_000
    with Deaf(URI_1, limit=1000) as one, Node(URI_2, limit=20_000_000) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        assert client.call(proxy, "register", long, URI_1) is None
        client.release(proxy)
        assert (one.registered, two.registered) == ([], [long])


def test_what_a_node_answers_is_never_asked_of_another(client: Any) -> None:
    with Node(URI_1, end=CommunicationError("the storage has no quorum")) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        with pytest.raises(CommunicationError, match="quorum"):
            client.call(proxy, "lookup", "x")
        client.release(proxy)
        assert two.calls == []


def test_a_change_that_a_node_cannot_make_now_is_made_at_the_next_node(client: Any) -> None:
    cut_off = NamingError("nothing was changed in etcd://h1/lab: no answer; try again when etcd is back")
    with Node(URI_1, end=cut_off) as one, Node(URI_2) as two:
        proxy = client.locate(f"{one.location},{two.location}")
        assert client.call(proxy, "register", "x", URI_1) is None
        assert client.call(proxy, "lookup", "x") == URI(URI_2)
        assert (one.registered, two.registered) == (["x"], ["x"])
        one.ends.append(cut_off)
        two.ends.append(cut_off)
        with pytest.raises(UnchangedError, match="nothing was changed in etcd://h1/lab: no answer"):
            client.call(proxy, "register", "y", URI_1)
        client.release(proxy)


def test_a_batch_of_reads_moves_on_and_one_with_a_change_does_not() -> None:
    with Node(URI_1) as one, Node(URI_2) as two:
        with locate(f"{one.location},{two.location}", settings=SETTINGS) as proxy:
            for node in (one, two):
                node.methods["lookup"] = lambda name: URI(URI_1)
            calls = batch(proxy)
            calls.lookup("x")
            calls.lookup("y")
            one.drop_connections()
            assert list(calls() or ()) == [URI(URI_1), URI(URI_1)]
            calls.register("x", URI_1)
            calls.lookup("x")
            assert list(calls() or ()) == [None, URI(URI_1)]


# As an object


def test_the_proxy_of_several_nodes_is_copied_and_pickled_with_all_of_them() -> None:
    with Node(URI_1, end=Hangup) as one, Node(URI_2) as two:
        hosts = f"{one.location},{two.location}"
        with locate(hosts, settings=SETTINGS) as proxy:
            assert str(proxy._pyroUri) == f"PYRONAME:Pyro.NameServer@{hosts}"
            assert proxy._pyroBind() is False
            for again in (copy.copy(proxy), pickle.loads(pickle.dumps(proxy))):
                assert isinstance(again, NameServerProxy)
                assert again == proxy
                with again:
                    assert again._pyroBind() is True
                    assert again._pyroUri == proxy._pyroUri
                    assert again.lookup("x") == URI(URI_2 if one.calls == ["lookup"] else URI_1)


def test_one_node_gives_a_plain_proxy() -> None:
    with Node(URI_1) as one, locate(one.location, settings=SETTINGS) as proxy:
        assert type(proxy) is Proxy
        assert proxy._pyroUri == URI(one.uri)


# Real nodes that are killed


def two_nodes(serve: NameServers, folder: Any) -> tuple[NameServer, NameServer]:
    return serve(storage=f"sql:{folder}/one.sqlite"), serve(storage=f"sql:{folder}/two.sqlite")


def kill_in_the_middle(
    node: NameServer, threads: list[threading.Thread], progress: threading.Semaphore, stop: threading.Event
) -> None:
    """Run `threads`, kill the node after 200 of their steps, and end them after 200 others."""
    for thread in threads:
        thread.start()
    for _ in range(200):
        assert progress.acquire(timeout=PATIENCE)
    node.process.kill()
    while progress.acquire(blocking=False):
        pass
    for _ in range(200):
        assert progress.acquire(timeout=PATIENCE)
    stop.set()
    for thread in threads:
        thread.join()


def test_no_read_fails_when_a_node_is_killed(serve: NameServers, tmp_path: Any) -> None:
    one, two = two_nodes(serve, tmp_path)
    for node in (one, two):
        with locate(node.location, settings=SETTINGS) as proxy:
            proxy.register("lab.camera", URI_1)
    stop = threading.Event()
    progress = threading.Semaphore(0)
    problems: list[Exception] = []

    def read() -> None:
        try:
            with locate(f"{one.location},{two.location}", settings=SETTINGS) as proxy:
                while not stop.is_set():
                    assert proxy.lookup("lab.camera") == URI(URI_1)
                    assert "lab.camera" in proxy.list(prefix="lab.")
                    progress.release()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=read) for _ in range(8)]
    kill_in_the_middle(one, threads, progress, stop)
    assert problems == []


def test_a_change_is_made_once_by_one_node_or_said_to_be_uncertain_when_nodes_are_killed(
    serve: NameServers, tmp_path: Any
) -> None:
    one, two = two_nodes(serve, tmp_path)
    written: list[str] = []
    uncertain: list[str] = []
    problems: list[Exception] = []
    stop = threading.Event()
    progress = threading.Semaphore(0)

    def write(writer: int) -> None:
        try:
            with locate(f"{one.location},{two.location}", settings=SETTINGS) as proxy:
                for number in range(100_000):
                    if stop.is_set():
                        return
                    name = f"{writer}.{number}"
                    try:
                        proxy.register(name, URI_1)
                        written.append(name)
                    except UncertainError:
                        uncertain.append(name)
                    progress.release()
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    kill_in_the_middle(one, threads, progress, stop)
    assert problems == []
    found = []
    for node in (serve(storage=f"sql:{tmp_path}/one.sqlite"), two):
        with locate(node.location, settings=SETTINGS) as proxy:
            found.append(set(proxy.list()) - {"Pyro.NameServer"})
    assert not found[0] & found[1]
    assert set(written) <= found[0] | found[1] <= set(written) | set(uncertain)
    assert len(uncertain) <= len(threads)


def test_reads_of_a_stopped_node_are_answered_by_another_one(
    client: Any, serve: NameServers, certificates: Certificates, ask_others: Haste
) -> None:
    """Without a time limit: they would wait until it goes on. By TLS."""
    env = variables(certificates.server())
    one, two = serve(env=env), serve(env=env)
    proxy = client.locate(f"{one.location},{two.location}", certificates.client(broadcast_addrs=("127.0.0.1",)))
    one.process.signal(signal.SIGSTOP)
    ask_others(HASTE)
    try:
        assert str(client.call(proxy, "lookup", "Pyro.NameServer").location) == two.location
        client.release(proxy)
    finally:
        one.process.signal(signal.SIGCONT)


def test_a_change_after_a_kill_moves_on_without_doubt(client: Any, serve: NameServers) -> None:
    one, two = serve(), serve()
    proxy = client.locate(f"{one.location},{two.location}")
    assert client.call(proxy, "register", "before", URI_1) is None
    one.process.kill()
    assert client.call(proxy, "register", "after", URI_1) is None
    assert client.call(proxy, "lookup", "after") == URI(URI_1)
    client.release(proxy)


@pytest.mark.parametrize("on_loop", LOOPS)
def test_no_read_of_many_at_a_time_fails_when_a_node_is_killed(on_loop: OnLoop[None], serve: NameServers) -> None:
    one, two = serve(), serve()

    async def reads(ns: aio.NameServer, stop: asyncio.Event, done: Callable[[], None]) -> None:
        while not stop.is_set():
            assert await ns.lookup("Pyro.NameServer")
            done()

    async def main() -> None:
        stop, progress = asyncio.Event(), asyncio.Semaphore(0)
        async with await aio.locate_ns(f"{one.location},{two.location}", settings=SETTINGS) as ns:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(20):
                    tasks.create_task(reads(ns, stop, progress.release))
                for _ in range(200):
                    await progress.acquire()
                one.process.kill()
                for _ in range(1000):
                    await progress.acquire()
                stop.set()
            assert str(await ns.lookup("Pyro.NameServer")) == two.uri

    on_loop(main())
