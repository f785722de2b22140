"""The load of a soak: clients that do a bit of everything and know what must be registered, stock ones that come and
go, and hostile ones.
"""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from fuzz.frames import Frame, greetings
from processes import SCRIPTS, run_stock
from pyronym.client.batch import batch
from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError, PyroError
from pyronym.serializers.registry import serializer_by_name
from pyronym.wire.message import MessageType
from stock import PYRO4, PYRO5

NAMES = 500
"""Of each client at most. The number at which it removes all of them is another one each time, so that the clients do
not keep step, and all together have as many names at each time."""
PAUSE = 0.02
"""Seconds that a client waits at most between two requests. Without, latencies would only say how many clients wait."""
SERIALIZERS = {4: ("serpent", "json", "marshal", "msgpack", "pickle"), 5: ("serpent", "json", "marshal", "msgpack")}
HOSTILE_CONNECTIONS = 20
ATTACK_SECONDS = 2.0
REST_SECONDS = 3.0
"""Between two attacks, and between two stock programs."""


class Client(threading.Thread):
    """Number `number` of the clients: every second one speaks Pyro4, the others Pyro5, in all serializers.

    `names`: how many it has. `latencies`: how long lookups took, in seconds. `losses`: what was not as it had been
    acknowledged.
    """

    def __init__(self, uri: str, number: int, over: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.latencies: list[float] = []
        self.requests = 0
        self.losses: list[str] = []
        self._uri = uri
        self._prefix = f"soak.{number}."
        self._tag = f"of client {number}"
        self._protocol = 4 + number % 2
        names = SERIALIZERS[self._protocol]
        self._serializer = names[number // 2 % len(names)]
        self._over = over
        self._random = random.Random(seed * 1000 + number)
        self._limit = self._random.randrange(1, NAMES)
        self._mine: dict[str, str] = {}
        self._uncertain: set[str] = set()
        self._actions: dict[Callable[[Proxy], None], int] = {
            self._look_up: 50,
            self._register: 25,
            self._set_metadata: 5,
            self._remove: 5,
            self._batch: 5,
            self._list_prefix: 4,
            self._list_regex: 3,
            self._list_tagged: 3,
        }

    @property
    def names(self) -> int:
        return len(self._mine)

    def run(self) -> None:
        while not self._over.is_set():
            # While the server is away nobody answers, and what was just asked for may or may not have happened.
            with suppress(PyroError, OSError), Proxy(self._uri, protocol=self._protocol) as proxy:
                proxy._pyroSerializer = self._serializer
                self._check(proxy)
                for _ in range(self._random.randrange(1, 500)):
                    self._ask(proxy)
                    self.requests += 1
                    if self._over.wait(self._random.random() * PAUSE):
                        return

    def _check(self, proxy: Proxy) -> None:
        there = proxy.list(prefix=self._prefix)
        self._compare(there, self._mine)
        self._mine = dict(there)
        self._uncertain.clear()

    def _compare(self, found: dict[str, str], expected: dict[str, str]) -> None:
        for name in expected.keys() | found.keys():
            if name not in self._uncertain and expected.get(name) != found.get(name):
                self.losses.append(f"{name}: {expected.get(name)} was acknowledged, {found.get(name)} is there")

    def _ask(self, proxy: Proxy) -> None:
        if len(self._mine) >= self._limit:
            self._remove_all(proxy)
            self._limit = self._random.randrange(1, NAMES)
        else:
            (action,) = self._random.choices(list(self._actions), list(self._actions.values()))
            action(proxy)

    def _any_name(self) -> str:
        return self._random.choice(list(self._mine) or [self._prefix])

    def _look_up(self, proxy: Proxy) -> None:
        name = self._any_name()
        begin = time.perf_counter()
        with suppress(NamingError):  # of a client that has no names
            self._compare({name: str(proxy.lookup(name))}, {name: self._mine.get(name, "")})
        self.latencies.append(time.perf_counter() - begin)

    def _register(self, proxy: Proxy) -> None:
        name = f"{self._prefix}{self._random.randrange(2 * NAMES)}"
        uri = f"PYRO:obj{self._random.randrange(10**9)}@host:{self._random.randrange(1, 65536)}"
        self._uncertain.add(name)
        proxy.register(name, uri, metadata=[self._tag])
        self._mine[name] = uri
        self._uncertain.discard(name)

    def _set_metadata(self, proxy: Proxy) -> None:
        with suppress(NamingError):
            proxy.set_metadata(self._any_name(), [self._tag, f"tag {self._random.randrange(10)}"])

    def _remove(self, proxy: Proxy) -> None:
        name = self._any_name()
        self._uncertain.add(name)
        proxy.remove(name)
        self._mine.pop(name, None)
        self._uncertain.discard(name)

    def _remove_all(self, proxy: Proxy) -> None:
        self._uncertain.update(self._mine)
        if self._random.random() < 0.5:
            proxy.remove(prefix=self._prefix)
        else:
            proxy.remove(regex=self._prefix.replace(".", r"\."))
        self._mine.clear()
        self._uncertain.clear()

    def _batch(self, proxy: Proxy) -> None:
        names = [self._any_name() for _ in range(10)] if self._mine else []
        calls = batch(proxy)
        for name in names:
            calls.lookup(name)
        if names:
            found = {name: str(uri) for name, uri in zip(names, calls() or (), strict=True)}
            self._compare(found, {name: self._mine[name] for name in names})

    def _list_prefix(self, proxy: Proxy) -> None:
        self._compare_beginning_with_1(proxy.list(prefix=f"{self._prefix}1"))

    def _list_regex(self, proxy: Proxy) -> None:
        self._compare_beginning_with_1(proxy.list(regex=self._prefix.replace(".", r"\.") + r"1\d*$"))

    def _compare_beginning_with_1(self, found: dict[str, str]) -> None:
        self._compare(found, {name: uri for name, uri in self._mine.items() if name.startswith(f"{self._prefix}1")})

    def _list_tagged(self, proxy: Proxy) -> None:
        if self._protocol == 4:
            found = proxy.list(metadata_all=[self._tag])
        else:
            found = proxy.yplookup(meta_all=[self._tag], return_metadata=False)
        self._compare(found, self._mine)


class Mischief(threading.Thread):
    """Hostile and careless clients, one kind after the other, in either protocol: each opens some connections, sends
    something over them, reads nothing, and leaves after a moment.
    """

    def __init__(self, address: tuple[str, int], over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.done = 0
        self._address = address
        self._over = over

    def run(self) -> None:
        kinds = [_hostile_messages(protocol) for protocol in (48, 502)]
        for message in itertools.cycle(message for pair in zip(*kinds, strict=True) for message in pair):
            with ExitStack() as stack, suppress(OSError):
                for _ in range(HOSTILE_CONNECTIONS):
                    sock = stack.enter_context(socket.create_connection(self._address, 2.0))
                    sock.sendall(message)
                self._over.wait(ATTACK_SECONDS)
                self.done += 1
            if self._over.wait(REST_SECONDS):
                return


def _hostile_messages(protocol: int) -> list[bytes]:
    greeting = next(frame for frame in greetings(protocol) if frame.name == "serpent").wire(None)
    serpent = serializer_by_name(protocol, "serpent")

    def call(method: str, *args: object) -> bytes:
        data = serpent.dumps_call("Pyro.NameServer", method, args, {})
        return Frame(protocol, MessageType.INVOKE, 1, 0, 7, b"", data).wire(None)

    return [
        b"",
        greeting[:10],
        greeting + call("lookup", "Pyro.NameServer")[:50],
        greeting + call("list") * 20,
        greeting + call("list", None, "(a+)+$"),
        greeting + call("lookup", [1] * 500_000),
        greeting + bytes(range(256)) * 100,
    ]


class StockVisitors(threading.Thread):
    """Stock Pyro4 and Pyro5 programs in turn: each is started, does a few things, and ends."""

    _LINES = (
        "ns.register('visitor', 'PYRO:visitor@host:1')",
        "ns.lookup('visitor')",
        "ns.list(prefix='visit')",
        "ns.remove('visitor')",
    )

    def __init__(self, uri: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.done = 0
        self._uri = uri
        self._over = over

    def run(self) -> None:
        pythons = {4: PYRO4.ensure(), 5: PYRO5.ensure()}
        turns = [(pythons[dialect], name) for dialect, names in SERIALIZERS.items() for name in names]
        for python, serializer in itertools.cycle(turns):
            if self._over.wait(REST_SECONDS):
                return
            with suppress(AssertionError):  # the server may be away
                answers = run_stock(python, SCRIPTS / "session.py", self._uri, serializer, "", *self._LINES)
                self.done += answers[-1] == "1"
