"""Compare and set between two nodes: of those who have seen one record, one changes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from etcd_cluster import wait_until
from pyronym.directory.record import Record
from pyronym.errors import RecordChangedError
from pyronym.service.pipeline import waited_for

NO_TAGS = frozenset()
OLD = Record("a", "PYRO:old@h:1")
CHANGES = {
    "register": lambda service, expected: service.register("a", "PYRO:new@h:1", NO_TAGS, expected=expected),
    "set_metadata": lambda service, expected: service.set_metadata("a", frozenset("x"), expected=expected),
    "remove": lambda service, expected: service.remove(["a"], expected=expected),
}


@pytest.fixture
def two(cluster, prefix, node):
    a, b = node(cluster.url(prefix)), node(cluster.url(prefix))
    waited_for(a.register("a", "PYRO:old@h:1", NO_TAGS))
    wait_until(lambda: b.get("a") is not None, "both know it")
    return a, b


@pytest.mark.parametrize("change", CHANGES)
def test_the_record_that_was_seen_is_changed(two, change):
    a, _ = two
    seen = a.get("a")
    waited_for(CHANGES[change](a, seen))
    assert a.get("a") != seen


@pytest.mark.parametrize("change", CHANGES)
def test_what_another_node_has_changed_meanwhile_stays(two, change):
    a, b = two
    seen = a.get("a")
    waited_for(b.register("a", "PYRO:other@h:1", NO_TAGS))
    with pytest.raises(RecordChangedError):  # at once if this node has heard of it, or else by etcd's answer
        waited_for(CHANGES[change](a, seen))
    wait_until(lambda: a.get("a").uri == "PYRO:other@h:1", "it is known")


@pytest.mark.parametrize("_", range(5))
def test_of_many_on_both_nodes_one_wins(two, _):
    seen = [service.get("a") for service in two]
    barrier = threading.Barrier(8)

    def attempt(number):
        barrier.wait()
        try:
            here = number % 2
            waited_for(two[here].register("a", f"PYRO:o{number}@h:1", NO_TAGS, expected=seen[here]))
        except RecordChangedError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(attempt, range(8)) if number is not None]
    for service in two:
        wait_until(lambda service=service: service.get("a").uri == f"PYRO:o{winner}@h:1", "both know the winner")


@pytest.mark.parametrize("_", range(10))
def test_a_removal_does_not_take_what_another_node_registers_at_the_same_time(two, _):
    a, b = two
    registered = b.register("a", "PYRO:new@h:1", NO_TAGS)
    removed = a.remove(["a"], expected=a.get("a"))
    with suppress(RecordChangedError):  # or it came first
        waited_for(removed)
    waited_for(registered)
    for service in two:
        wait_until(lambda service=service: (service.get("a") or OLD).uri == "PYRO:new@h:1", "the new one is there")
