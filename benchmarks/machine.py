"""What the figures depend on: the machine and the versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from tests.stock import PYRO4 as STOCK4
from tests.stock import PYRO5 as STOCK5

from benchmarks import servers


def describe() -> dict[str, str]:
    """The machine and all versions, as text."""
    facts = {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "pyronym": _version("pyronym"),
        "uvloop": _version("uvloop"),
        "stock Pyro4": _first_number(*STOCK4.requirements[0].split()),
        "stock Pyro5": _first_number(*STOCK5.requirements[0].split()),
    }
    if (redis := servers.redis_program()) is not None:
        facts["Redis"] = _output(redis, "--version")
    if (etcd := servers.etcd_program()) is not None:
        facts["etcd"] = _output(etcd, "--version")
    return facts


def _processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.processor()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _output(*command: str) -> str:
    return _first_number(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _first_number(text: str) -> str:
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found[0] if found else text.strip()
