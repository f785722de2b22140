"""The disk of `disk.c`: programs that run on one that fails or is recorded, and what a power cut leaves of it.

What a disk has after a cut is only certain as far as it was synchronised: the contents of a file by fsync of the file,
the names in a folder by fsync of the folder. Of all later writes any part may be there, in any order, each down to
single sectors of 512 bytes and torn within one; of all later changes of names, any, each as a whole.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

SECTOR = 512
_KEPT = (0, 0.5, 0.9, 1)
"""How much of what is uncertain may be there, of names and of data."""
_SOURCE = Path(__file__).with_name("disk.c")


@cache
def disk_library() -> Path:
    """`disk.c`, compiled. Skips the test where that is not possible."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the failing disk with")
    target = Path(mkdtemp()) / "disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", target, _SOURCE, "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"the failing disk cannot be built here: {done.stderr.strip().splitlines()[-1]}")
    return target


def on_disk(folder: Path, *, faults: Path | None = None, record: Path | None = None) -> dict[str, str]:
    """The environment of a program whose files in `folder` are on that disk."""
    environment = {"LD_PRELOAD": str(disk_library()), "DISK_FOLDER": os.path.realpath(folder)}
    if faults is not None:
        environment["DISK_FAULTS"] = str(faults)
    if record is not None:
        environment["DISK_RECORD"] = str(record)
    return environment


@dataclass
class _Inode:
    """A file or folder, and what was done to it, the oldest first."""

    content: bytes = b""
    is_folder: bool = False
    synced: int = 0
    """How many of the writes are certain."""
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, data), or (length, None) for a truncation."""


@dataclass
class _Naming:
    """A change of names: `inode` is at `path`, no longer at `old`. It is certain when its folders are synced."""

    inode: _Inode | None
    path: str | None
    old: str | None
    unsynced: set[str]


@dataclass(frozen=True)
class Entry:
    """One call that succeeded; see disk.c."""

    operation: str
    inode: int
    offset: int
    data: bytes
    path: str
    second: str


def recorded(record: Path) -> Iterator[Entry]:
    """The entries of a record; the last one may be incomplete, for its program may have been killed."""
    with open(record, "rb") as file:
        while (line := file.readline()).endswith(b"\n"):
            operation, inode, offset, length, path, second = line.decode()[:-1].split(" ")
            data = file.read(int(length))
            yield Entry(operation, int(inode), int(offset), data, path, second)


class Disk:
    """What a folder's files went through, from a state in which all was certain."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._inodes: dict[int, _Inode] = {}
        self._names: list[_Naming] = []
        for path in sorted(Path(self._folder).rglob("*")):
            inode = _Inode(b"" if path.is_dir() else path.read_bytes(), path.is_dir())
            self._inodes[path.stat().st_ino] = inode
            self._names.append(_Naming(inode, str(path), None, set()))
        self.said = b""

    def apply(self, entry: Entry) -> None:
        match entry.operation:
            case "say":
                self.said += entry.data
            case "create" | "folder":
                inode = self._inodes[entry.inode] = _Inode(is_folder=entry.operation == "folder")
                self._rename(inode, entry.path, None)
            case "rename":
                inodes = self._at()
                self._rename(inodes.get(entry.path), entry.second, entry.path)
            case "remove":
                self._rename(None, None, entry.path)
            case "write":
                self._inodes[entry.inode].writes.append((entry.offset, entry.data))
            case "truncate":
                self._inodes[entry.inode].writes.append((entry.offset, None))
            case "sync" if entry.inode in self._inodes and not self._inodes[entry.inode].is_folder:
                inode = self._inodes[entry.inode]
                inode.synced = len(inode.writes)
            case "sync":
                for naming in self._names:
                    naming.unsynced.discard(entry.path)

    def after_a_cut(self, folder: Path, chance: random.Random) -> None:
        """Fill an empty `folder` with one of the states that a power cut at this moment may leave."""
        names_kept = chance.choice(_KEPT)
        kept = {id(naming) for naming in self._names if naming.unsynced and chance.random() < names_kept}
        data_kept = chance.choice(_KEPT)
        for path, inode in sorted(self._at(kept).items()):
            target = folder / os.path.relpath(path, self._folder)
            if inode.is_folder:
                target.mkdir(exist_ok=True)
            elif target.parent.is_dir():
                target.write_bytes(_content(inode, data_kept, chance))

    def _rename(self, inode: _Inode | None, path: str | None, old: str | None) -> None:
        folders = {os.path.dirname(name) for name in (path, old) if name is not None}
        self._names.append(_Naming(inode, path, old, folders))

    def _at(self, kept: set[int] | None = None) -> dict[str, _Inode]:
        """What is where when of the uncertain changes of names these are made, or all."""
        inodes: dict[str, _Inode] = {}
        for naming in self._names:
            if naming.unsynced and kept is not None and id(naming) not in kept:
                continue
            if naming.old is not None:
                moved = {path for path in inodes if path == naming.old or path.startswith(naming.old + "/")}
                for path in sorted(moved):
                    inode = inodes.pop(path)
                    if naming.path is not None and path != naming.old:
                        inodes[naming.path + path[len(naming.old) :]] = inode
            if naming.path is not None and naming.inode is not None:
                inodes[naming.path] = naming.inode
        return inodes


def _content(inode: _Inode, kept: float, chance: random.Random) -> bytes:
    data = bytearray(inode.content)
    for write in inode.writes[: inode.synced]:
        _write(data, *write)
    for write in inode.writes[inode.synced :]:
        if chance.random() < kept:
            for piece in _pieces(*write, chance):
                _write(data, *piece)
    return bytes(data)


def _write(file: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del file[offset:]
    file.extend(bytes(max(0, offset - len(file))))
    if data is not None:
        file[offset : offset + len(data)] = data


def _pieces(offset: int, data: bytes | None, chance: random.Random) -> Iterator[tuple[int, bytes | None]]:
    """What may arrive of one write: some of its sectors, some of these not to their end."""
    if data is None:
        yield offset, None
        return
    losses = chance.choice([0, 0, 0.1, 0.5])
    at = offset
    while at < offset + len(data):
        end = min(at - at % SECTOR + SECTOR, offset + len(data))
        if chance.random() >= losses:
            torn = chance.randrange(at, end) if chance.random() < losses else end
            yield at, data[at - offset : torn - offset]
        at = end
