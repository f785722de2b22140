"""Results that are fetched item by item."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import ScriptedDaemon, Stream

from pyronym.client.blocking import SocketStream
from pyronym.client.proxy import Proxy
from pyronym.errors import ConnectionClosedError


class Streams(ScriptedDaemon):
    """Its method `numbers` gives a stream of three numbers; `closed` are the streams that clients gave up."""

    def __init__(self) -> None:
        self.items = iter([1, 2, 3])
        self.closed: list[str] = []
        self.busy = threading.Event()
        self.go_on = threading.Event()
        methods = {
            "numbers": lambda: Stream("s1"),
            "none": lambda: Stream(""),
            "get_next_stream_item": lambda stream_id: next(self.items),
            "close_stream": self.closed.append,
            "look": lambda: list(self.closed),
            "wait": self._wait,
        }
        super().__init__(methods)

    def _wait(self) -> bool:
        self.busy.set()
        return self.go_on.wait(10)


@pytest.fixture
def daemon() -> Iterator[Streams]:
    with Streams() as daemon:
        yield daemon


def test_the_items_are_fetched_one_by_one(daemon: Streams) -> None:
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        assert next(numbers) == 1
        assert daemon.calls == ["numbers", "get_next_stream_item"]
        assert list(numbers) == [2, 3]
        assert list(numbers) == []
        numbers.close()
        assert proxy.look() == []


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_a_stream_that_is_given_up_is_closed_at_once(daemon: Streams, how: str) -> None:
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        next(numbers)
        if how == "closed":
            numbers.close()
            assert list(numbers) == []
        else:
            del numbers
        assert proxy.look() == ["s1"]


def test_a_stream_that_is_given_up_during_another_call_is_closed_before_the_next(daemon: Streams) -> None:
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        results: list[bool] = []
        waiting = threading.Thread(target=lambda: results.append(proxy.wait()))
        waiting.start()
        assert daemon.busy.wait(10)
        numbers.close()  # returns at once, though the other call holds the connection
        daemon.go_on.set()
        waiting.join()
        assert results == [True]
        assert daemon.closed == []
        assert proxy.look() == ["s1"]


def test_the_garbage_collector_may_drop_a_stream_in_the_middle_of_a_call(
    daemon: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(daemon.uri) as proxy:
        streams = [proxy.numbers()]
        receive = SocketStream._receive

        def collecting(*args: Any) -> bytes:
            streams.clear()
            return receive(*args)

        monkeypatch.setattr(SocketStream, "_receive", collecting)
        assert proxy.look() == []
        assert proxy.look() == ["s1"]


def test_a_oneway_method_of_the_object_does_not_change_those_of_its_daemon(daemon: Streams) -> None:
    daemon.oneway.append("get_next_stream_item")
    with Proxy(daemon.uri) as proxy:
        assert list(proxy.numbers()) == [1, 2, 3]


def test_giving_up_a_stream_needs_no_connection(daemon: Streams) -> None:
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        proxy._pyroRelease()
        numbers.close()
        assert proxy._pyroConnection is None
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        daemon.drop_connections()
        numbers.close()


def test_a_stream_ends_with_its_connection(daemon: Streams) -> None:
    with Proxy(daemon.uri) as proxy:
        numbers = proxy.numbers()
        proxy._pyroRelease()
        for _ in range(2):
            with pytest.raises(ConnectionClosedError, match=r"^the proxy for this stream result has been closed"):
                next(numbers)


def test_an_iterator_that_the_daemon_does_not_stream_is_an_error(daemon: Streams) -> None:
    with Proxy(daemon.uri) as proxy:
        with pytest.raises(Exception, match=r"^result of call is an iterator, but"):
            proxy.none()
        assert proxy._pyroConnection is not None
