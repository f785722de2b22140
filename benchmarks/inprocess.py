"""What the name server costs inside its process, with many names. Runs in the interpreter of the one that is measured.

Usage: python inprocess.py pyronym|Pyro4|Pyro5 NAMES. Prints JSON: microseconds for each operation, bytes for each name.
"""

import gc
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

GROUP = 100
"""Names with one prefix and one tag; so many are in the answers."""
EXTRA = 5000
"""Registrations that are timed, beyond the names that are there."""
BUDGET = 1.0
"""Seconds for measuring one kind of search, at least three of them."""

Search = Callable[[list[str]], Any]


def name_of(number: int) -> str:
    return f"lab.{number // GROUP:05}.device.{number % GROUP:02}"


def uri_of(number: int) -> str:
    return f"PYRO:obj_{number:032x}@10.20.{number % 250}.{number % 240}:{40000 + number % 20000}"


def tag_of(number: int) -> str:
    return f"group.{number // GROUP:05}"


def make(kind: str) -> tuple[Any, Search, Search]:
    """A name server in memory and its ways to find by all and by any tags."""
    server: Any
    if kind == "Pyro5":
        server = import_module("Pyro5.nameserver").NameServer()
        return (
            server,
            lambda tags: server.yplookup(meta_all=tags, return_metadata=False),
            lambda tags: server.yplookup(meta_any=tags, return_metadata=False),
        )
    server = import_module("Pyro4.naming" if kind == "Pyro4" else "pyronym").NameServer()
    return server, lambda tags: server.list(metadata_all=tags), lambda tags: server.list(metadata_any=tags)


def rss() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def microseconds_each(function: Callable[[Any], object], arguments: Sequence[object]) -> float:
    """Median over ten slices, so that what comes in between does not count."""
    costs: list[float] = []
    size = len(arguments) // 10
    for start in range(0, size * 10, size):
        part = arguments[start : start + size]
        begin = time.perf_counter()
        for argument in part:
            function(argument)
        costs.append((time.perf_counter() - begin) / size * 1e6)
    return statistics.median(costs)


def search_cost(search: Callable[[int], Any], groups: Sequence[int], expected: int) -> float:
    """Median microseconds of a search."""
    costs: list[float] = []
    ends = time.perf_counter() + BUDGET
    while len(costs) < 3 or (time.perf_counter() < ends and len(costs) < 500):
        group = groups[len(costs) % len(groups)]
        begin = time.perf_counter()
        found = search(group)
        costs.append((time.perf_counter() - begin) * 1e6)
        assert len(found) == expected, (len(found), expected)
    return statistics.median(costs)


def measure(kind: str, names: int) -> dict[str, float]:
    dice = random.Random(1)
    order = list(range(names))
    dice.shuffle(order)
    server, with_all, with_any = make(kind)
    gc.collect()
    before = rss()
    for number in order:
        server.register(name_of(number), uri_of(number), metadata=[tag_of(number)])
    gc.collect()
    result = {"memory": (rss() - before) / names}
    fresh = [(name_of(number) + "x", uri_of(number), tag_of(number)) for number in dice.choices(order, k=EXTRA)]
    result["register"] = microseconds_each(lambda new: server.register(new[0], new[1], metadata=[new[2]]), fresh)
    for new, _, _ in fresh:
        server.remove(new)
    wanted = [name_of(number) for number in dice.choices(order, k=20000)]
    result["lookup"] = microseconds_each(server.lookup, wanted)
    groups = [number // GROUP for number in dice.choices(order, k=200)]
    result["prefix"] = search_cost(lambda group: server.list(prefix=f"lab.{group:05}."), groups, GROUP)
    result["all"] = search_cost(lambda group: with_all([f"group.{group:05}"]), groups, GROUP)
    result["any"] = search_cost(lambda group: with_any([f"group.{group:05}"]), groups, GROUP)
    result["regex_prefix"] = search_cost(lambda group: server.list(regex=rf"lab\.{group:05}\..*"), groups, GROUP)
    result["regex"] = search_cost(lambda group: server.list(regex=rf".*\.{group:05}\..*"), groups, GROUP)
    return result


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
