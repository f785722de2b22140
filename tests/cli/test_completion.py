"""``pyronym completion``: bash itself completes with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from processes import PYRONYM, NameServers, run
from pyronym.client.locate import locateNS
from terminal import Terminal, on_terminal

SOURCE = f'PATH="{Path(PYRONYM).parent}:$PATH"; source <(pyronym completion bash); echo ready: $?\n'

ASKED = {"_PYRONYM_COMPLETE": "bash_complete", "COMP_WORDS": "pyronym lookup lab.", "COMP_CWORD": "2"}
"""How bash asks for names."""


@contextmanager
def bash(**env: str) -> Iterator[Terminal]:
    """An interactive bash that has read the script."""
    with on_terminal("bash", "--norc", "--noprofile", "-i", columns=200, env={"PS1": "$ ", **env}) as terminal:
        terminal.type(SOURCE)
        terminal.wait_for(r"[\r\n]ready: 0")
        yield terminal


def complete(terminal: Terminal, typed: str, shown: str) -> None:
    """Type something and the tab key; wait for what is shown, and begin a new line."""
    seen = len(terminal.text)
    terminal.type(f"{typed}\t")
    terminal.wait_for(shown, since=seen)
    terminal.type("\x15")  # Ctrl-U


def test_bash_completes_commands_options_and_names(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        for name in ("lab.camera", "lab.display"):
            names.register(name, "PYRO:o@10.0.0.7:1")
    with bash(PYRO_NS_HOST=server.host, PYRO_NS_PORT=str(server.port)) as terminal:
        complete(terminal, "pyronym loo", "pyronym lookup ")
        complete(terminal, "pyronym lookup --js", "--json ")
        for command in ("lookup", "tag", "rm other"):
            complete(terminal, f"pyronym {command} lab.c", f"pyronym {command} lab.camera ")
    with bash(PYRO_NS_HOST="127.0.0.2", PYRO_NS_PORT=str(server.port)) as terminal:
        complete(terminal, f"pyronym lookup --ns {server.host} lab.d", "lab.display ")


def test_names_that_would_do_something_to_the_terminal_are_not_completed(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        for name in ("lab.camera", "lab.display", "lab.\x1b[31mred"):
            names.register(name, "PYRO:o@10.0.0.7:1")
    done = run([PYRONYM], env={**os.environ, **ASKED, "PYRO_NS_HOST": server.location})
    assert done.stdout == "plain,lab.camera\nplain,lab.display\n"


def test_a_name_server_that_does_not_answer_is_not_waited_for(serve: NameServers) -> None:
    server = serve()
    server.process.signal(signal.SIGSTOP)
    done = run([PYRONYM], env={**os.environ, **ASKED, "PYRO_NS_HOST": server.location}, timeout=20)
    server.process.signal(signal.SIGCONT)
    assert (done.status, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize(("shell", "words"), [("zsh", "compdef _pyronym"), ("fish", "complete --no-files --command")])
def test_there_are_scripts_for_zsh_and_fish(shell: str, words: str) -> None:
    done = run([PYRONYM, "completion", shell])
    assert (done.status, done.stderr) == (0, "")
    assert words in done.stdout


def test_other_shells_are_refused_in_one_line() -> None:
    done = run([PYRONYM, "completion", "tcsh"])
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert "'bash', 'zsh', 'fish'" in done.stderr
