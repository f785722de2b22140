"""Transactions of etcd, for groups of changes that do not have to do with one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pyronym.directory.record import Change, Lease
from pyronym.storage.etcd.messages_pb2 import Compare, KeyValue, TxnRequest, TxnResponse
from pyronym.storage.etcd.values import Keys, names_value, record_value
from pyronym.storage.shared import Condition, SharedItem

MOST_OPERATIONS: Final = 127
"""In one transaction; etcd takes 128 by default, and one is for those that have departed."""
MOST_COMPARISONS: Final = 128
MOST_BYTES: Final = 1_000_000
"""Of names, URIs and tags in one transaction, about; etcd takes requests of 1.5 MB by default."""

_COMPARISONS: Final = {
    Condition.NONE: 0,
    Condition.ABSENT: 1,
    Condition.UNCHANGED: 2,
    Condition.ABSENT_OR_UNCHANGED: 1,
}


def grouped(items: Sequence[SharedItem]) -> Iterator[list[SharedItem]]:
    """Neighbours that fit into one transaction: no name twice, and not too much of anything."""
    group: list[SharedItem] = []
    names: set[str] = set()
    operations = comparisons = size = 0
    for item in items:
        own_names = {change.name for change in item.changes}
        own_comparisons = len(own_names) * _COMPARISONS[item.basis.condition]
        own_size = sum(map(_size, item.changes))
        if group and (
            not names.isdisjoint(own_names)
            or operations + len(own_names) > MOST_OPERATIONS
            or comparisons + own_comparisons > MOST_COMPARISONS
            or size + own_size > MOST_BYTES
        ):
            yield group
            group, names = [], set()
            operations = comparisons = size = 0
        group.append(item)
        names |= own_names
        operations += len(own_names)
        comparisons += own_comparisons
        size += own_size
    if group:
        yield group


def transaction(
    items: Sequence[SharedItem], keys: Keys, lease_for: Callable[[Lease], int], *, explain: bool
) -> TxnRequest:
    """The request that makes all the changes if all the conditions hold. Otherwise `explain` finds out which do.

    ChangeRefusedError for text that has no UTF-8 form; and what `lease_for` raises, which gives the id of etcd's lease.
    """
    request = TxnRequest()
    departed: list[str] = []
    for item in items:
        for change in item.changes:
            key = keys.of_name(change.name)
            _add_operation(request, key, change, lease_for)
            if item.basis.condition is not Condition.NONE:
                _add_comparisons(request, key, item)
                if explain:
                    look = request.failure.add().request_range
                    look.key, look.keys_only = key, True
        if item.basis.departing:
            departed += [change.name for change in item.changes]
    if departed:
        put = request.success.add().request_put
        put.key, put.value = keys.departed, names_value(departed)
    return request


def grows(items: Sequence[SharedItem]) -> bool:
    """Whether etcd comes to a higher revision if their transaction succeeds, even if what is removed was not there."""
    return any(
        item.basis.condition is Condition.UNCHANGED or any(change.record is not None for change in item.changes)
        for item in items
    )


def outrun(items: Sequence[SharedItem], answer: TxnResponse) -> list[SharedItem]:
    """Those items whose conditions did not hold, from the answer to a transaction that failed and explains that."""
    found = iter(answer.responses)
    losers = []
    for item in items:
        if item.basis.condition is Condition.NONE:
            continue
        holds = [_holds(item, next(found).response_range.kvs) for _ in item.changes]
        if not all(holds):
            losers.append(item)
    return losers


def _holds(item: SharedItem, keys: Sequence[KeyValue]) -> bool:
    if item.basis.condition is Condition.ABSENT:
        return not keys
    if not keys:
        return item.basis.condition is Condition.ABSENT_OR_UNCHANGED
    return keys[0].mod_revision <= item.basis.revision


def _add_comparisons(request: TxnRequest, key: bytes, item: SharedItem) -> None:
    if item.basis.condition is Condition.ABSENT:
        request.compare.add(key=key, target=Compare.VERSION, result=Compare.EQUAL, version=0)
        return
    if item.basis.condition is Condition.UNCHANGED:
        request.compare.add(key=key, target=Compare.VERSION, result=Compare.GREATER, version=0)
    # A key that does not exist counts as changed at revision 0.
    request.compare.add(key=key, target=Compare.MOD, result=Compare.LESS, mod_revision=item.basis.revision + 1)


def _add_operation(request: TxnRequest, key: bytes, change: Change, lease_for: Callable[[Lease], int]) -> None:
    record = change.record
    if record is None:
        request.success.add().request_delete_range.key = key
        return
    put = request.success.add().request_put
    put.key = key
    put.value = record_value(record)
    if record.lease is not None:
        put.lease = lease_for(record.lease)


def _size(change: Change) -> int:
    record = change.record
    return len(change.name) + (0 if record is None else len(record.uri) + sum(map(len, record.metadata)))
