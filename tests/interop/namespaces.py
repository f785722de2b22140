"""Hosts and networks for a test, made of Linux network namespaces: what happens there never leaves the machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from processes import clean_environment


@dataclass(frozen=True)
class Host:
    """A machine with networks of its own."""

    namespace: str

    def command(self, *words: str | Path) -> list[str]:
        """What runs a command on this host."""
        return ["ip", "netns", "exec", self.namespace, *map(str, words)]

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> str:
        """What a command writes on this host. AssertionError when it fails."""
        return _run(*self.command(*words), env=env)


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Hosts without any link yet; the test is skipped where the system lets nobody make any."""
    made = [Host(f"pyronym-{os.getpid()}-{name}") for name in names]
    try:
        for host in made:
            try:
                _run("ip", "netns", "add", host.namespace)
            except FileNotFoundError:
                pytest.skip("there is no `ip` command (Debian: apt-get install iproute2)")
            except AssertionError as problem:
                pytest.skip(f"network namespaces cannot be made here: {problem}")
            # No addresses but those that a test gives.
            host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode")
            host.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True, check=False)


def link(one: Host, other: Host, name: str, ours: list[str], theirs: list[str]) -> None:
    """Connect two hosts by a network, on which they have these addresses."""
    _run("ip", "link", "add", name, "netns", one.namespace, "type", "veth", "peer", name, "netns", other.namespace)
    for host, addresses in ((one, ours), (other, theirs)):
        for address in addresses:
            host.run("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        host.run("ip", "link", "set", name, "up")


def _run(*command: str, env: Mapping[str, str] | None = None) -> str:
    environment = clean_environment(env)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=environment)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
