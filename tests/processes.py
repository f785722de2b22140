"""Real processes for tests: started, watched line by line, asked, and ended. Every wait has a deadline.

Nothing here sleeps: a wait ends with an output line, a connection, or the end of a process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_TIMEOUT = 20.0
"""Seconds for a process to say that it is ready; it takes well under one on a machine that has nothing else to do."""
STOP_TIMEOUT = 15.0
RUN_TIMEOUT = 60.0

PYRONYM = str(Path(sys.executable).parent / "pyronym")
SCRIPTS = Path(__file__).parent / "interop" / "scripts"
"""Programs for stock interpreters."""


def clean_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without the variables that configure Pyro, plus `changes`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYRO_")}
    environment["PYTHONIOENCODING"] = "utf-8"
    environment.update(changes or {})
    return environment


class Process:
    """A running program whose output (both streams together) is collected while it runs."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.command = [str(part) for part in command]
        self.lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._popen = subprocess.Popen(
            self.command,
            env=clean_environment(env),
            cwd=cwd,
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return "\n".join(self.lines)

    @property
    def returncode(self) -> int | None:
        """The exit status, None while it runs."""
        return self._popen.poll()

    def wait_for_line(self, pattern: str, timeout: float = START_TIMEOUT, since: int = 0) -> re.Match[str]:
        """The first line, of all but the first `since`, in which `pattern` is found. AssertionError if none comes."""
        deadline = time.monotonic() + timeout
        seen = since
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        why = "it ended" if self._ended else f"not within {timeout:g} s"
        raise AssertionError(f"no line {pattern!r} from {' '.join(self.command)} ({why}):\n{self.output}")

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit status. AssertionError if it does not end in time."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{' '.join(self.command)} does not end:\n{self.output}") from None
        self._reader.join(timeout)
        return status

    def terminate(self) -> int:
        """Ask it to end (SIGTERM) and give its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, with nothing written or closed; does nothing when it has ended."""
        if self.returncode is None:
            self._popen.kill()
        self.wait()

    def close(self) -> None:
        """Give back everything, whatever state it is in."""
        self.kill()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


_TCP = re.compile(r"@(?P<host>\[[^]]+]|[^:\[]+):(?P<port>\d+)$")


class NameServer:
    """A name server process that is ready for clients; `uri` is what it printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.uri = process.wait_for_line(r"^URI = (PYRO:\S+)")[1]
        tcp = _TCP.search(self.uri)
        self.host = tcp["host"] if tcp else ""
        self.port = int(tcp["port"]) if tcp else 0

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def location(self) -> str:
        """The part after the ``@``."""
        return self.uri.partition("@")[2]


class NameServers:
    """Starts name servers, each on a port that the system chooses, and waits until they are ready.

    The options are those that pyronym's command and the stock servers understand alike.
    """

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._env = env or {}
        self.processes: list[Process] = []

    def __call__(
        self,
        *arguments: str,
        storage: str = "memory",
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        unixsocket: str | Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> NameServer:
        where = ["-u", str(unixsocket)] if unixsocket else ["-n", host, "-p", str(port)]
        options = [*where, "-s", storage, *(["-k", key] if key else []), *arguments]
        process = Process([*self._command, *options], env={**self._env, **(env or {})})
        self.processes.append(process)
        return NameServer(process)


class StockDaemons:
    """Starts stock daemons that host small objects; see `interop/scripts/daemon.py` for these and for the arguments."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self.processes: list[Process] = []

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The URI of each object of a daemon that is ready for clients."""
        command = [str(self._python), "-u", "-W", "ignore", str(SCRIPTS / "daemon.py"), *arguments]
        process = Process(command, env={"PYTHONPATH": str(SCRIPTS), **(env or {})})
        self.processes.append(process)
        process.wait_for_line("^ready$")
        return dict(line.split(" = ", 1) for line in process.lines if " = " in line)


@dataclass(frozen=True)
class Completed:
    """How a program ended and all that it wrote."""

    status: int
    stdout: str
    stderr: str


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = RUN_TIMEOUT,
    stdin: str = "",
) -> Completed:
    """Run a program to its end. AssertionError, with what it wrote, when it does not end in time."""
    process = subprocess.Popen(
        [str(part) for part in command],
        env=clean_environment(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"not ended within {timeout:g} s: {command}\n{stdout}\n{stderr}") from None
    return Completed(process.returncode, stdout, stderr)


def run_stock(
    python: str | Path,
    script: str | Path,
    *args: object,
    env: Mapping[str, str] | None = None,
    timeout: float = RUN_TIMEOUT,
) -> Any:  # whatever the script reports
    """Run a script in a stock interpreter and give what it reports: the JSON in its last output line.

    `script` is a path, or the program text itself. The folder of our scripts is importable in both cases.
    AssertionError, with what it wrote, when it fails.
    """
    command: list[str | Path] = [python, script] if isinstance(script, Path) else [python, "-c", script]
    environment = {"PYTHONPATH": str(SCRIPTS), **(env or {})}
    done = run([*command, *(str(argument) for argument in args)], env=environment, timeout=timeout)
    if done.status != 0 or not done.stdout.strip():
        raise AssertionError(f"the stock program failed (exit {done.status}):\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


@contextmanager
def stopping(processes: list[Process]) -> Iterator[None]:
    """Give back all `processes`, also those added on the way, whatever happens."""
    try:
        yield
    finally:
        for process in processes:
            process.close()
