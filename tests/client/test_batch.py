"""Several calls in one message."""

from __future__ import annotations

import copy

import pytest
from scripted import ScriptedDaemon

from pyronym.client.batch import batch
from pyronym.client.proxy import Proxy
from pyronym.wire.message import PYRO4, PYRO5

METHODS = {"half": lambda number: 12 // number, "name": lambda **kwargs: sorted(kwargs)}


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_the_results_come_in_the_order_of_the_calls(protocol: int) -> None:
    with ScriptedDaemon(METHODS, protocol=protocol) as daemon, Proxy(daemon.uri) as proxy:
        calls = batch(proxy)
        assert calls.half(2) is None
        calls.half(3)
        calls.name(a=1, b=2)
        results = calls()
        assert results is not None
        assert list(results) == [6, 4, ["a", "b"]]
        assert daemon.calls == ["<batch>"]


def test_the_results_raise_where_a_call_failed() -> None:
    with ScriptedDaemon(METHODS) as daemon, Proxy(daemon.uri) as proxy:
        calls = proxy._pyroBatch()
        for number in (1, 0, 2):
            calls.half(number)
        results = calls()
        assert results is not None
        assert next(results) == 12
        with pytest.raises(ZeroDivisionError) as caught:
            next(results)
        assert caught.value._pyroTraceback == ["remote line\n"]  # type: ignore[attr-defined]


def test_a_batch_is_empty_again_after_it_was_called() -> None:
    with ScriptedDaemon(METHODS) as daemon, Proxy(daemon.uri) as proxy:
        with batch(proxy) as calls:
            calls.half(1)
            twin = copy.copy(calls)
            assert list(calls() or ()) == [12]
            assert list(calls() or ()) == []
            assert list(twin() or ()) == [12]


def test_a_oneway_batch_has_no_results() -> None:
    with ScriptedDaemon(METHODS) as daemon, Proxy(daemon.uri) as proxy:
        calls = batch(proxy)
        calls.half(1)
        assert calls(oneway=True) is None
        assert proxy.half(6) == 2
        assert daemon.calls == ["<batch>", "half"]


def test_private_names_are_no_methods() -> None:
    with pytest.raises(AttributeError):
        _ = batch(Proxy("PYRO:thing@localhost:1"))._secret
