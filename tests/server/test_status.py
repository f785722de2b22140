"""What a name server tells of itself to those who watch over it."""

import os
import resource
import socket
import time

import pytest

from processes import NameServers, run
from pyronym import NameServer, locateNS
from pyronym.client.batch import batch
from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError, SecurityError
from pyronym.server import nameserver as nameserver_module
from pyronym.server.nameserver import NameServerDaemon
from pyronym.service.permissions import parse_permissions
from pyronym.settings import Settings
from pyronym.storage.choose import storage_by_name
from server.serving import serving


def counts(status: dict[str, object]) -> dict[tuple[int, str, str], int]:
    return {(row["protocol"], row["method"], row["result"]): row["count"] for row in status["requests"]}


@pytest.mark.parametrize("protocol", [48, 502])
@pytest.mark.parametrize("straight", [True, False])
@pytest.mark.parametrize("storage", ["memory", "sql"])
def test_requests_are_counted_by_method_protocol_and_result(protocol, straight, storage, tmp_path):
    settings = Settings(straight_road=straight)
    where = storage if storage == "memory" else f"sql:{tmp_path / 'names.sqlite'}"
    daemon = NameServerDaemon("127.0.0.1", 0, storage=where, settings=settings)
    with serving(daemon), Proxy(daemon.uriFor("Pyro.NameServer"), protocol={48: 4, 502: 5}[protocol]) as ns:
        ns.register("a", "PYRO:a@b:1")
        calls = batch(ns)
        for name in "cd":
            calls.register(name, "PYRO:a@b:1")
        assert list(calls()) == [None, None]
        for _ in range(5):
            ns.lookup("a")
        for _ in range(2):
            with pytest.raises(NamingError):
                ns.lookup("b")
        with pytest.raises(AttributeError):
            ns._pyroInvoke("x" * 50, (), {})
        found = counts(ns.status())
    assert found == {
        (protocol, "register", "ok"): 1,
        (protocol, "batch", "ok"): 1,
        (protocol, "lookup", "ok"): 5,
        (protocol, "lookup", "UnknownNameError"): 2,
        (protocol, "other", "AttributeError"): 1,
    }


def test_with_metrics_off_nothing_is_counted():
    daemon = NameServerDaemon("127.0.0.1", 0, settings=Settings(metrics=False))
    with serving(daemon), locateNS(*daemon.sock.getsockname()) as ns:
        ns.lookup("Pyro.NameServer")
        assert ns.status()["requests"] == []


def test_the_program_that_has_the_name_server_is_told_the_same(tmp_path):
    daemon = NameServerDaemon("127.0.0.1", 0, storage=f"sql:{tmp_path / 'names.sqlite'}")
    with serving(daemon), locateNS(*daemon.sock.getsockname()) as ns:
        ns.register("a", "PYRO:a@b:1", lease=60)
        ns.register("b", "PYRO:a@b:1")
        ns.remove("b")
        told, own = ns.status(), daemon.nameserver.status()
    assert told.keys() == own.keys()
    for status in (told, own):
        assert status["records"] == 2
        assert status["leases"] == 1
        assert status["connections"] == 1
        assert status["pid"] == os.getpid()
        assert 0 <= status["uptime"] < 60
        assert status["storage"]["description"].startswith("sql:")
        assert status["storage"]["trouble"] is None
        assert (status["storage"]["commits"], status["storage"]["changes"]) == (4, 4)
        assert (status["stale_since"], status["loop_lag"]) == (None, None)
        assert (status["slow"], status["latencies"]) == ({}, {})
        assert status["descriptors"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert own["address"] == daemon.locationStr


def test_a_name_server_without_a_daemon_tells_what_it_knows():
    status = NameServer().status()
    assert (status["records"], "connections" in status) == (0, False)


def test_trouble_of_the_storage_is_told(tmp_path):
    storage = storage_by_name(f"sql:{tmp_path / 'names.sqlite'}", Settings())
    nameserver = NameServer(storage)
    (tmp_path / "names.sqlite").unlink()
    before = time.time()
    with pytest.raises(NamingError):
        nameserver.register("a", "PYRO:a@b:1")
    trouble = nameserver.status()["storage"]["trouble"]
    assert "names.sqlite" in trouble["reason"]
    assert before <= trouble["since"] <= time.time()
    nameserver.close()


def test_the_status_is_for_those_who_may_read():
    daemon = NameServerDaemon("127.0.0.1", 0)
    rule = {"who": ["net:192.0.2.0/24"], "may": ["read"]}
    daemon.permissions = parse_permissions({"rule": [rule]})
    with serving(daemon), locateNS(*daemon.sock.getsockname()) as ns:
        with pytest.raises(SecurityError, match="no rule lets it read"):
            ns.status()
        daemon.permissions = parse_permissions({"rule": [{**rule, "who": ["net:127.0.0.0/8"], "names": ["x."]}]})
        with locateNS(*daemon.sock.getsockname()) as other:
            assert other.status()["records"] == 1


@pytest.mark.parametrize("protocol", [48, 502])
def test_the_pulse_tells_how_late_the_loop_is_and_how_long_calls_take(protocol, tmp_path):
    daemon = NameServerDaemon("127.0.0.1", 0, storage=f"sql:{tmp_path / 'names.sqlite'}")
    pulse = daemon.measures.pulse
    pulse.start()
    assert not pulse.is_alive()
    with serving(daemon), Proxy(daemon.uriFor("Pyro.NameServer"), protocol={48: 4, 502: 5}[protocol]) as ns:
        ns.register("a", "PYRO:a@b:1")
        deadline = time.monotonic() + 20
        while "lookup" not in pulse.latencies:
            assert time.monotonic() < deadline
            ns.lookup("a")
        assert pulse.is_alive()
        assert ns.status()["loop_lag"] >= 0
        lookups = counts(ns.status())[protocol, "lookup", "ok"]
        told = ns.status()["latencies"]["lookup"]
    assert told["calls"] == lookups
    assert 0 < told["seconds"] < lookups
    assert pulse.latencies["register"].count == 1
    assert pulse.latencies["lookup"].count == lookups, "each sample stands for all that came since the one before"
    assert 0 < pulse.latencies["lookup"].largest < 1


def test_stock_clients_can_ask_for_the_status(serve: NameServers, stock4_python, stock5_python):
    server = serve()
    for python, package in ((stock4_python, "Pyro4"), (stock5_python, "Pyro5.api")):
        program = f"import {package} as p; print(p.Proxy({server.uri!r}).status()['records'])"
        done = run([python, "-W", "ignore", "-c", program])
        assert done.stdout == "1\n", done.stderr


def test_clients_that_let_the_server_wait_are_told_of(monkeypatch):
    monkeypatch.setattr(nameserver_module, "SLOW_SECONDS", 0.0)
    daemon = NameServerDaemon("127.0.0.1", 0)
    with (
        serving(daemon),
        locateNS(*daemon.sock.getsockname()) as ns,
        socket.create_connection(daemon.sock.getsockname()),
    ):
        deadline = time.monotonic() + 20
        while ns.status()["slow"] != {"handshake not finished in time": 1}:
            assert time.monotonic() < deadline
