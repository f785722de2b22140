"""Power cuts: a program writes on a disk that is recorded; then the storage must open what a cut may have left."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from disks import Disk, on_disk, recorded
from generated import apply_to, put, stored
from writing import changes_of, open_store

WRITING = Path(__file__).with_name("writing.py")
COMMITS = 60
"""Of one recorded program."""
CUTS = 10
"""From one record. The last of them is where the next program goes on."""


@dataclass
class Figures:
    """What some rounds saw."""

    cuts: int = 0
    acknowledged: int = 0
    on_its_way: int = 0
    """How many cuts left a commit that had not been acknowledged."""

    def __str__(self) -> str:
        return f"{self.cuts} cuts, {self.acknowledged:,} acknowledged, lost: 0; {self.on_its_way} left one more commit"


def cut_the_power(kind: str, file: Path, cuts: int, chance: random.Random) -> Figures:
    """AssertionError, which tells the seed and the cut, when a state is not that after all acknowledged commits, or one
    more; StorageError when the storage does not open it."""
    figures = Figures()
    seed = chance.randrange(10**9)
    folder, record = file.parent / "disk", file.parent / "record"
    folder.mkdir()
    number = 0  # of the first commit that this folder does not have
    while figures.cuts < cuts:
        disk = Disk(folder)
        record.unlink(missing_ok=True)
        command = [sys.executable, WRITING, kind, folder / "names", str(seed), str(number), str(number + COMMITS)]
        environment = {**on_disk(folder, record=record), "PYTHONPATH": ":".join(sys.path)}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=120)
        entries = list(recorded(record))
        # Changes of names are few beside the writes, and as dangerous.
        renamings = [at for at, entry in enumerate(entries, 1) if entry.operation in ("rename", "remove", "create")]
        moments = [chance.choice(renamings) for _ in range(CUTS // 2)]
        moments += [chance.randrange(len(entries) + 1) for _ in range(CUTS // 2)]
        for at, entry in enumerate([*entries, None]):
            for _ in range(moments.count(at)):
                after = file.parent / f"after{figures.cuts}"
                after.mkdir()
                disk.after_a_cut(after, chance)
                said = disk.said.split(b"\n")[:-1]
                acknowledged = int(said[-1]) + 1 if said else number
                try:
                    left = _look(kind, after / "names", seed, acknowledged)
                except BaseException as problem:
                    problem.add_note(
                        f"seed {seed}, cut {figures.cuts}, before entry {at} of {record}, files in {after}"
                    )
                    raise
                figures.cuts += 1
                figures.acknowledged += len(said)
                figures.on_its_way += left > acknowledged
                shutil.rmtree(folder)
                after.rename(folder)
                last = left
            if entry is not None:
                disk.apply(entry)
        number = last
    return figures


def _look(kind: str, file: Path, seed: int, acknowledged: int) -> int:
    """How many commits are there. Leaves the file in use once more, so that it is seen to be of use."""
    with closing(open_store(kind, file)) as store:
        records = stored(store)
        left = int(records["last"].uri.removeprefix("PYRO:").removesuffix("@h:1")) + 1 if "last" in records else 0
        assert acknowledged <= left <= acknowledged + 1, f"{acknowledged} commits acknowledged, {left} there"
        expected: dict[str, object] = {}
        for number in range(left):
            apply_to(expected, changes_of(seed, number))
        assert records == expected
        store.commit([put("after")])
    with closing(open_store(kind, file)) as store:
        assert stored(store).keys() == {*expected, "after"}
        store.commit([put("after").__class__("after", None)])
    return left
