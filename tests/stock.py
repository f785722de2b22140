"""The stock peers: Pyro4 and Pyro5 as they come from PyPI, each in a virtual environment of its own.

``python tests/stock.py`` creates both under ``.stock/`` in the checkout; the tests do the same when they are missing.
The environment variables ``PYRONYM_STOCK4`` and ``PYRONYM_STOCK5`` name Python interpreters to use instead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALL_TIMEOUT = 300
"""Seconds after which a creation that is stuck (no network) is given up."""


@dataclass(frozen=True)
class Stock:
    """One stock release and what its clients need for all their serializers."""

    name: str
    variable: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return ROOT / ".stock" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter, wherever that is; it exists only after `ensure`."""
        chosen = os.environ.get(self.variable)
        return Path(chosen) if chosen else self.folder / "bin" / "python"

    def ensure(self) -> Path:
        """The interpreter of an environment that is complete, created where needed. RuntimeError when that fails."""
        if self.variable in os.environ:
            return self.python
        self.folder.parent.mkdir(exist_ok=True)
        with open(self.folder.parent / f"{self.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_complete():
                self._create()
        return self.python

    @property
    def _stamp(self) -> Path:
        return self.folder / "complete"

    def _is_complete(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text().split() == list(self.requirements)

    def _create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(self.folder))
        _run(str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.requirements)
        self._stamp.write_text("\n".join(self.requirements))


def _run(*command: str) -> None:
    # Output goes to a file: a pipe would fill up, or outlive a child that is killed.
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=True, timeout=INSTALL_TIMEOUT)
        except (subprocess.SubprocessError, OSError) as problem:
            output.seek(0)
            raise RuntimeError(f"cannot create a stock environment: {problem}\n{output.read()}") from problem


PYRO4 = Stock(
    "pyro4",
    "PYRONYM_STOCK4",
    ("Pyro4==4.82", "serpent==1.43", "msgpack==1.1.2", "dill==0.4.0", "cloudpickle==3.1.2"),
)
PYRO5 = Stock("pyro5", "PYRONYM_STOCK5", ("Pyro5==5.17", "serpent==1.43", "msgpack==1.1.2"))


if __name__ == "__main__":
    for stock in (PYRO4, PYRO5):
        print(f"{stock.name}: {stock.ensure()}")
