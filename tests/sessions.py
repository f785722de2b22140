"""The sessions in the documentation: what is typed in its ``console`` blocks, and whether that is what one sees."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from terminal import Terminal, on_terminal

COLUMNS = 100

COMMAND_TIMEOUT = 180.0
"""Seconds; `make setup` takes longest."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^Save this as `([^`]+)`:\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class Example(NamedTuple):
    """A command, and what it writes, with ``...`` for whatever it may be.

    A command that ends with ``&`` goes on; output that ends with ``^C`` is that of one which Ctrl-C ends.
    """

    command: str
    output: str


def blocks(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page: in which language each is, and its text."""
    return _BLOCK.findall(page.read_text())


def examples(page: Path) -> Iterator[Example]:
    """All that is typed on a page."""
    for language, block in blocks(page):
        if language == "console":
            yield from commands(block)


def commands(block: str) -> Iterator[Example]:
    """All that is typed in a block."""
    return (Example(*found) for found in _COMMAND.findall(block))


def files(page: Path) -> dict[str, str]:
    """The files that a page tells to save, by name."""
    return dict(_FILE.findall(page.read_text()))


def pattern(output: str) -> str:
    """The regular expression for what is written. A line ``...`` stands for any lines, perhaps none."""
    parts = [r"(?:.*\n)*?" if line == "..." else _line(line) + r" *\n" for line in output.splitlines()]
    return "".join(parts)


def _line(line: str) -> str:
    words = (" +".join(map(re.escape, re.split(" {2,}", part))) for part in line.split("..."))
    return ".*?".join(words)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Session:
    """Somebody who types examples, each on a terminal of its own in `folder`, and looks at what comes.

    What a page writes is replaced as `instead` says, such as its port by one that is free. What goes on in the
    background is ended with the session.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], instead: Mapping[str, str]) -> None:
        self._folder = folder
        self._env = env
        self._instead = instead
        self._open = ExitStack()
        self._server: Terminal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def differences(self, typed: Iterable[Example]) -> str:
        """The commands that wrote something else than their page says, and what they wrote; empty if there are none."""
        return "".join(self._type(*example) for example in typed)

    def _type(self, command: str, output: str) -> str:
        ours = self._replaced(command.removesuffix(" &"))
        wanted = pattern(self._replaced(output.removesuffix("^C\n")))
        if command.endswith("&"):
            started = self._terminal(f"exec env {ours}")
            started.wait_for(wanted, COMMAND_TIMEOUT)
            self._server = started if ours.startswith("pyronym serve") else self._server
            return ""
        if output.endswith("^C\n"):
            interrupted = self._terminal(f"exec env {ours}")  # so that the signal reaches the program
            interrupted.wait_for(wanted)
            interrupted.interrupt()
            assert interrupted.wait() == 130
            return ""
        terminal = self._terminal(ours)
        terminal.wait(COMMAND_TIMEOUT)
        if ours.startswith("kill ") and self._server:
            self._server.wait()  # as people do, before they start it again
        return "" if re.fullmatch(wanted, terminal.text) else f"$ {command}\n{terminal.text}"

    def _terminal(self, command: str) -> Terminal:
        line = f"cd {shlex.quote(str(self._folder))}; {command}"
        return self._open.enter_context(on_terminal("bash", "-c", line, columns=COLUMNS, env=self._env))

    def _replaced(self, text: str) -> str:
        for ours, theirs in self._instead.items():
            text = text.replace(ours, theirs)
        return text
