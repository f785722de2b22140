"""etcd's leases, on which the records hang whose leases this node counts: they go when the node does.

There is one for each class of lengths, not one for each record. The node counts the leases of its records itself;
etcd's end only when the node is gone. They are longer, so that whoever renews in time can do so at another node.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pyronym.directory.record import Lease
from pyronym.storage.etcd.messages_pb2 import LeaseGrantRequest, LeaseKeepAliveRequest
from pyronym.storage.etcd.transport import LEASE_GRANT, LEASE_KEEP_ALIVE, Transport

log = logging.getLogger(__name__)

SHORTEST: Final = 8
"""Seconds. So long etcd may be away, or elect a leader, before a node and its records count as dead."""
RESERVE: Final = 1.5
"""How much longer than a record's lease etcd's is at least: it was kept alive up to a quarter of its length ago."""
KEEP_ALIVE_PARTS: Final = 4


@dataclass(slots=True)
class _Granted:
    id: int
    kept: float


def length_class(seconds: float) -> int:
    """The length of etcd's lease, in seconds, for a record whose own is so long: a power of two."""
    return int(max(SHORTEST, 2 ** math.ceil(math.log2(seconds * RESERVE))))


class NodeLeases:
    """The leases of one node. `grace`: seconds that an ephemeral record stays without its connection."""

    def __init__(self, transport: Transport, grace: float, timeout: float, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._grace = grace
        self._timeout = timeout
        self._clock = clock
        self._granted: dict[int, _Granted] = {}
        self._lock = threading.Lock()

    def for_record(self, lease: Lease) -> int:
        """The id of etcd's lease for a record with this one. EtcdError if there can be none."""
        return self.of_length(length_class(self._seconds(lease)))

    def outlives(self, lease: Lease) -> bool:
        """Whether etcd keeps a record with this lease as long as it is to be kept when it is renewed now. Never waits.

        It does as long as its own lease is kept alive: that is longer. Where etcd is away, it does for a while.
        """
        seconds = self._seconds(lease)
        length = length_class(seconds)
        granted = self._granted.get(length)
        return granted is not None and granted.kept + length >= self._clock() + seconds

    def _seconds(self, lease: Lease) -> float:
        """How long a record stays that is not renewed."""
        ends = [] if lease.seconds is None else [lease.seconds]
        if lease.ephemeral:
            ends.append(self._grace)
        return max(min(ends), 0.1)

    def of_length(self, seconds: int) -> int:
        """The id of etcd's lease that ends so long after this node. EtcdError if there can be none."""
        with self._lock:
            granted = self._granted.get(seconds)
            if granted is None:
                now = self._clock()
                request = LeaseGrantRequest(TTL=seconds)
                answer = self._transport.call(LEASE_GRANT, request, self._timeout, harmless=True)
                granted = self._granted[seconds] = _Granted(answer.ID, now)
            return granted.id

    def keep_alive(self, *, all_of_them: bool = False) -> None:
        """Have those count anew for which it is time, or all, and forget those that have ended. EtcdError if one could
        not be.
        """
        for seconds, granted in list(self._granted.items()):
            now = self._clock()
            if not all_of_them and now - granted.kept < seconds / KEEP_ALIVE_PARTS - 1:
                continue
            request = LeaseKeepAliveRequest(ID=granted.id)
            if self._transport.call(LEASE_KEEP_ALIVE, request, self._timeout, harmless=True).TTL > 0:
                granted.kept = now
            else:
                log.warning("etcd's lease of %d seconds has ended, and what was registered with it is gone", seconds)
                self.forget(granted.id)

    def forget(self, lease_id: int) -> None:
        """One has ended, as etcd says: a new one will be granted when it is needed.

        None that etcd still has: nobody would keep it alive, and what hangs on it would go.
        """
        with self._lock:
            self._granted = {seconds: granted for seconds, granted in self._granted.items() if granted.id != lease_id}
