"""Which of etcd's leases a node keeps alive; with an etcd that only counts leases."""

import time
from dataclasses import dataclass, field

import pytest
from deaf import Deaf

from etcd_cluster import wait_until
from pyronym.directory.record import Change, Lease, Record
from pyronym.settings import Settings
from pyronym.storage.etcd.following import Contents
from pyronym.storage.etcd.leases import SHORTEST, NodeLeases
from pyronym.storage.etcd.messages_pb2 import (
    LeaseGrantResponse,
    LeaseKeepAliveResponse,
    PutResponse,
    RangeResponse,
    TxnResponse,
)
from pyronym.storage.etcd.overseer import Overseer
from pyronym.storage.etcd.store import EtcdStorage
from pyronym.storage.etcd.transport import (
    DENIED,
    LEASE_GRANT,
    LEASE_KEEP_ALIVE,
    NO_SPACE,
    NOT_FOUND,
    PUT,
    RANGE,
    RefusedError,
)
from pyronym.storage.etcd.values import Keys

SHORT, LONG = Lease("a", 5.0), Lease("a", 100.0)


@dataclass
class Counting:
    """Has leases; what is put with one that has ended is refused, and, if `refusing` is a code, everything is."""

    granted: int = 0
    ended: set = field(default_factory=set)
    kept: list = field(default_factory=list)
    refusing: int | None = None
    refused: int = 0
    endpoint: str = "http://h:1"

    def call_any(self, method, request, timeout, *, harmless):
        return self.endpoint, self.call(method, request, timeout, harmless=harmless)

    def call(self, method, request, timeout, *, harmless=False):
        if method is LEASE_GRANT:
            self.granted += 1
            return LeaseGrantResponse(ID=self.granted)
        if method is LEASE_KEEP_ALIVE:
            self.kept.append(request.ID)
            return LeaseKeepAliveResponse(ID=request.ID, TTL=0 if request.ID in self.ended else 9)
        if method is RANGE:
            return RangeResponse(header={"revision": 1})
        puts = [request] if method is PUT else [step.request_put for step in request.success]
        if self.refusing is not None:
            self.refused += 1
            raise RefusedError(self.refusing, "refused")
        if any(put.lease in self.ended for put in puts):
            raise RefusedError(NOT_FOUND, "requested lease not found")
        return (
            PutResponse(header={"revision": 2})
            if method is PUT
            else TxnResponse(header={"revision": 2}, succeeded=True)
        )


@pytest.fixture
def etcd():
    return Counting()


@pytest.fixture
def leases(etcd):
    return NodeLeases(etcd, 10, 1, time.monotonic)


def registered(etcd, leases, lease):
    storage = EtcdStorage("etcd://h:1/p", Settings())
    storage._transport, storage._leases = etcd, leases
    storage.commit([Change("name", Record("name", "PYRO:o@h:1", lease=lease))])


def test_where_one_lease_has_ended_the_others_are_kept_alive(etcd, leases):
    short, long = leases.for_record(SHORT), leases.for_record(LONG)
    etcd.ended.add(short)
    registered(etcd, leases, SHORT)
    assert leases.for_record(LONG) == long
    assert leases.for_record(SHORT) not in (short, long)


def test_a_lease_that_another_transaction_has_replaced_by_a_new_one_stays(etcd, leases):
    etcd.ended.add(leases.for_record(SHORT))
    newer = []

    def answer(method, request, timeout, *, harmless=False, call=etcd.call):
        try:
            return call(method, request, timeout, harmless=harmless)
        except RefusedError:
            if not newer:
                newer.append(None)
                registered(etcd, leases, SHORT)  # by another transaction, which got the same answer
                newer[0] = leases.for_record(SHORT)
            raise

    etcd.call = answer
    registered(etcd, leases, SHORT)
    assert [leases.for_record(SHORT)] == newer


@pytest.mark.parametrize(("code", "kept"), [(NO_SPACE, [1, 2]), (DENIED, [1, 2]), (NOT_FOUND, [2])])
def test_only_a_lease_that_etcd_has_not_is_forgotten_when_the_key_of_the_node_is_refused(etcd, leases, code, kept):
    assert [leases.of_length(SHORTEST), leases.for_record(LONG)] == [1, 2]
    etcd.refusing = code
    keys = Keys("p")
    overseer = Overseer(etcd, keys, Contents(keys), leases, Deaf(0), "node")
    wait_until(lambda: etcd.refused, "it has written its key")
    overseer.close()
    etcd.kept.clear()
    leases.keep_alive(all_of_them=True)
    assert etcd.kept == kept
