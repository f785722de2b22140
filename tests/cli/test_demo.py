"""``pyronym demo``, as a newcomer sees it, and what it leaves behind: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from processes import PYRONYM, Process, run, stopping
from terminal import Terminal, on_terminal

MARK = "PYRONYM_TEST_DEMO"
"""A variable by which the processes of a demo are known."""


def processes_with(value: str) -> set[int]:
    """The processes that have inherited MARK with this value."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={value}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def test_the_demo_shows_each_step_and_leaves_no_process(tmp_path: Path) -> None:
    done = run([PYRONYM, "demo"], env={MARK: str(tmp_path), "PYRO_NS_HOST": "nowhere.invalid", "PYRO_HMAC_KEY": "x"})
    assert (done.status, done.stderr) == (0, "")
    for words in (
        "  URI = PYRO:Pyro.NameServer@localhost:",
        "  the thermometer is at PYRO:obj_",
        "  Hello you, from another process!\n  demo.thermometer says 21.5\n",
        "  demo (2)\n  ├── greeter  PYRO:obj_",
        "Both services and the name server have ended.",
    ):
        assert words in done.stdout
    assert processes_with(str(tmp_path)) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_processes(number: signal.Signals, tmp_path: Path) -> None:
    process = Process([PYRONYM, "demo"], env={MARK: str(tmp_path)})
    with stopping([process]):
        process.wait_for_line("^  the thermometer is at PYRO")
        assert len(processes_with(str(tmp_path))) >= 3
        process.signal(number)
        assert process.wait() == 130
        assert "Traceback" not in process.output
    assert processes_with(str(tmp_path)) == set()


def interrupted(terminal: Terminal) -> int | None:
    """The status of a program at its prompt that is ended by Ctrl-C. The interpreter does not mind one that comes after
    the prompt was written and before it waits for an answer.
    """
    for _ in range(5):
        terminal.interrupt()
        with suppress(subprocess.TimeoutExpired):
            return terminal.wait(3.0)
    return None


def test_on_a_terminal_each_step_waits_for_enter() -> None:
    with on_terminal(PYRONYM, "demo") as terminal:
        seen = 0
        for step in ("2. A service", "3. Another service", "4. A client", "5. What the name server knows"):
            terminal.wait_for("-- Enter goes on --", since=seen)
            assert step not in terminal.text
            terminal.type("\n")
            seen = terminal.wait_for(step).end()
        terminal.wait_for("-- Enter goes on --", since=seen)
        assert interrupted(terminal) == 130


def test_a_demo_whose_programs_do_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nif '-m' in sys.orig_argv: sys.exit('broken here')\n")
    done = run([PYRONYM, "demo"], env={"PYTHONPATH": str(tmp_path)} | {"PATH": os.environ["PATH"]})
    assert done.status == 1
    assert done.stderr.startswith("pyronym: error: a program of the demo does not start, see what it says: ")
    assert "broken here" in done.stderr


HURRIED = """
from pyronym.cli import demo, main
step = demo._step
def hurried(title, *rest):
    if title == "4. A client":
        demo.READY_SECONDS = 0.01
    step(title, *rest)
demo._step = hurried
main.main(["demo"])
"""


def test_a_demo_whose_client_takes_too_long_says_so_and_leaves_no_process(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", HURRIED], env={MARK: str(tmp_path)})
    assert done.status == 1
    assert done.stderr == (
        "pyronym: error: a program of the demo takes more than 0.01 s (try again when the machine has less to do)\n"
    )
    assert processes_with(str(tmp_path)) == set()
