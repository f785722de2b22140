"""Programs on a pseudo-terminal: what people see of them, and what they type."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from processes import STOP_TIMEOUT, clean_environment

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Terminal:
    """A program that has a terminal of so many columns and rows for its input and output."""

    def __init__(self, command: Sequence[str], columns: int, rows: int, env: Mapping[str, str] | None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {"TERM": "xterm-256color", **clean_environment(env)}
        for variable in ("COLUMNS", "LINES", "NO_COLOR"):
            if variable not in (env or {}):
                environment.pop(variable, None)
        self._popen = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._written = bytearray()
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        data = b"more"
        while data:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # how Linux says that nobody has the other end any more
                data = b""
            with self._changed:
                self._written += data
                self._ended = not data
                self._changed.notify_all()
        self._popen.wait()  # so that nobody takes a program that was killed for one that still runs

    @property
    def raw(self) -> str:
        """All that was written, colours and movements of the cursor included."""
        return self._written.decode(errors="replace").replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """All that was written, as characters only."""
        return _CONTROL.sub("", self.raw)

    def wait_for(self, pattern: str, timeout: float = STOP_TIMEOUT, since: int = 0) -> re.Match[str]:
        """The first place, after so many characters of the text, where `pattern` is found. AssertionError if none."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if match := re.search(pattern, self.text[since:]):
                    return match
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError(f"no {pattern!r} on the terminal:\n{self.text[since:]}")
                self._changed.wait(left)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._popen.send_signal(signal.SIGINT)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit status, when all that it wrote is there."""
        status = self._popen.wait(timeout)
        self._reader.join(timeout)
        return status

    def close(self) -> None:
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)  # with what it has started itself
        self.wait()
        with suppress(OSError):
            os.close(self._master)


@contextmanager
def on_terminal(
    *command: str, columns: int = 80, rows: int = 24, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a program on a terminal, and end it."""
    terminal = Terminal(command, columns, rows, env)
    try:
        yield terminal
    finally:
        terminal.close()
