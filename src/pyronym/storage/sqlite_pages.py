"""The pages of a SQLite file, read without SQLite, which gives up where something is damaged.

What is known of the file format is at https://sqlite.org/fileformat2.html. Nothing here writes, and nothing trusts what
it reads: whatever the bytes are, reading ends, and gives what makes sense.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[int, list[Value]]
"""(rowid, values); in an index the rowid is 0 here and the last value."""

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13

_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Serial type: how many bytes."""
_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Found:
    """What a tree gave."""

    rows: list[Row]
    damaged: list[int]
    """Numbers of the pages of which something could not be read."""


class Pages:
    """The pages of the database at `path`, with the changes in its WAL unless `with_wal` is False. OSError if it cannot
    be read."""

    def __init__(self, path: str, *, with_wal: bool = True) -> None:
        with open(path, "rb") as file:
            self._data = file.read()
        wal = b""
        if with_wal and os.path.exists(os.path.realpath(path) + "-wal"):
            with open(os.path.realpath(path) + "-wal", "rb") as file:
                wal = file.read()
        self._changed: dict[int, bytes] = {}
        self.count = 0
        self._size = _page_size(self._data[16:18]) or _page_size(wal[10:12]) or 4096
        self.count = len(self._data) // self._size
        self._read_wal(wal)
        header = self.page(1)[:100]
        self.has_header = header.startswith(b"SQLite format 3\0")
        self._usable = self._size - (header[20] if self.has_header and header[20] < 64 else 0)
        self._encoding = _ENCODINGS.get(header[59], "utf-8") if self.has_header else "utf-8"
        self.reached: set[int] = set()
        """The pages that belong to something that was read so far."""

    def page(self, number: int) -> bytes:
        """The bytes of a page; zeros where there is none."""
        data = self._changed.get(number) or self._data[(number - 1) * self._size : number * self._size]
        return data.ljust(self._size, b"\0")

    def type(self, number: int) -> int:
        """What kind of tree page it looks like."""
        return self.page(number)[_header(number)]

    def tree(self, root: int, leaf: int, interior: int) -> Found:
        """All rows of a tree."""
        found = Found([], [])
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if not 1 <= number <= self.count or number in self.reached:
                found.damaged.append(number)
                continue
            self.reached.add(number)
            if self.type(number) == interior:
                waiting += reversed(self._children(number))
            if self.type(number) == leaf or self.type(number) == interior == INDEX_INTERIOR:
                found.rows.extend(self.rows(number, found.damaged))
            elif self.type(number) != interior:
                found.damaged.append(number)
        return found

    def rows(self, number: int, damaged: list[int]) -> Iterator[Row]:
        """The rows of one page. Adds its number to `damaged` when some cannot be read."""
        page, start = self.page(number), _header(number)
        kind = page[start]
        whole = True
        for at in self._cells(number):
            try:
                yield self._row(page, at, kind)
            except (IndexError, ValueError, struct.error):
                whole = False
        if not whole:
            damaged.append(number)

    def free(self) -> set[int]:
        """The pages that are in no use; what is on them was deleted. Empty when that is not known any more."""
        header = self.page(1)
        pages: set[int] = set()
        trunk = _number(header, 32) if self.has_header else 0
        while 1 < trunk <= self.count and trunk not in pages:
            page = self.page(trunk)
            pages.add(trunk)
            size = min(_number(page, 4), self._usable // 4 - 2)
            pages.update(struct.unpack_from(f">{size}I", page, 8))
            trunk = _number(page, 0)
        return pages

    def _cells(self, number: int) -> Sequence[int]:
        page, start = self.page(number), _header(number)
        pointers = start + (12 if page[start] in (INDEX_INTERIOR, TABLE_INTERIOR) else 8)
        count = min(struct.unpack_from(">H", page, start + 3)[0], (self._size - pointers) // 2)
        return struct.unpack_from(f">{count}H", page, pointers)

    def _children(self, number: int) -> list[int]:
        page = self.page(number)
        cells = [_number(page, at) for at in self._cells(number) if at + 4 <= len(page)]
        return [*cells, _number(page, _header(number) + 8)]

    def _row(self, page: bytes, at: int, kind: int) -> Row:
        rowid = 0
        if kind == INDEX_INTERIOR:
            at += 4
        size, at = _varint(page, at)
        if kind == TABLE_LEAF:
            rowid, at = _varint(page, at)
        return rowid, _values(self._payload(page, at, size, kind), self._encoding)

    def _payload(self, page: bytes, at: int, size: int, kind: int) -> bytes:
        """The bytes of a row: those on its page, and those on overflow pages."""
        most = self._usable - 35 if kind == TABLE_LEAF else (self._usable - 12) * 64 // 255 - 23
        if size <= most:
            here = size
        else:
            least = (self._usable - 12) * 32 // 255 - 23
            here = least + (size - least) % (self._usable - 4)
            here = here if here <= most else least
        parts = [page[at : at + here]]
        left = size - here
        following = _number(page, at + here) if left else 0
        overflow: set[int] = set()
        while left > 0:
            if not 1 < following <= self.count or following in overflow:
                raise ValueError("an overflow page is missing")
            overflow.add(following)
            next_page = self.page(following)
            parts.append(next_page[4 : min(self._usable, 4 + left)])
            left -= len(parts[-1])
            following = _number(next_page, 0)
        self.reached |= overflow
        payload = b"".join(parts)
        if len(payload) != size:
            raise ValueError("a row reaches beyond its page")
        return payload

    def _read_wal(self, wal: bytes) -> None:
        """Take over the pages of all transactions that were completed."""
        if len(wal) < 32 or wal[:4] not in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"):
            return
        words = ">" if wal[3] & 1 else "<"
        sums = _checksum(wal[:24], (0, 0), words)
        if sums != struct.unpack_from(">II", wal, 24):
            return
        pending: dict[int, bytes] = {}
        step = 24 + self._size
        for at in range(32, len(wal) - step + 1, step):
            number, pages_then = struct.unpack_from(">II", wal, at)
            sums = _checksum(wal[at : at + 8] + wal[at + 24 : at + step], sums, words)
            if wal[at + 8 : at + 16] != wal[16:24] or sums != struct.unpack_from(">II", wal, at + 16):
                return
            pending[number] = wal[at + 24 : at + step]
            if pages_then:
                self._changed |= pending
                self.count = pages_then
                pending = {}


def _values(payload: bytes, encoding: str) -> list[Value]:
    end, at = _varint(payload, 0)
    types = []
    while at < end:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[Value] = []
    at = end
    for kind in types:
        size = _INTEGERS.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind >= 12 else 0)
        data = payload[at : at + size]
        if len(data) != size:
            raise ValueError("a value reaches beyond its row")
        at += size
        if kind in _INTEGERS:
            values.append(int.from_bytes(data, "big", signed=True))
        elif kind >= 13 and kind % 2:
            values.append(data.decode(encoding))
        elif kind >= 12:
            values.append(data)
        else:
            values.append({7: struct.unpack(">d", data)[0] if kind == 7 else None, 8: 0, 9: 1}.get(kind))
    return values


def _page_size(data: bytes) -> int:
    size = int.from_bytes(data, "big")
    size = 65536 if size in (0, 1) and len(data) == 2 and data != b"\0\0" else size
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else 0


def _header(number: int) -> int:
    return 100 if number == 1 else 0


def _number(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def _checksum(data: bytes, sums: tuple[int, int], words: str) -> tuple[int, int]:
    first, second = sums
    numbers = iter(struct.unpack(f"{words}{len(data) // 4}I", data))
    for one, two in zip(numbers, numbers, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
