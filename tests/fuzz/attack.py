"""One attacking process: wrong messages over several connections at a time, each seen through to its end.

A client sends what it has to say and then that this was all. A server that works answers what it can and closes the
connection. One that has not done so in time hangs.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from random import Random

from fuzz.frames import sizes_of_answers
from fuzz.mutations import conversation

PER_CONNECTION = 8


@dataclass(frozen=True)
class Task:
    """What to attack, and how. `patience`: seconds for a connection to end."""

    address: tuple[str, int]
    protocols: tuple[int, ...]
    seed: int
    threads: int
    patience: float
    key: bytes | None


@dataclass(frozen=True)
class Tally:
    """What came of one connection: how many messages the server took, how long that was, what was sent if it hung."""

    messages: int
    seconds: float
    hung: tuple[bytes, ...] = ()
    refused: bool = False


def attack(task: Task, tallies: Queue[Tally], stop: Event) -> None:
    """Attack until told to stop. Runs in a process of its own."""
    threads = [
        threading.Thread(target=_attack, args=(task, Random(f"{task.seed} {number}"), tallies, stop), daemon=True)
        for number in range(task.threads)
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    tallies.cancel_join_thread()


def _attack(task: Task, random: Random, tallies: Queue[Tally], stop: Event) -> None:
    while not stop.is_set():
        protocol = random.choice(task.protocols)
        messages = conversation(random, protocol, PER_CONNECTION, task.key)
        while messages and not stop.is_set():
            begin = time.monotonic()
            try:
                answers = converse(task.address, messages, task.patience)
            except ConnectionRefusedError:  # it is down, and will be started again
                tallies.put(Tally(0, 0.0, refused=True))
                stop.wait(0.2)
                continue
            except TimeoutError:
                tallies.put(Tally(len(messages), time.monotonic() - begin, hung=tuple(messages)))
                break
            # Where the server closed early, the rest has not been looked at.
            taken = min(len(messages), len(sizes_of_answers(protocol, answers)) + 1)
            tallies.put(Tally(taken, time.monotonic() - begin))
            messages = messages[taken:]


def converse(address: tuple[str, int], messages: list[bytes], patience: float) -> bytes:
    """All that the server answers until it closes. TimeoutError when it has not closed in time."""
    deadline = time.monotonic() + patience
    answers = bytearray()
    with socket.create_connection(address, patience) as sock:
        data = memoryview(b"".join(messages))
        sender = _Sender(sock, data)
        try:
            while True:
                sender.send_some()
                sock.settimeout(max(0.001, deadline - time.monotonic()) if sender.is_done else 0.01)
                try:
                    part = sock.recv(1 << 18)
                except TimeoutError:
                    if time.monotonic() >= deadline:
                        raise
                    continue
                if not part:
                    return bytes(answers)
                answers += part
        except TimeoutError:
            raise
        except OSError:  # it closed while it was being told something: reset, broken pipe, not connected
            return bytes(answers)


class _Sender:
    """Sends without waiting for a server that answers before it reads on."""

    def __init__(self, sock: socket.socket, data: memoryview) -> None:
        self._sock = sock
        self._left = data
        self.is_done = False

    def send_some(self) -> None:
        if self.is_done:
            return
        try:
            while self._left:
                sent = self._sock.send(self._left, socket.MSG_DONTWAIT)
                self._left = self._left[sent:]
        except BlockingIOError:
            return
        self.is_done = True
        self._sock.shutdown(socket.SHUT_WR)
