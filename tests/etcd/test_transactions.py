"""Which changes fit into one transaction of etcd, and which lost it; without an etcd."""

from dataclasses import dataclass

import pytest
from generated import delete, put

from pyronym.directory.record import Lease
from pyronym.storage.etcd.leases import NodeLeases, length_class
from pyronym.storage.etcd.messages_pb2 import LeaseGrantResponse, LeaseKeepAliveResponse, TxnResponse
from pyronym.storage.etcd.transactions import outrun, portion, transaction
from pyronym.storage.etcd.transport import LEASE_GRANT
from pyronym.storage.etcd.values import Keys
from pyronym.storage.shared import Basis, Condition

KEYS = Keys("p")


@dataclass(frozen=True)
class Item:
    changes: tuple
    basis: Basis = Basis(Condition.NONE, 5)  # noqa: RUF009 (nothing can change it)
    submitted: float = 0.0


def items(count, condition=Condition.NONE, size=10):
    return [Item((put(f"n{number}", "u" * size),), Basis(condition, 5)) for number in range(count)]


def portions(items):
    """How many are in each transaction."""
    sizes = []
    while items:
        sizes.append(portion(items))
        items = items[sizes[-1] :]
    return sizes


@pytest.mark.parametrize(
    ("condition", "size", "expected"),
    [
        (Condition.NONE, 10, [127, 127, 46]),
        (Condition.ABSENT, 10, [127, 127, 46]),
        (Condition.UNCHANGED, 10, [64, 64, 64, 64, 44]),
        (Condition.ABSENT_OR_UNCHANGED, 10, [127, 127, 46]),
        (Condition.NONE, 300_000, [3] * 100),
    ],
)
def test_a_transaction_has_no_more_than_etcd_takes(condition, size, expected):
    assert portions(items(300, condition, size)) == expected


def test_no_name_is_twice_in_a_transaction():
    a, b = put("a"), put("b")
    assert portions([Item((a,)), Item((b,)), Item((delete("a"),)), Item((delete("b"),)), Item((a,))]) == [2, 2, 1]


def test_an_item_that_is_too_large_alone_is_a_transaction_alone():
    assert portions(items(3, size=2_000_000)) == [1, 1, 1]


def answer(*found):
    """Of a transaction that failed: for each name with a condition the revision of its key, or None."""
    answer = TxnResponse()
    for revision in found:
        keys = answer.responses.add().response_range.kvs
        if revision is not None:
            keys.add(mod_revision=revision)
    return answer


def test_those_whose_conditions_do_not_hold_are_outrun_and_no_others():
    free = Item((put("free"),))
    absent = [Item((put(name),), Basis(Condition.ABSENT, 5)) for name in ("new", "taken")]
    unchanged = [Item((put(name),), Basis(Condition.UNCHANGED, 5)) for name in ("same", "changed", "gone")]
    either = [Item((put(name),), Basis(Condition.ABSENT_OR_UNCHANGED, 5)) for name in ("none", "old", "foreign")]
    losers = outrun([free, *absent, *unchanged, *either], answer(None, 3, 5, 6, None, None, 5, 6))
    assert losers == [absent[1], unchanged[1], unchanged[2], either[2]]


def test_only_removals_of_leased_records_are_told_to_others():
    quiet = Item((delete("a"),), Basis(Condition.UNCHANGED, 5))
    told = Item((delete("b"),), Basis(Condition.UNCHANGED, 5, departing=True))
    assert len(transaction([quiet], KEYS, int, explain=False).success) == 1
    request = transaction([quiet, told], KEYS, int, explain=False)
    assert request.success[2].request_put.key == KEYS.departed


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.1, 8), (5, 8), (5.4, 16), (10, 16), (11, 32), (60, 128), (366 * 86400, 2**26)]
)
def test_leases_of_etcd_are_longer_than_those_of_the_records(seconds, expected):
    assert length_class(seconds) == expected


class Granting:
    """Grants all leases, and keeps all alive."""

    def call(self, method, request, timeout, *, harmless):
        return LeaseGrantResponse(ID=1) if method is LEASE_GRANT else LeaseKeepAliveResponse(ID=1, TTL=1)


@pytest.mark.parametrize(
    ("lease", "spare"), [(Lease("a", 5.0), 3), (Lease("a", 10.0), 6), (Lease("a", 60.0, ephemeral=True), 6)]
)
def test_a_renewal_holds_as_long_as_etcd_keeps_the_record_without_the_node(lease, spare):
    now = [0.0]
    leases = NodeLeases(Granting(), 10, 1, lambda: now[0])
    assert not leases.outlives(lease)
    leases.for_record(lease)
    now[0] = spare
    assert leases.outlives(lease)
    now[0] = spare + 0.1
    assert not leases.outlives(lease)
    leases.keep_alive()
    assert leases.outlives(lease)
