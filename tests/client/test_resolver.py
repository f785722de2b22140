"""Names from memory, kept right by a watch."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedDaemon
from watchable import Watchable, daemon_with

from loops import PATIENCE
from processes import Process, stopping
from pyronym.client import resolver as resolver_module
from pyronym.client.proxy import Proxy
from pyronym.client.resolver import Resolver
from pyronym.errors import CommunicationError, NameServerNotFoundError, NamingError, UnknownNameError
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from pyronym.uri import URI
from server.serving import serving

URI_1, URI_2, URI_3 = (f"PYRO:thing@localhost:{port}" for port in (1, 2, 3))
SETTINGS = Settings(ns_host="127.0.0.1", broadcast_addrs=("127.0.0.1",), locate_timeout=5.0)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread brings about."""
    for _ in range(int(PATIENCE * 100)):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it does not come about")


class Served:
    """A watchable name server in a thread."""

    def __init__(self, daemon: Daemon, watchable: Watchable) -> None:
        self.location = daemon.locationStr
        self.watchable = watchable
        self.names: Any = Proxy(daemon.uriFor("Pyro.NameServer"))


@pytest.fixture
def served() -> Iterator[Served]:
    watchable = Watchable()
    with serving(daemon_with(watchable)) as daemon:
        served = Served(daemon, watchable)
        with served.names:
            yield served
            served.names.stop()


