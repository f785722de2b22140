"""The load generator: builds load.c, runs it, reads its figures."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import Exchange

SOURCE = Path(__file__).with_name("load.c")
BUILD = Path(__file__).with_name("build")
"""Ignored by git. Also where measured servers keep their files: a temporary folder may be in memory, and fsync free."""
STUCK = 120.0
"""Seconds beyond the time of a measurement after which it is given up."""


@dataclass(frozen=True)
class Result:
    """What one run of the generator saw. Latencies in microseconds, from sending a request to the end of its answer."""

    answers: int
    errors: int
    numbers: int
    """Where the counter in the requests has got to."""
    seconds: float
    rate: float
    """Answers a second."""
    cpu: float
    """Share of one core that the generator used; near 1 and without `spin`, it is the generator that is measured."""
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


def build() -> Path:
    """The generator, compiled where its source is younger."""
    program = BUILD / "load"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)], check=True)
    return program


class Load:
    """A generator that runs: its connections are open and greeted. To be ended by `result`, `stop` or `close`."""

    def __init__(
        self,
        port: int,
        exchange: Exchange,
        connections: int,
        seconds: float,
        *,
        warmup: float = 0.3,
        first: int = 0,
        spin: bool = False,
    ) -> None:
        self._timeout = seconds + warmup + STUCK
        with tempfile.NamedTemporaryFile(prefix="messages-") as file:
            file.write(b"".join(len(part).to_bytes(4) + part for part in (exchange.handshake, *exchange.requests)))
            file.flush()
            arguments = (port, connections, seconds, warmup, exchange.reply, first, int(spin), file.name)
            self._process = subprocess.Popen(
                [str(build()), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._input, self._output = self._process.stdin, self._process.stdout
            if self._output.readline() != "ready\n":
                self.close()
                raise RuntimeError(f"the load generator could not open {connections} connections")

    def result(self) -> Result:
        """Wait for the end of its time. RuntimeError when it fails, or an answer was an error."""
        try:
            status = self._process.wait(self._timeout)
            line = self._output.readline()
        finally:
            self.close()
        if status:
            raise RuntimeError(f"the load generator failed with status {status}")
        result = Result(**json.loads(line))
        if result.errors:
            raise RuntimeError(f"{result.errors} of {result.answers} answers were errors")
        return result

    def stop(self) -> Result:
        """End it before its time; what it has measured. RuntimeError as for `result`."""
        self._input.close()
        return self.result()

    def close(self) -> None:
        """Close its connections and end it."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()
