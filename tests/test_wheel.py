"""The wheel has all that the package needs beside its modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "pyronym"

BUILD = """
import sys
from hatchling.builders.wheel import WheelBuilder
print(next(WheelBuilder(sys.argv[1]).build(directory=sys.argv[2])))
"""


def test_the_wheel_contains_every_file_of_the_package(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(ROOT), str(tmp_path)], capture_output=True, text=True, check=True
    )
    with ZipFile(done.stdout.split()[-1]) as wheel:
        packed = set(wheel.namelist())
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".pyc", ".pyo")]
    assert PACKAGE / "web" / "static" / "index.html" in files
    assert {path.relative_to(PACKAGE.parent).as_posix() for path in files} <= packed