@pytest.fixture
def resolver(served: Served) -> Iterator[Resolver]:
    with Resolver(served.location, settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        yield resolver


def known(served: Served, resolver: Resolver, *names: str) -> None:
    """Register names and have the resolver know them, and the news of them over."""
    for name in names:
        served.names.register(name, URI_1)
        until(lambda name=name: resolver.lookup(name) == URI(URI_1) and name in resolver._fresh)
    served.watchable.lookups = 0


def test_a_name_is_asked_for_once(served: Served) -> None:
    served.names.register("lab.camera", URI_1)
    with Resolver(served.location, settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        assert [resolver.lookup("lab.camera") for _ in range(10)] == [URI(URI_1)] * 10
        assert resolver.resolve("PYRONAME:lab.camera") == URI(URI_1)
    assert served.watchable.lookups == 1


def test_changes_arrive_by_themselves(served: Served, resolver: Resolver) -> None:
    known(served, resolver, "lab.camera")
    served.names.register("lab.camera", URI_2)
    until(lambda: resolver.lookup("lab.camera") == URI(URI_2))
    assert served.watchable.lookups == 0


@pytest.mark.parametrize("end", ["remove", "expire"])
def test_a_name_that_is_gone_is_gone_here(end: str, served: Served, resolver: Resolver) -> None:
    known(served, resolver, "lab.camera")
    getattr(served.names, end)("lab.camera")
    until(lambda: "lab.camera" not in resolver._fresh)
    with pytest.raises(UnknownNameError, match=r"^unknown name: lab.camera$"):
        resolver.lookup("lab.camera")
    served.names.register("lab.camera", URI_2)
    assert resolver.lookup("lab.camera") == URI(URI_2)


def test_an_answer_that_is_older_than_the_news_is_not_kept(
    served: Served, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.names.register("lab.camera", URI_1)
    learn = resolver._learn

    def slowly(name: str, node: Proxy) -> URI:
        answer = learn(name, node)
        served.names.register("lab.camera", URI_2)
        until(lambda: not resolver._questions)
        resolver._fresh.clear()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(resolver, "_learn", slowly)
        assert resolver.lookup("lab.camera") == URI(URI_1)
    assert resolver.lookup("lab.camera") == URI(URI_2)


def test_names_without_the_prefix_are_always_asked_for(served: Served) -> None:
    served.names.register("elsewhere", URI_1)
    with Resolver(served.location, prefix="lab.", settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        for _ in range(3):
            assert resolver.lookup("elsewhere") == URI(URI_1)
    assert served.watchable.lookups == 3


def test_what_is_no_address_of_an_object_is_an_error(served: Served, resolver: Resolver) -> None:
    known(served, resolver, "lab.camera")
    served.names.register("lab.camera", "PYRONAME:other")
    until(lambda: "lab.camera" not in resolver._fresh)
    with pytest.raises(NamingError, match=r"^lab.camera stands for PYRONAME:other, which is no address"):
        resolver.lookup("lab.camera")


def test_other_uris_are_resolved_as_always(served: Served, resolver: Resolver) -> None:
    served.names.register("lab.camera", URI_1)
    assert resolver.resolve(URI_2) == URI(URI_2)
    assert resolver.resolve(f"PYRONAME:lab.camera@{served.location}") == URI(URI_1)
    assert resolver._fresh == {}
    with pytest.raises(TypeError, match="can only resolve"):
        resolver.resolve(7)  # type: ignore[arg-type]


def test_a_proxy_asks_the_resolver(served: Served, resolver: Resolver) -> None:
    with ScriptedDaemon({"echo": lambda value: value}) as daemon:
        known(served, resolver, "echo")
        served.names.register("echo", daemon.uri)
        until(lambda: resolver.lookup("echo") == URI(daemon.uri))
        for _ in range(3):
            with Proxy("PYRONAME:echo", resolver=resolver) as proxy:
                assert proxy.echo(1) == 1
        assert served.watchable.lookups == 0


def test_threads_may_ask_at_the_same_time(served: Served, resolver: Resolver) -> None:
    for number in range(50):
        served.names.register(f"{number}", URI_1)
    answers: list[URI] = []

    def ask() -> None:
        answers.extend(resolver.lookup(f"{number}") for number in range(50))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [URI(URI_1)] * 400


def test_closing_does_not_wait_for_the_name_server(served: Served) -> None:
    resolver = Resolver(served.location, settings=SETTINGS)
    assert resolver.wait(PATIENCE)
    resolver.close()
    resolver.close()
    assert not resolver.watching
    assert not resolver._thread.is_alive()


def test_a_resolver_that_finds_no_name_server_says_so() -> None:
    with pytest.raises(NameServerNotFoundError):
        Resolver(settings=Settings(ns_host="127.0.0.1", ns_port=1, broadcast_addrs=(), locate_timeout=0.1))


# When the watch is down


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    processes: list[Process] = []
    with stopping(processes):
        yield processes


def start(processes: list[Process], port: int = 0) -> tuple[Process, str]:
    process = Process([sys.executable, Path(__file__).parent / "watchable.py", str(port)])
    processes.append(process)
    return process, process.wait_for_line(r"^URI = \S+@(\S+)")[1]


def register(location: str, name: str, uri: str) -> None:
    with Proxy(f"PYRO:Pyro.NameServer@{location}") as names:
        names.register(name, uri)


def test_a_name_server_that_was_restarted_is_asked_anew(processes: list[Process]) -> None:
    process, location = start(processes)
    register(location, "lab.camera", URI_1)
    with Resolver(location, settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        assert resolver.lookup("lab.camera") == URI(URI_1)
        process.kill()
        until(lambda: not resolver.watching)
        with pytest.raises(NameServerNotFoundError):
            resolver.lookup("lab.camera")
        start(processes, int(location.rpartition(":")[2]))
        assert resolver.wait(PATIENCE)
        with pytest.raises(UnknownNameError):
            resolver.lookup("lab.camera")


def test_the_last_answer_is_given_if_wanted_when_nobody_can_be_asked(processes: list[Process]) -> None:
    process, location = start(processes)
    register(location, "lab.camera", URI_1)
    with Resolver(location, stale_if_error=True, settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        assert resolver.lookup("lab.camera") == URI(URI_1)
        process.kill()
        until(lambda: not resolver.watching)
        assert resolver.lookup("lab.camera") == URI(URI_1)
        with pytest.raises((CommunicationError, NameServerNotFoundError)):
            resolver.lookup("lab.never")


def test_another_node_is_watched_when_one_is_killed(processes: list[Process]) -> None:
    (one, where), (_, elsewhere) = start(processes), start(processes)
    register(where, "lab.camera", URI_1)
    register(elsewhere, "lab.camera", URI_2)
    with Resolver(f"{where},{elsewhere}", settings=SETTINGS) as resolver:
        assert resolver.wait(PATIENCE)
        assert resolver.lookup("lab.camera") == URI(URI_1)
        one.kill()
        until(lambda: resolver.lookup("lab.camera") == URI(URI_2))
        assert resolver.wait(PATIENCE)
        register(elsewhere, "lab.camera", URI_3)
        until(lambda: resolver.lookup("lab.camera") == URI(URI_3))


def test_without_a_watch_each_question_goes_to_the_name_server(caplog: pytest.LogCaptureFixture) -> None:
    def watch(**kwargs: object) -> None:
        raise AttributeError("attempt to access unexposed or unknown remote attribute 'watch'")

    methods = {"lookup": lambda name: URI(URI_1), "watch": watch}
    with ScriptedDaemon(methods, object_id="Pyro.NameServer") as daemon:
        with Resolver(daemon.location, settings=SETTINGS) as resolver:
            for _ in range(3):
                assert resolver.lookup("lab.camera") == URI(URI_1)
            until(lambda: "cannot watch" in caplog.text)
            assert not resolver.watching
    assert daemon.calls.count("lookup") == 3
    assert resolver_module._WITHOUT_WATCH >= 10  # a stock name server is not bothered often
