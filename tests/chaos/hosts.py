"""Hosts for nodes and members: network namespaces on one switch, or else addresses of this machine's loopback.

The clients are where the switch is. In namespaces, hosts can be cut off and slowed down; on the loopback they cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from etcd_cluster import free_ports
from namespaces import Host, NoNamespacesError, hosts, link

NETWORK = "10.77.7"
SWITCH = "switch"
PORTS = (9090, 2379)
LINE = "line"
"""What each host calls its only interface."""
NOBODY = "02:00:00:00:00:01"
"""A hardware address that no host has."""
FAR = ("netem", "delay", "40ms", "20ms", "loss", "3%")
"""What `tc` is told: a request and its answer take as long as to another continent, over a bad line."""
NARROW = ("tbf", "rate", "128kbit", "burst", "1600", "latency", "150ms")
"""Where the kernel has no netem: so little gets through that the rest is late, or lost."""


@dataclass(frozen=True)
class Machine:
    """One of them, with two ports that are free. `host`: None on the loopback."""

    name: str
    address: str
    ports: Sequence[int]
    host: Host | None = None

    @property
    def runner(self) -> list[str]:
        """Words that run a command there."""
        return [] if self.host is None else self.host.command()


@dataclass(frozen=True)
class Network:
    """The machines by their names. `slowly`: what makes a line slow, if anything does. `limits`: what cannot be done,
    and why.
    """

    machines: dict[str, Machine]
    switch: Host | None
    slowly: Sequence[str]
    limits: Sequence[str]

    @property
    def can_cut(self) -> bool:
        return self.switch is not None

    @property
    def can_slow(self) -> bool:
        return bool(self.slowly)

    def cut(self, machine: Machine) -> None:
        """Have nothing come from this machine, nor to it. Nobody is told: it is as if a cable were pulled."""
        _run(self.switch, "ip", "link", "set", "dev", machine.name, "nomaster")

    def mend(self, machine: Machine) -> None:
        """Undo that."""
        _run(self.switch, "ip", "link", "set", "dev", machine.name, "master", SWITCH)

    def part(self, machine: Machine, other: Machine) -> None:
        """Have nothing come from one machine to another one; what that sends still arrives."""
        permanent = ("lladdr", NOBODY, "dev", LINE, "nud", "permanent")
        _run(machine.host, "ip", "neighbour", "replace", other.address, *permanent)

    def join(self, machine: Machine, other: Machine) -> None:
        """Undo that."""
        _run(machine.host, "ip", "neighbour", "del", other.address, "dev", LINE)

    def slow(self, machine: Machine) -> None:
        """Have what this machine sends arrive late, or not at all."""
        _run(machine.host, "tc", "qdisc", "add", "dev", LINE, "root", *self.slowly)

    def quicken(self, machine: Machine) -> None:
        """Undo that."""
        _run(machine.host, "tc", "qdisc", "del", "dev", LINE, "root")


@contextmanager
def network(*names: str) -> Iterator[Network]:
    """Machines with these names. This thread is where the clients are, from here on."""
    with ExitStack() as stack:
        try:
            switch, *made = stack.enter_context(hosts(SWITCH, *names))
        except NoNamespacesError as problem:
            yield _on_loopback(names, f"nothing is cut off or slowed down: {problem}")
            return
        yield _on_switch(switch, dict(zip(names, made, strict=True)))


def _on_loopback(names: Sequence[str], limit: str) -> Network:
    addresses = {name: f"127.0.0.{20 + number}" for number, name in enumerate(names)}
    machines = {name: Machine(name, address, free_ports(address, 2)) for name, address in addresses.items()}
    return Network(machines, None, (), [limit])


def _on_switch(switch: Host, made: dict[str, Host]) -> Network:
    switch.run("ip", "link", "add", "name", SWITCH, "type", "bridge")
    switch.run("ip", "address", "add", f"{NETWORK}.1/24", "dev", SWITCH)
    switch.run("ip", "link", "set", "dev", SWITCH, "up")
    machines = {}
    for number, (name, host) in enumerate(made.items(), 10):
        machines[name] = Machine(name, f"{NETWORK}.{number}", PORTS, host)
        link(switch, host, name, [], [f"{machines[name].address}/24"])
        host.run("ip", "link", "set", "dev", name, "down")
        host.run("ip", "link", "set", "dev", name, "name", LINE, "up")
        switch.run("ip", "link", "set", "dev", name, "master", SWITCH)
    switch.enter()
    return _with_slow_lines(machines, switch)


def _with_slow_lines(machines: dict[str, Machine], switch: Host) -> Network:
    """Slow in a way that this kernel has, if it has one."""
    limits: list[str] = []
    for slowly in (FAR, NARROW):
        made = Network(machines, switch, slowly, limits)
        anyone = next(iter(machines.values()))
        try:
            made.slow(anyone)
        except AssertionError as problem:
            limits.append(f"no line is made slow by {slowly[0]}: {problem}")
        else:
            made.quicken(anyone)
            return made
    return Network(machines, switch, (), limits)


def _run(host: Host | None, *words: str) -> None:
    assert host is not None, "only in namespaces"
    host.run(*words)
