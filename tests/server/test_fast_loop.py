"""A daemon on uvloop."""

import threading

import pytest

from pyronym import Proxy, expose
from pyronym.errors import DaemonError
from pyronym.server.daemon import Daemon
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop

WAIT = 10.0


@expose
class Thing:
    def add(self, a, b):
        return a + b

    async def later(self, value):
        return value


def test_uvloop_is_tested_here():
    assert HAS_UVLOOP


def test_it_serves_calls_of_every_kind_until_it_is_shut_down():
    daemon = Daemon("127.0.0.1", loop=fastest_loop())
    uri = daemon.register(Thing())
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    for protocol in (4, 5):
        with Proxy(uri, protocol=protocol) as proxy:
            assert proxy.add(1, 2) == 3
            assert proxy.later("x") == "x"
            with pytest.raises(TypeError):
                proxy.add(1)
    daemon.shutdown()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_a_stop_that_was_asked_before_it_serves_counts():
    with Daemon("127.0.0.1", loop=fastest_loop()) as daemon:
        daemon.request_stop()
        daemon.requestLoop()
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        with Proxy("PYRO:Pyro.Daemon@" + daemon.locationStr) as proxy:
            assert proxy.registered() == ["Pyro.Daemon"]
        daemon.request_stop()
        thread.join(WAIT)
        assert not thread.is_alive()


def test_it_says_what_it_cannot_do():
    with Daemon("127.0.0.1", loop=fastest_loop()) as daemon:
        with pytest.raises(DaemonError, match="only be served by its requestLoop"):
            daemon.fileno()
        with pytest.raises(DaemonError, match="only be served by its requestLoop"):
            daemon.events([])
        with pytest.raises(DaemonError, match="without a loop condition"):
            daemon.requestLoop(lambda: True)
