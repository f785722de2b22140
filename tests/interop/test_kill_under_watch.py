"""A name server is killed while a hundred names are announced and a hundred watchers follow what happens."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import pyronym
from processes import NameServers, Process, stopping
from pyronym import aio
from pyronym.errors import PyroError

PROGRAM = Path(__file__).with_name("announcer.py")
LEASE = 4.0
NAMES = [f"lab.{number}" for number in range(100)]
PROGRAMS = 4
WATCHERS = 100
END = "lab.end"
URI = "PYRO:thing@127.0.0.1:9"

Event = aio.Change | aio.Reset


@contextmanager
def changing(port: int) -> Iterator[None]:
    """Have names come and go all the time, as far as there is a name server; from before the body begins."""
    done, begun = threading.Event(), threading.Event()

    def change() -> None:
        number = 0
        while not done.is_set():
            number += 1
            try:
                with pyronym.Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{port}") as names:
                    while not done.is_set():
                        names.register(f"lab.passing.{number}", URI)
                        names.remove(f"lab.passing.{number}")
                        number += 1
                        begun.set()
                        done.wait(0.005)
            except PyroError:
                done.wait(0.05)

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        done.set()
        thread.join()


class Watchers:
    """Many who watch one name server, on a loop in a thread."""

    def __init__(self, port: int) -> None:
        self.seen: list[list[Event]] = [[] for _ in range(WATCHERS)]
        self._resets = threading.Semaphore(0)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch(port)), daemon=True)
        self._thread.start()

    async def _watch(self, port: int) -> None:
        async with await aio.locate_ns("127.0.0.1", port) as names:
            await asyncio.gather(*(self._follow(names.watch("lab."), seen) for seen in self.seen))

    async def _follow(self, watch: Any, seen: list[Event]) -> None:
        async with watch:
            async for event in watch:
                seen.append(event)
                if isinstance(event, aio.Reset):
                    self._resets.release()
                elif event.name == END:
                    return

    def wait_for_reset(self) -> None:
        """Wait until each has been told once (more) what there is."""
        assert all(self._resets.acquire(timeout=30) for _ in self.seen)

    def wait_for_end(self) -> None:
        self._thread.join(timeout=30)
        late = sum(not seen or getattr(seen[-1], "name", None) != END for seen in self.seen)
        assert late == 0, f"{late} watchers have not heard of the last change"


def lives(seen: Sequence[Event]) -> Iterator[tuple[aio.Reset, list[aio.Change]]]:
    """What a watcher saw, divided by what it was told to begin anew with."""
    reset, changes = seen[0], list[aio.Change]()
    assert isinstance(reset, aio.Reset)
    for event in seen[1:]:
        if isinstance(event, aio.Reset):
            yield reset, changes
            reset, changes = event, []
        else:
            changes.append(event)
    yield reset, changes


@pytest.mark.parametrize("storage", ["memory", "sql:{}/names.sqlite"])
def test_nobody_who_watches_misses_a_change_or_sees_it_twice_and_all_names_are_back(
    serve: NameServers, tmp_path: Path, storage: str
) -> None:
    storage = storage.format(tmp_path)
    server = serve(storage=storage)
    share = len(NAMES) // PROGRAMS
    programs = [
        Process([sys.executable, PROGRAM, f"127.0.0.1:{server.port}", str(LEASE), "with", *NAMES[at : at + share]])
        for at in range(0, len(NAMES), share)
    ]
    with stopping(programs):
        for program in programs:
            program.wait_for_line("^ready$")
        watchers = Watchers(server.port)
        watchers.wait_for_reset()
        with changing(server.port):
            server.process.kill()
            assert serve(storage=storage, port=server.port).port == server.port
            assert _back_within(LEASE, server.port) == set(NAMES)
            watchers.wait_for_reset()
        with pyronym.locateNS("127.0.0.1", server.port) as names:
            names.register(END, URI)
            watchers.wait_for_end()
            there = set(names.list(prefix="lab."))

    happened = {change for seen in watchers.seen for change in seen if isinstance(change, aio.Change)}
    for seen in watchers.seen:
        follows: dict[str, Any] = {}
        for event in seen:
            event.apply(follows)
        assert set(follows) == there
        for reset, changes in lives(seen):
            assert reset.revision < min((change.revision for change in changes), default=reset.revision + 1)
            last = changes[-1].revision if changes else reset.revision
            missed_none = {change for change in happened if reset.revision < change.revision <= last}
            assert changes == sorted(missed_none, key=lambda change: change.revision)


def _back_within(seconds: float, port: int) -> set[str]:
    """Those of the names that are there again in time."""
    deadline = time.monotonic() + seconds
    with pyronym.locateNS("127.0.0.1", port) as names:
        revision = names.watch()["revision"]
        found = set(names.list(prefix="lab."))
        while not found.issuperset(NAMES) and (left := deadline - time.monotonic()) > 0:
            revision = names.watch("lab.", since=revision, timeout=left)["revision"]
            found = set(names.list(prefix="lab."))
    return found.intersection(NAMES)
