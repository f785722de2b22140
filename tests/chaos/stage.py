"""The cluster that is made to suffer: members of etcd and nodes of a name server, each on a machine of its own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import urllib3

from chaos.history import Commit
from chaos.hosts import Machine, Network, network
from etcd_cluster import Cluster, Member, b64, wait_until
from processes import PYRONYM, Process
from pyronym.client.locate import locate
from pyronym.errors import PyroError
from pyronym.settings import Settings

PREFIX = "chaos"
NODES = ("n0", "n1", "n2")
MEMBERS = ("m0", "m1", "m2")
RECOVERY_SECONDS = 30.0
ASKING = Settings(commtimeout=1.0, locate_timeout=1.0)


class Victim(Protocol):
    """A program that can be hurt."""

    @property
    def name(self) -> str:
        """That of its machine."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def signal(self, number: int) -> None: ...


class Node:
    """One node, which can be ended and started again at the same address."""

    def __init__(self, machine: Machine, storage: str) -> None:
        self.name = machine.name
        self.location = f"{machine.address}:{machine.ports[0]}"
        where = ["-n", machine.address, "-p", str(machine.ports[0]), "-s", storage]
        self._command = [*machine.runner, PYRONYM, "serve", *where]
        self._process: Process | None = None

    def start(self) -> None:
        self._process = Process(self._command)

    def signal(self, number: int) -> None:
        assert self._process is not None, "it was started"
        self._process.signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    @property
    def output(self) -> str:
        """What it has written since it was started."""
        return "" if self._process is None else self._process.output

    def ask(self, method: str, *args: object, **kwargs: object) -> Any:
        """What a method of its name server gives; None if there is no answer."""
        with suppress(PyroError), locate(self.location, settings=ASKING) as found:
            if str(found._pyroConnection.uri.location) == self.location:
                return getattr(found, method)(*args, **kwargs)
        return None


class Stage:
    """All of it. Nodes and members are in the order of their names."""

    def __init__(self, net: Network, folder: Path) -> None:
        self.network = net
        machines = [net.machines[name] for name in MEMBERS]
        self.cluster = Cluster(
            [Member(m.name, m.address, m.ports[1], m.ports[0], folder / m.name, m.runner) for m in machines]
        )
        self.members = self.cluster.members
        self.nodes = [Node(net.machines[name], self.cluster.url(PREFIX)) for name in NODES]

    @property
    def locations(self) -> list[str]:
        return [node.location for node in self.nodes]

    def start(self) -> None:
        """Until all are well."""
        for member in self.members:
            member.start()
        for node in self.nodes:
            node.start()
        self.recovered()

    def recovered(self) -> None:
        """Wait until each member and each node knows what there is. AssertionError if that takes too long."""
        for number, member in enumerate(self.members):
            wait_until(lambda n=number: self._revision(n), f"{member.name} answers", RECOVERY_SECONDS)
        for node in self.nodes:
            wait_until(lambda n=node: _is_well(n), f"{node.name} is well", RECOVERY_SECONDS)

    def leader(self) -> Member:
        """The member that leads the others now."""
        return wait_until(self._leader, "a member says that it leads")

    def _leader(self) -> Member | None:
        for number, member in enumerate(self.members):
            status = self.cluster.ask("/v3/maintenance/status", {}, number)
            if status and status.get("leader") == status["header"]["member_id"]:
                return member
        return None

    def _revision(self, member: int) -> int | None:
        """That of etcd, as one member knows it who has asked the others."""
        answer = self.cluster.ask("/v3/kv/range", {"key": b64(PREFIX)}, member)
        return answer and int(answer["header"]["revision"])

    def commits(self) -> Iterator[Commit]:
        """All changes that there ever were, as etcd tells them to one who watches from the beginning."""
        root = f"{PREFIX}/names/".encode()
        everything = {"key": b64("\0"), "range_end": b64("\0"), "start_revision": "1"}
        end = str(time.monotonic_ns())
        self.cluster.put("end", end)
        with urllib3.PoolManager() as pool:
            url = f"http://{self.members[0].location}/v3/watch"
            body = json.dumps({"create_request": everything})
            response = pool.request("POST", url, body=body, preload_content=False, timeout=RECOVERY_SECONDS)
            for line in response:
                for event in json.loads(line)["result"].get("events", ()):
                    key = base64.b64decode(event["kv"]["key"])
                    if key == b"end" and base64.b64decode(event["kv"]["value"]).decode() == end:
                        response.close()
                        return
                    if key.startswith(root):
                        yield _commit(key.removeprefix(root).decode(), event)

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        self.cluster.close()


def _commit(name: str, event: Mapping[str, Any]) -> Commit:
    pair = event["kv"]
    revision = int(pair["mod_revision"])
    if event.get("type") == "DELETE":
        return Commit(revision, name, None)
    record = json.loads(base64.b64decode(pair["value"]))
    return Commit(revision, name, record["uri"], "lease" in record)


def _is_well(node: Node) -> bool:
    nodes: Sequence[Mapping[str, object]] | None = node.ask("nodes")
    return bool(nodes) and nodes[0]["state"] == "ok"


@contextmanager
def standing(folder: Path) -> Iterator[Stage]:
    """A stage on which all are well. Nothing of it is left in the end."""
    with network(*NODES, *MEMBERS) as net:
        stage = Stage(net, folder)
        try:
            stage.start()
            yield stage
        finally:
            stage.close()
