"""A thread that sees to it that this node knows what etcd has, and that etcd knows of this node."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from pyronym.storage.etcd.following import Contents, Follower
from pyronym.storage.etcd.leases import SHORTEST, NodeLeases
from pyronym.storage.etcd.messages_pb2 import DeleteRangeRequest, PutRequest, RangeRequest
from pyronym.storage.etcd.transport import DELETE_RANGE, NOT_FOUND, PUT, RANGE, EtcdError, RefusedError, Transport
from pyronym.storage.etcd.values import Keys, dumps
from pyronym.storage.shared import Freshness

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks."""
LOOK_SECONDS: Final = 1.5
"""That one look may take. It is shared between the members that have to be tried."""
QUIET_SECONDS: Final = 0.3
"""That a watch may be behind before this node changes something itself, to see whether it hears of that."""


class Overseer:
    """Looks every second whether etcd answers, by a read that needs a quorum, and whether the watch brings what has
    happened until then. Keeps etcd's leases and the key of this node alive.

    What others change in etcd, beyond our prefix, grows its revision, too. Whether the watch of a quiet prefix is
    behind then, or only has nothing to say, shows when this node writes its own key anew. While nobody changes anything
    it costs no write.
    """

    def __init__(
        self, transport: Transport, keys: Keys, contents: Contents, leases: NodeLeases, follower: Follower, node: str
    ) -> None:
        self._transport = transport
        self._question = RangeRequest(key=keys.format, keys_only=True)
        self._keys = keys
        self._contents = contents
        self._leases = leases
        self._follower = follower
        self._node = node
        self._about: Mapping[str, object] | None = None
        self._written = False
        self._last_problem: str | None = None
        self._proven = time.time()
        self._since: float | None = None
        self._reason: str | None = None
        self._gone_back: str | None = None
        """That what this node knows has nothing to do any more with what etcd has. There is no way back from that."""
        self._lock = threading.Lock()
        self.lag: float | None = None
        """Seconds between etcd's answer to the latest change that was measured and when the watch brought it."""
        self._closed = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pyronym-overseer", daemon=True)
        self._thread.start()

    @property
    def freshness(self) -> Freshness:
        """How well this node knows what etcd has."""
        with self._lock:
            return Freshness(self._since, self._reason, self.lag)

    def suspect(self, reason: str) -> None:
        """etcd seems to be away: until it is proven to be there, it is."""
        self._is_stale(reason)
        self._wake.set()

    def announce(self, about: Mapping[str, object]) -> None:
        """Have other nodes know this about this one."""
        self._about = about
        self._written = False
        self._wake.set()

    def close(self) -> None:
        """Look no more. This node is not there any more for others."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        if self._written:
            try:
                request = DeleteRangeRequest(key=self._keys.of_node(self._node))
                self._transport.call(DELETE_RANGE, request, LOOK_SECONDS)
            except EtcdError as problem:
                log.info("this node goes from the list of nodes in %d seconds: %s", SHORTEST, problem)

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                self._look()
            except EtcdError as problem:
                self._is_stale(str(problem))
            except Exception:
                log.exception("looking after etcd failed; trying again")
            self._wake.wait(INTERVAL)

    def _look(self) -> None:
        if self._gone_back is not None:
            raise EtcdError(self._gone_back)
        known = self._follower.revision
        began = time.time()
        member, answer = self._transport.call_any(RANGE, self._question, LOOK_SECONDS, harmless=True)
        revision = answer.header.revision
        if revision < known:
            self._look_back(member, revision, known)
        if self._follower.endpoint not in (None, member):
            self._follower.begin_again()
        self._keep_alive()
        if self._follower.wait_for(revision, QUIET_SECONDS) or self._hears_itself():
            self._is_fresh(began)
        else:
            self._follower.begin_again()
            raise EtcdError("the watch brings nothing, although etcd answers")

    def _look_back(self, member: str, revision: int, known: int) -> None:
        """Find out whether etcd has gone back, or only one member has other data than the rest. EtcdError either way.

        Each member asks the others, so a healthy one never knows less than what another one has answered before. Only
        if this one still does, it is at odds with them; otherwise they may have come to `known` anew.
        """
        others = [endpoint for endpoint in self._transport.endpoints if endpoint != member]
        if any(self._revision_at(other) >= known for other in others) and self._revision_at(member) < known:
            self._transport.leave(member)
            self._follower.begin_again()
            raise EtcdError(
                f"{member} answers at revision {revision}, and others have come to {known} before: look at that member"
            )
        back = f"from revision {known} to {revision}"
        self._gone_back = f"etcd went back {back}, as after a restore: restart this node"
        self._follower.close()  # what happens there from now on must not be mixed into what was here
        raise EtcdError(self._gone_back)

    def _revision_at(self, member: str) -> int:
        """That of etcd as one member knows it; -1 if it does not answer."""
        try:
            return self._transport.call_at(member, RANGE, self._question, LOOK_SECONDS).header.revision
        except EtcdError as problem:
            log.info("%s does not say at which revision it is: %s", member, problem)
            return -1

    def _keep_alive(self) -> None:
        """A refusal is no sign that etcd is away: it may have no space left."""
        try:
            self._leases.keep_alive()
            if self._about is not None and (not self._written or self._node not in self._contents.nodes):
                self._write()
        except RefusedError as problem:
            self._tell_once(problem)

    def _hears_itself(self) -> bool:
        try:
            revision = self._write()
        except RefusedError as problem:
            self._tell_once(problem)
            return True
        began = time.monotonic()
        heard = self._follower.wait_for(revision, INTERVAL)
        self.lag = time.monotonic() - began
        return heard

    def _write(self) -> int:
        """Write what others are to know about this node. The revision."""
        lease = self._leases.of_length(SHORTEST)
        value = dumps(dict(self._about or {}))
        put = PutRequest(key=self._keys.of_node(self._node), value=value, lease=lease)
        try:
            answer = self._transport.call(PUT, put, LOOK_SECONDS, harmless=True)
        except RefusedError as problem:
            if problem.code == NOT_FOUND:
                self._leases.forget(lease)
            raise
        self._written = True
        self._last_problem = None
        return answer.header.revision

    def _tell_once(self, problem: RefusedError) -> None:
        if str(problem) != self._last_problem:
            self._last_problem = str(problem)
            log.error("etcd does not take what this node has to say about itself: %s", problem)

    def _is_stale(self, reason: str) -> None:
        with self._lock:
            begins = self._since is None
            if begins:
                self._since = self._proven
            self._reason = reason
        if begins:
            log.error("etcd is away, lookups go on from memory and may be stale: %s", reason)

    def _is_fresh(self, proven: float) -> None:
        with self._lock:
            self._proven = proven
            since, self._since, self._reason = self._since, None, None
        if since is not None:
            log.warning("etcd is back after %.1f seconds, and everything that has happened is known", proven - since)
