"""A client that means no harm: it asks the server one thing after the other and notes how long the answers take."""

from __future__ import annotations

import socket
import threading
import time
from array import array

from fuzz.attack import converse
from fuzz.frames import Frame, greetings, sizes_of_answers
from pyronym.serializers.registry import serializer_by_name

_PAUSE = 0.005
"""Seconds between two questions."""


class Healthy:
    """Asks in a thread of its own. `waits`: how long it waited for each answer, in seconds; `failures`: waits in vain.

    `questions`: how many it asks over one connection; 0: all.
    """

    def __init__(
        self, address: tuple[str, int], protocol: int, patience: float, key: bytes | None, questions: int = 0
    ) -> None:
        self._questions = questions
        self.waits = array("d")
        self.failures = 0
        self._address = address
        self._protocol = protocol
        self._patience = patience
        self._key = key
        self._stop = threading.Event()
        self._asked_at: float | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> float:
        """Seconds since the question that is open was asked."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    @property
    def worst(self) -> float:
        """The longest wait so far, in seconds; that for the answer that is due counts."""
        return max(self.waits, default=self.waiting)

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(2 * self._patience)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(self._address, self._patience) as sock:
                    self._ask(sock, next(frame for frame in greetings(self._protocol) if frame.name == "serpent"))
                    asked = 0
                    while not self._stop.wait(_PAUSE) and not 0 < self._questions <= asked:
                        self._ask(sock, _question(self._protocol))
                        asked += 1
            except OSError:
                if not self._stop.wait(0.1):
                    self.failures += 1
            finally:
                self._asked_at = None

    def _ask(self, sock: socket.socket, frame: Frame) -> None:
        begin = self._asked_at = time.monotonic()
        sock.sendall(frame.wire(self._key))
        answer = b""
        while True:
            part = sock.recv(65536)
            if not part:
                raise ConnectionResetError("the server hung up on a client that means no harm")
            answer += part
            sizes = sizes_of_answers(self._protocol, answer)
            if sizes and sizes[0] <= len(answer):
                break
        if frame.kind == 4 and b"Pyro.NameServer" not in answer:
            raise ConnectionResetError(f"a wrong answer: {answer!r}")
        self.waits.append(time.monotonic() - begin)


def _question(protocol: int) -> Frame:
    data = serializer_by_name(protocol, "serpent").dumps_call("Pyro.NameServer", "lookup", ["Pyro.NameServer"], {})
    return Frame(protocol, 4, 1, 0, 7, b"", data)


def forget_names(address: tuple[str, int], protocol: int, key: bytes | None, patience: float) -> None:
    """Have the server remove all names but its own, so that what it remembers for others is not taken for a leak."""
    data = serializer_by_name(protocol, "serpent").dumps_call("Pyro.NameServer", "remove", [], {"regex": "(?s)."})
    greeting = next(frame for frame in greetings(protocol) if frame.name == "serpent")
    converse(address, [greeting.wire(key), Frame(protocol, 4, 1, 0, 7, b"", data).wire(key)], patience)
