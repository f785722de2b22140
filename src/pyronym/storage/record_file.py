"""Records as a text that any tool can read: JSON lines. docs/moving.md describes the format.

The first line says what it is, and how many records follow with which checksum, so that a file that was cut short or
changed by accident is noticed. Each other line is a record.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pyronym.directory.record import Lease, Record
from pyronym.errors import PyroError
from pyronym.uri import URI

FORMAT: Final = "pyronym names"
VERSION: Final = 1

_HEAD: Final = f'expected {{"format": "{FORMAT}", "version": {VERSION}}}'


def checksum(records: Iterable[Record]) -> str:
    """What names, URIs and tags amount to, in whatever order: SHA-256, in hexadecimal digits."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: record.name):
        digest.update(json.dumps([record.name, record.uri, sorted(record.metadata)]).encode() + b"\n")
    return digest.hexdigest()


def lines_of(records: Sequence[Record]) -> Iterator[str]:
    """The lines of a file with these records."""
    yield _line({"format": FORMAT, "version": VERSION, "count": len(records), "sha256": checksum(records)})
    for record in records:
        content: dict[str, object] = {"name": record.name, "uri": record.uri}
        if record.metadata:
            content["tags"] = sorted(record.metadata)
        if record.owner is not None:
            content["owner"] = record.owner
        if record.lease is not None:
            lease = record.lease
            content["lease"] = {"id": lease.id, "seconds": lease.seconds, "ephemeral": lease.ephemeral}
        yield _line(content)


def records_in(lines: Iterable[bytes]) -> list[Record]:
    """The records of a file with these lines. ValueError, with line and column, if anything is wrong with it."""
    numbered = enumerate(lines, 1)
    number, first = next(numbered, (1, b""))
    head = _content(number, first)
    if head.get("format") != FORMAT:
        raise _wrong(number, first, "format", f"this is no file of names ({_HEAD})")
    if head.get("version") != VERSION:
        why = f"it is of version {head.get('version')!r}, and this program knows version {VERSION}"
        raise _wrong(number, first, "version", why)
    found: dict[str, Record] = {}
    for number, line in numbered:
        if line.strip():
            record = _record(number, line)
            if record.name in found:
                raise _wrong(number, line, "name", f"the name {record.name!r} is there twice")
            found[record.name] = record
    records = list(found.values())
    if head.get("count", len(records)) != len(records):
        raise ValueError(f"line {number}, column 1: the file ends after {len(records)} names, not {head['count']}")
    if head.get("sha256", own := checksum(records)) != own:
        why = f"the names have the checksum {own} (if you have changed them on purpose, take count and sha256 out)"
        raise _wrong(1, first, "sha256", why)
    return records


def _line(content: Mapping[str, object]) -> str:
    return json.dumps(content) + "\n"


def _content(number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line.decode())
    except UnicodeDecodeError as problem:
        raise ValueError(f"line {number}, column {problem.start + 1}: this is not UTF-8 ({problem.reason})") from None
    except json.JSONDecodeError as problem:
        raise ValueError(f"line {number}, column {problem.colno}: this is no JSON ({problem.msg})") from None
    except RecursionError:
        raise ValueError(f"line {number}, column 1: this is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"line {number}, column 1: this is no JSON object")
    return content


def _record(number: int, line: bytes) -> Record:
    content = _content(number, line)
    name, uri, tags, owner = content.get("name"), content.get("uri"), content.get("tags", []), content.get("owner")
    if not isinstance(name, str):
        raise _wrong(number, line, "name", "there is no name (expected a text)")
    if not isinstance(uri, str):
        raise _wrong(number, line, "uri", "there is no uri (expected a text)")
    try:
        URI(uri)
    except PyroError as problem:
        raise _wrong(number, line, "uri", str(problem)) from None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _wrong(number, line, "tags", "tags must be a list of texts")
    if not isinstance(owner, str | None):
        raise _wrong(number, line, "owner", "owner must be a text")
    for item, texts in (("name", [name]), ("uri", [uri]), ("tags", tags), ("owner", [owner or ""])):
        if not all(map(_has_utf8, texts)):
            raise _wrong(number, line, item, "half of a surrogate pair is no text")
    return Record(name, uri, frozenset(tags), owner, _lease(number, line, content.get("lease")))


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lease(number: int, line: bytes, content: Any) -> Lease | None:
    match content:
        case None:
            return None
        case {"seconds": int() | float() | None as seconds, "ephemeral": bool(ephemeral)} if (
            seconds is not None or ephemeral
        ) and not isinstance(seconds, bool):
            lease_id = content.get("id") or secrets.token_hex(8)
            if isinstance(lease_id, str):
                return Lease(lease_id, None if seconds is None else float(seconds), ephemeral)
    expected = '{"seconds": 10.0, "ephemeral": false}, an ephemeral one may have null seconds'
    raise _wrong(number, line, "lease", f"this is no lease (expected {expected})")


def _wrong(number: int, line: bytes, item: str, why: str) -> ValueError:
    """The error that says where an item of a line is wrong; where it is missing, the line begins."""
    column = line.decode().find(f'"{item}"') + 1
    return ValueError(f"line {number}, column {column or 1}: {why}")
