"""What a node makes of the answers of etcd's members; they are made up here."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from deaf import Deaf
from generated import delete, put

from etcd_cluster import wait_until
from pyronym.settings import Settings
from pyronym.storage.etcd.address import etcd_address
from pyronym.storage.etcd.following import Contents
from pyronym.storage.etcd.leases import NodeLeases
from pyronym.storage.etcd.messages_pb2 import RangeRequest, RangeResponse, TxnResponse
from pyronym.storage.etcd.overseer import Overseer
from pyronym.storage.etcd.store import EtcdStorage
from pyronym.storage.etcd.transactions import MOST_OPERATIONS
from pyronym.storage.etcd.transport import RANGE, UNAUTHENTICATED, RefusedError, Transport, UnreachableError
from pyronym.storage.etcd.values import Keys
from pyronym.storage.shared import ALWAYS_FRESH, Basis, Condition

WAIT = 5
ODD, GOOD = "http://odd:1", "http://good:2"


@pytest.fixture
def transport():
    transport = Transport(etcd_address("etcd://user@odd:1,good:2/p"), Settings())
    yield transport
    transport.close()


@pytest.fixture
def storage():
    """It has come to revision 5."""
    storage = EtcdStorage("etcd://good:2/p", Settings())
    storage._follower, storage._overseer = Deaf(5), Suspected()
    yield storage
    storage.close()


def test_a_member_at_odds_that_was_left_while_it_answered_is_told_from_a_healthy_one(transport, monkeypatch):
    def answer(endpoint, method, request, timeout):
        transport.leave(ODD)  # as another thread does
        return RangeResponse(header={"revision": 1 if endpoint == ODD else 5})

    monkeypatch.setattr(transport, "_authenticated", answer)
    keys = Keys("p")
    leases = NodeLeases(transport, 10, 1, time.monotonic)
    overseer = Overseer(transport, keys, Contents(keys), leases, Deaf(5), "node")
    wait_until(lambda: overseer.freshness.reason, "it has looked")
    overseer.close()
    assert overseer.freshness.reason.startswith(f"{ODD} answers at revision 1, and others have come to 5 before")


class Suspected:
    """In the place of an Overseer."""

    freshness = ALWAYS_FRESH
    reason = None

    def suspect(self, reason):
        self.reason = reason

    def close(self):
        pass


@dataclass
class Item:
    changes: list
    basis: Basis
    submitted: float = field(default_factory=time.monotonic)


@pytest.mark.parametrize("revision", [4, 5])
@pytest.mark.parametrize(
    ("change", "condition"), [(put("a"), Condition.NONE), (delete("a"), Condition.UNCHANGED)], ids=["put", "delete"]
)
def test_a_change_is_uncertain_that_is_taken_at_a_revision_that_has_been_before(
    storage, monkeypatch, revision, change, condition
):
    answer = TxnResponse(header={"revision": revision}, succeeded=True)
    monkeypatch.setattr(storage._transport, "_authenticated", lambda *_: answer)
    [error] = storage.transact([Item([change], Basis(condition, 5))])
    words = f"it was done at revision {revision}, and 5 had been before"
    assert f"it is unknown whether it was changed ({words})" in str(error)
    assert storage._overseer.reason == words


def test_a_removal_of_what_is_not_there_is_done_at_a_revision_that_has_been_before(storage, monkeypatch):
    answer = TxnResponse(header={"revision": 5}, succeeded=True)
    monkeypatch.setattr(storage._transport, "_authenticated", lambda *_: answer)
    storage.commit([delete("a")])
    assert storage._overseer.reason is None


def test_calls_whose_token_has_expired_wait_for_the_first_of_them_to_log_in(transport, monkeypatch):
    sent, refused, second = [], threading.Event(), []

    def answer(endpoint, method, request, timeout, token):
        if method.path.endswith("Authenticate"):
            sent.append("password")
            if sent.count("password") == 1:
                second.append(threads.submit(transport.call, RANGE, RangeRequest(), WAIT))
                assert refused.wait(WAIT)
            return method.answer(token="new")
        sent.append(token)
        if token == "new":
            return method.answer()
        if sent.count("old") == 2:
            refused.set()
        raise RefusedError(UNAUTHENTICATED, "invalid auth token")

    monkeypatch.setattr(transport, "_token", "old")
    monkeypatch.setattr(transport, "_answer", answer)
    with ThreadPoolExecutor() as threads:
        transport.call(RANGE, RangeRequest(), WAIT)
        second[0].result(WAIT)
    assert sent == ["old", "password", "old", "new", "new"]


def test_a_call_that_cannot_log_in_because_another_one_does_was_not_sent(transport):
    with transport._logging_in, pytest.raises(UnreachableError, match="another call has not logged in yet"):
        transport.call(RANGE, RangeRequest(), 0.01)


def group(name):
    """It fills a transaction."""
    return Item([put(f"{name}.{number}") for number in range(MOST_OPERATIONS)], Basis(Condition.NONE, 5))


def of_group(name, request):
    return request.success[0].request_put.key == f"p/names/{name}.0".encode()


def test_a_transaction_is_waited_for_as_soon_as_it_is_answered_even_if_an_earlier_one_is_not(storage, monkeypatch):
    awaited = threading.Event()

    def answer(endpoint, method, request, timeout):
        first = of_group("a", request)
        assert not first or awaited.wait(WAIT)
        return TxnResponse(header={"revision": 6 if first else 7}, succeeded=True)

    def wait_for(revision, timeout):
        if revision == 7:
            awaited.set()
        return True

    monkeypatch.setattr(storage._transport, "_authenticated", answer)
    monkeypatch.setattr(storage._follower, "wait_for", wait_for)
    with ThreadPoolExecutor() as threads:
        assert list(threads.map(storage.transact, [[group("a")], [group("b")]])) == [[None], [None]]
