"""Hosts and networks for a test, made of Linux network namespaces: what happens there never leaves the machine."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from processes import clean_environment

CLONE_NEWNET = 0x40000000
"""As in <sched.h>: a network namespace. `os.setns` would be there from Python 3.12 on."""


class NoNamespacesError(Exception):
    """The system lets nobody make network namespaces here."""


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

    def enter(self) -> None:
        """Have this thread be on this host from here on, and all threads and processes that it starts."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/var/run/netns/{self.namespace}") as file:
            if libc.setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {self.namespace}")


@contextmanager
def hosts(*names: str) -> Iterator[list[Host]]:
    """Hosts without any link yet. NoNamespacesError where none can be made."""
    made: list[Host] = []
    try:
        for name in names:
            host = Host(f"pyronym-{os.getpid()}-{name}")
            try:
                _run("ip", "netns", "add", host.namespace)
            except FileNotFoundError as problem:
                raise NoNamespacesError("there is no `ip` command (Debian: apt-get install iproute2)") from problem
            except AssertionError as problem:
                raise NoNamespacesError(f"network namespaces cannot be made here: {problem}") from problem
            made.append(host)
            # No addresses but those that a test gives.
            host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode")
            host.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True, check=False)


@contextmanager
def hosts_or_skip(*names: str) -> Iterator[list[Host]]:
    """As `hosts`; the test is skipped where none can be made."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(hosts(*names))
        except NoNamespacesError as problem:
            pytest.skip(str(problem))
        yield made


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
