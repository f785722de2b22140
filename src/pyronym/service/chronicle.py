"""What has been changed lately, when, by whom and from where, for those who look at a name."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

MAX_TEXT: Final = 16 * 1024 * 1024
"""Characters of names, URIs and tags that the entries may hold together. One record may have four million."""


class Entry(NamedTuple):
    """One change that was made."""

    time: float
    """Seconds since 1970."""
    name: str
    what: str
    """As the audit log calls it: ``register``, ``set_metadata``, ``renew``, ``remove`` or ``expire``."""
    who: str
    address: str | None
    """Where the client was that wanted it; None: it was no client."""
    uri: str | None
    """What the name stands for since then; None: nothing, it is gone."""
    tags: tuple[str, ...]


class Chronicle:
    """Remembers the latest changes: `most` of them, less where they have much text. From any thread.

    It takes the lines of the audit log, and so knows what clients of this node did, not those of others. `clock`:
    seconds since 1970.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._entries: deque[tuple[int, Entry]] = deque()  # each with the number of its characters
        self._most = most
        self._clock = clock
        self._text = 0
        self._lock = threading.Lock()

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take a line of the audit log. Only what was done counts."""
        if line["outcome"] != "done":
            return
        name, uri, tags = line["name"], line.get("uri"), tuple(line.get("tags", ()))
        text = len(name) + len(uri or "") + (sum(map(len, tags)) if tags else 0)
        entry = Entry(self._clock(), name, line["what"], line["who"], line["from"], uri, tags)
        with self._lock:
            entries = self._entries
            entries.append((text, entry))
            self._text += text
            while len(entries) > self._most or self._text > MAX_TEXT:
                self._text -= entries.popleft()[0]

    def of(self, name: str, limit: int) -> list[Entry]:
        """The latest changes of a name, the newest first. Takes milliseconds where much is remembered."""
        with self._lock:
            entries = list(self._entries)
        found: list[Entry] = []
        for _, entry in reversed(entries):
            if entry.name == name:
                found.append(entry)
                if len(found) == limit:
                    break
        return found
