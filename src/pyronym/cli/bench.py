"""``pyronym bench``: how quickly a name server answers one program of this machine."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple

import click

from pyronym.cli.ask import statistics
from pyronym.cli.running import HELP
from pyronym.cli.showing import show_json
from pyronym.cli.table import Row, show_table
from pyronym.cli.where import Where, located
from pyronym.client.proxy import Proxy
from pyronym.uri import NAMESERVER_NAME

PREFIX: Final = "pyronym.bench."
"""All names that are registered begin so, and go on with something that nobody else has."""
MOST_CONNECTIONS: Final = 64
MOST_SECONDS: Final = 60.0
MOST_NAMES: Final = 10_000
"""That are registered; from then on they are replaced."""

HONESTY: Final = (
    "a quick figure: one Python program asks, which is slower than the name server; see docs/performance.md for others"
)

Ask = Callable[[], object]


class _Asker(threading.Thread):
    """Asks again and again until `ends`, a time of `time.perf_counter`, and takes the time of each answer."""

    def __init__(self, ask: Ask, ends: float) -> None:
        super().__init__(daemon=True)
        self.taken: list[float] = []
        self.problem: Exception | None = None
        self._ask = ask
        self.ends = ends

    def run(self) -> None:
        """Ask until the end, or until something goes wrong."""
        began = time.perf_counter()
        try:
            while began < self.ends:
                self._ask()
                ended = time.perf_counter()
                self.taken.append(ended - began)
                began = ended
        except Exception as problem:  # raised again by whoever has started it
            self.problem = problem


class _Measured(NamedTuple):
    what: str
    connections: int
    seconds: float
    calls: int
    rate: float
    """Calls in a second, by all connections."""
    min: float | None
    median: float | None
    p99: float | None
    max: float | None


@click.command(context_settings=HELP)
@click.option("-c", "--connections", type=click.IntRange(1, MOST_CONNECTIONS), default=4, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1, MOST_SECONDS), default=3.0, show_default=True, help="For each measurement."
)
@click.option("--register", is_flag=True, help=f"Also register names that begin with {PREFIX}, and remove them.")
@click.option("--json", "as_json", is_flag=True, help="Write a list of objects; times are in seconds.")
@located
def bench(connections: int, seconds: float, register: bool, as_json: bool, where: Where) -> None:
    """Measure lookups in a second, and how long they take, from this machine.

    It is a quick figure, to compare machines and networks by: one Python program asks, and that is slower than a name
    server of pyronym. Others who ask meanwhile are slowed down.

    \b
    Examples:
      pyronym bench
      pyronym bench --connections 16 --seconds 10 --json
    """
    proxies = [where.connect() for _ in range(connections)]
    try:
        measured = [_measure("lookup", [_lookup(proxy) for proxy in proxies], seconds)]
        if register:
            measured.append(_measure_registrations(proxies, seconds))
    finally:
        for proxy in proxies:
            proxy._pyroRelease()
    if as_json:
        show_json([one._asdict() for one in measured])
        return
    show_table(_Measured._fields, [Row(_cells(one)) for one in measured])
    click.echo(HONESTY, err=True)


def _lookup(proxy: Proxy) -> Ask:
    return lambda: proxy.lookup(NAMESERVER_NAME)


def _measure_registrations(proxies: Sequence[Proxy], seconds: float) -> _Measured:
    own = f"{PREFIX}{secrets.token_hex(8)}."
    numbers = count()

    def registering(proxy: Proxy) -> Ask:
        return lambda: proxy.register(f"{own}{next(numbers) % MOST_NAMES}", "PYRO:bench@localhost:1")

    try:
        return _measure("register", [registering(proxy) for proxy in proxies], seconds)
    finally:
        proxies[0].remove(prefix=own)


def _measure(what: str, asks: Sequence[Ask], seconds: float) -> _Measured:
    """What so many connections get at the same time. Raises what went wrong with one of them."""
    began = time.perf_counter()
    askers = [_Asker(ask, began + seconds) for ask in asks]
    try:
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    finally:  # after Ctrl-C too, nobody registers anything any more
        for asker in askers:
            asker.ends = began
        for asker in askers:
            if asker.is_alive():
                asker.join()
    took = time.perf_counter() - began
    for asker in askers:
        if asker.problem is not None:
            raise asker.problem
    taken = sorted(second for asker in askers for second in asker.taken)
    return _Measured(what, len(asks), took, len(taken), len(taken) / took, **statistics(taken))


def _cells(one: _Measured) -> list[str]:
    times = (one.min, one.median, one.p99, one.max)
    shown = ["" if seconds is None else f"{seconds * 1000:.3f} ms" for seconds in times]
    return [one.what, str(one.connections), f"{one.seconds:.1f} s", str(one.calls), f"{one.rate:.0f}/s", *shown]
