"""etcd's own client, which is in Go: builds etcd_client.go, and has it put records.

``apt-get install golang-go golang-etcd-server-dev`` (Debian 12) has all that it takes; nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.load import BUILD, STUCK
from benchmarks.messages import uri

SOURCE: Final = Path(__file__).with_name("etcd_client.go")
LIBRARIES: Final = Path("/usr/share/gocode")
"""Where Debian's packages put what is written in Go."""
WARMUP: Final = 0.3


def is_installed() -> bool:
    """Whether there is a compiler of Go, and etcd's client for it."""
    return shutil.which("go") is not None and (LIBRARIES / "src/go.etcd.io/etcd/clientv3").is_dir()


def build() -> Path:
    """The program, compiled where its source is younger."""
    program = BUILD / "etcd_client"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        BUILD.mkdir(exist_ok=True)
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(LIBRARIES)}
        subprocess.run(["go", "build", "-o", str(program), str(SOURCE)], env=environment, check=True)
    return program


def put(port: int, clients: int, connections: int, seconds: float, first: int) -> float:
    """Records that so many clients put a second, over connections that they share."""
    arguments = (f"127.0.0.1:{port}", clients, connections, seconds, WARMUP, first, uri("lab.durable"))
    run = subprocess.run(
        [str(build()), *map(str, arguments)], stdout=subprocess.PIPE, timeout=seconds + STUCK, check=True
    )
    return float(run.stdout)
