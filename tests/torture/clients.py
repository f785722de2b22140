"""Hostile and careless clients against a live name server: ``make torture``, or ``python -m torture.clients``.

Each kind of them is let loose on a server while a client that means no harm connects, asks three things, and connects
anew. What that one notices, and what the server takes for it, is a row of the table.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from fuzz.attack import converse
from fuzz.frames import Frame, greetings
from fuzz.targets import KINDS, Target
from fuzz.watch import Healthy
from pyronym.serializers.registry import serializer_by_name

NAMES = 1500
"""Registered before, so that a list of them has a size. The last one is what the regular expressions fail on."""
PATIENCE = 10.0
MEGABYTE = 1 << 20
COMPRESSED = 2


@dataclass(frozen=True)
class Scene:
    """What an attacker needs: where, in which protocol, how many connections, and when to end."""

    address: tuple[str, int]
    protocol: int
    clients: int
    over: threading.Event


Attack = Callable[[Scene, ExitStack], None]
"""Runs until the scene is over, or leaves open what is to stay open until then."""


def _call(protocol: int, method: str, *args: object, **kwargs: object) -> bytes:
    data = serializer_by_name(protocol, "serpent").dumps_call("Pyro.NameServer", method, args, kwargs)
    return Frame(protocol, 4, 1, 0, 7, b"", data).wire(None)


def _greeting(protocol: int) -> bytes:
    return next(frame for frame in greetings(protocol) if frame.name == "serpent").wire(None)


def _open(scene: Scene, stack: ExitStack, *messages: bytes) -> None:
    """As many connections as there shall be, with these bytes sent over each and no answer read."""
    for _ in range(scene.clients):
        if scene.over.is_set():
            return
        with suppress(OSError):
            sock = stack.enter_context(socket.create_connection(scene.address, 2.0))
            for message in messages:
                sock.sendall(message)


def _again_and_again(scene: Scene, *messages: bytes) -> None:
    """Eight attackers who send this, wait a while for an answer, and begin anew."""

    def attack() -> None:
        while not scene.over.is_set():
            with suppress(OSError), socket.create_connection(scene.address, 2.0) as sock:
                sock.sendall(b"".join(messages))
                while not scene.over.is_set() and sock.recv(1 << 20):
                    pass

    threads = [threading.Thread(target=attack, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE)


def half_headers(scene: Scene, stack: ExitStack) -> None:
    """Connections that send ten bytes."""
    _open(scene, stack, _greeting(scene.protocol)[:10])


def half_messages(scene: Scene, stack: ExitStack) -> None:
    """Connections that shake hands, and then send the first half of a call."""
    call = _call(scene.protocol, "lookup", "Pyro.NameServer")
    _open(scene, stack, _greeting(scene.protocol), call[: len(call) // 2])


def idle(scene: Scene, stack: ExitStack) -> None:
    """Connections that shake hands, and then send nothing."""
    _open(scene, stack, _greeting(scene.protocol))


def never_reading(scene: Scene, stack: ExitStack) -> None:
    """Connections that ask for all names a hundred times, and read none."""
    _open(scene, stack, _greeting(scene.protocol), _call(scene.protocol, "list") * 100)


def churn(scene: Scene, stack: ExitStack) -> None:
    """Connections that come and go."""
    while not scene.over.is_set():
        with suppress(OSError):
            socket.create_connection(scene.address, 2.0).close()


def regular_expressions(scene: Scene, stack: ExitStack) -> None:
    """Patterns that take longer than the universe is old."""
    _again_and_again(scene, _greeting(scene.protocol), _call(scene.protocol, "list", None, "(a+)+$"))


def bombs(scene: Scene, stack: ExitStack) -> None:
    """Messages of 1 MB that unfold to 1 GB."""
    data = zlib.compress(bytes(1 << 30), 1)[: 1 << 23]
    frame = Frame(scene.protocol, 4, 1, COMPRESSED, 7, b"", data)
    _again_and_again(scene, _greeting(scene.protocol), frame.wire(None))


def deep_nesting(scene: Scene, stack: ExitStack) -> None:
    """Lists in lists in lists."""
    data = b"# serpent utf-8 python3.2\n('Pyro.NameServer','lookup',(" + b"[" * 50_000 + b"]" * 50_000 + b",),{})"
    frame = Frame(scene.protocol, 4, 1, 0, 7, b"", data)
    _again_and_again(scene, _greeting(scene.protocol), frame.wire(None))


def large_calls(scene: Scene, stack: ExitStack) -> None:
    """Calls of 8 MB full of small things."""
    data = b"# serpent utf-8 python3.2\n('Pyro.NameServer','lookup',([" + b"1," * 4_000_000 + b"],),{})"
    frame = Frame(scene.protocol, 4, 1, 0, 7, b"", data)
    _again_and_again(scene, _greeting(scene.protocol), frame.wire(None))


ATTACKS: tuple[Attack, ...] = (
    half_headers,
    half_messages,
    idle,
    never_reading,
    churn,
    regular_expressions,
    bombs,
    deep_nesting,
    large_calls,
)


@dataclass
class Outcome:
    """What became of a server. Times in seconds, memory in bytes."""

    alive: bool
    answers: int
    """Of the client that means no harm."""
    failures: int
    worst: float
    growth: int
    """From the memory before the attack to the highest."""
    recovered: bool
    """Whether a new client was answered when the attackers had gone."""

    @property
    def survived(self) -> bool:
        """Whether the client that means no harm noticed no more than waiting."""
        return self.alive and self.recovered and not self.failures and self.answers > 0


def perform(kind: str, attack: Attack, clients: int, seconds: float) -> Outcome:
    """One attack on a new server."""
    target = Target(kind)
    protocol = target.protocols[0]
    try:
        names = [_call(protocol, "register", f"name.{number}", f"PYRO:o@h:{number}") for number in range(NAMES)]
        names.append(_call(protocol, "register", "a" * 40 + "!", "PYRO:o@h:1"))
        converse(target.address, [_greeting(protocol), *names], PATIENCE)
        before = target.measure().memory
        over = threading.Event()
        healthy = Healthy(target.address, protocol, PATIENCE, None, questions=3)
        with ExitStack() as stack:
            attacker = threading.Thread(target=attack, args=(Scene(target.address, protocol, clients, over), stack))
            attacker.start()
            time.sleep(seconds)  # the length of the attack; nothing is waited for
            waiting = healthy.waiting
            over.set()
            alive = target.is_alive
            peak = target.measure().peak if alive else 0
            answers, failures, worst = healthy.answers, healthy.failures, max(healthy.worst, waiting)
            attacker.join(3 * PATIENCE)
        recovered = alive and _answers(target.address, protocol)
        return Outcome(alive, answers, failures, worst, max(peak - before, 0), recovered)
    finally:
        target.close()


def _answers(address: tuple[str, int], protocol: int) -> bool:
    healthy = Healthy(address, protocol, PATIENCE, None)
    deadline = time.monotonic() + PATIENCE
    while not healthy.answers and time.monotonic() < deadline:
        time.sleep(0.01)
    return healthy.answers > 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.clients", description=__doc__)
    parser.add_argument("--server", choices=KINDS, nargs="*", default=list(KINDS), help="what is attacked")
    parser.add_argument("--clients", type=int, default=300, help="connections of those who hold some")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each attack")
    options = parser.parse_args()
    bad = False
    print("| attack | server | answers | in vain | worst wait | memory | afterwards |")
    print("|---|---|---|---|---|---|---|")
    for attack in ATTACKS:
        for kind in options.server:
            outcome = perform(kind, attack, options.clients, options.seconds)
            bad = bad or (kind == "pyronym" and not outcome.survived)
            afterwards = "answers" if outcome.recovered else "answers nobody" if outcome.alive else "dead"
            print(
                f"| {(attack.__doc__ or '').rstrip('.')} | {kind} | {outcome.answers:,} | {outcome.failures} "
                f"| {outcome.worst * 1000:,.0f} ms | +{outcome.growth / MEGABYTE:,.0f} MB | {afterwards} |",
                flush=True,
            )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
