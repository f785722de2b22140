"""What is done to nodes and members, and undone."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from chaos.stage import Stage, Victim
from etcd_cluster import etcd_version

Kind = tuple[str, str]
"""A deed and its target."""
Deed = Callable[[Stage, Victim], None]


def _between_it_and_etcd(method: str) -> Deed:
    def deed(stage: Stage, victim: Victim) -> None:
        machines = stage.network.machines
        for member in stage.members:
            getattr(stage.network, method)(machines[victim.name], machines[member.name])

    return deed


def _on_line(method: str) -> Deed:
    return lambda stage, victim: getattr(stage.network, method)(stage.network.machines[victim.name])


DEEDS: dict[str, tuple[Deed, Deed]] = {
    "kill": (lambda stage, victim: victim.kill(), lambda stage, victim: victim.start()),
    "freeze": (
        lambda stage, victim: victim.signal(signal.SIGSTOP),
        lambda stage, victim: victim.signal(signal.SIGCONT),
    ),
    "cut off": (_on_line("cut"), _on_line("mend")),
    "slow down": (_on_line("slow"), _on_line("quicken")),
    "part from etcd": (_between_it_and_etcd("part"), _between_it_and_etcd("join")),
}
"""How it begins, and how it ends."""

TARGETS: dict[str, Callable[[Stage, random.Random], Victim]] = {
    "a node": lambda stage, chance: chance.choice(stage.nodes),
    "the leader": lambda stage, chance: stage.leader(),
    "a follower": lambda stage, chance: chance.choice([m for m in stage.members if m is not stage.leader()]),
}


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, until it is ended."""

    deed: str
    victim: Victim
    words: str

    def begin(self, stage: Stage) -> None:
        DEEDS[self.deed][0](stage, self.victim)

    def end(self, stage: Stage) -> None:
        DEEDS[self.deed][1](stage, self.victim)


def kinds(stage: Stage) -> list[Kind]:
    """All that can be done here."""
    can = {
        "cut off": stage.network.can_cut,
        "part from etcd": stage.network.can_cut,
        "slow down": stage.network.can_slow,
    }
    possible = [(deed, target) for deed, target in product(DEEDS, TARGETS) if can.get(deed, True)]
    members = [target for target in TARGETS if target != "a node"]
    impossible = [("part from etcd", target) for target in members]
    if forgets_when_killed():
        impossible += [("kill", target) for target in members]
    return [kind for kind in possible if kind not in impossible]


def limits(stage: Stage) -> list[str]:
    """What cannot be done here, and why."""
    if not forgets_when_killed():
        return [*stage.network.limits]
    version = ".".join(map(str, etcd_version()))
    advice = "give another one (ETCD=/usr/bin/etcd; Debian: apt-get install etcd-server)"
    return [*stage.network.limits, f"members are not killed: etcd {version} may skip changes afterwards; {advice}"]


def forgets_when_killed() -> bool:
    """Whether this etcd may have other data than the others when it was killed and is back (etcd's issue 13766)."""
    return (3, 5, 0) <= etcd_version() <= (3, 5, 2)


def fault(stage: Stage, kind: Kind, chance: random.Random) -> Fault:
    """One of a kind; who suffers is found now."""
    deed, target = kind
    victim = TARGETS[target](stage, chance)
    return Fault(deed, victim, f"{deed} {target} ({victim.name})")
