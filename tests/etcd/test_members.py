"""What a node makes of the answers of etcd's members; they are made up here."""

import time

import pytest
from deaf import Deaf

from etcd_cluster import wait_until
from pyronym.settings import Settings
from pyronym.storage.etcd.address import etcd_address
from pyronym.storage.etcd.following import Contents
from pyronym.storage.etcd.leases import NodeLeases
from pyronym.storage.etcd.messages_pb2 import RangeResponse
from pyronym.storage.etcd.overseer import Overseer
from pyronym.storage.etcd.transport import Transport
from pyronym.storage.etcd.values import Keys

ODD, GOOD = "http://odd:1", "http://good:2"


@pytest.fixture
def transport():
    transport = Transport(etcd_address("etcd://user@odd:1,good:2/p"), Settings())
    yield transport
    transport.close()


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
