"""The session of docs/commands.md is what one sees."""

import os
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from processes import PYRONYM
from pyronym.cli.main import pyronym as group
from terminal import on_terminal

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

COLUMNS = 100


def examples() -> Iterator[tuple[str, str]]:
    """The commands of the page, and what each of them writes, with ``...`` for whatever it may be."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for block in blocks:
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def pattern(output: str) -> str:
    """The regular expression for what is written. A line ``...`` stands for any lines, perhaps none."""
    parts = [r"(?:.*\n)*?" if line == "..." else _line(line) + r" *\n" for line in output.splitlines()]
    return "".join(parts)


def _line(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.split("..."))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_the_session_of_the_page_is_what_one_sees(tmp_path: Path) -> None:
    port = str(free_port())
    path = f"{Path(PYRONYM).parent}:{os.environ['PATH']}"
    env = {"PYRO_NS_PORT": port, "PATH": path, "PYRO_BROADCAST_ADDRS": "127.0.0.1"}
    wrong = []
    with ExitStack() as stack:
        for command, output in examples():
            ours, shown = command.replace("9090", port).removesuffix(" &"), output.replace("9090", port)
            wanted = pattern(shown.removesuffix("^C\n"))
            command_line = f"cd {shlex.quote(str(tmp_path))}; {ours}"
            if command.endswith("&") or output.endswith("^C\n"):
                command_line = command_line.replace("; ", "; exec ")
            terminal = stack.enter_context(on_terminal("bash", "-c", command_line, columns=COLUMNS, env=env))
            if command.endswith("&"):
                terminal.wait_for(wanted)
            elif output.endswith("^C\n"):
                terminal.wait_for(wanted)
                terminal.interrupt()
                assert terminal.wait() == 130
            else:
                terminal.wait()
                if not re.fullmatch(wanted, terminal.text):
                    wrong.append(f"$ {command}\n{terminal.text}")
    assert not wrong, "\n".join(wrong)


def test_every_command_has_an_example() -> None:
    shown = {command.split()[1] for command, _ in examples()}
    assert shown == set(group.list_commands(None))  # type: ignore[arg-type]  # it looks at no context
