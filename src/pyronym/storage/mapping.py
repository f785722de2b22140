"""Records in a mapping that the program brings along: a plain dict, or anything that keeps what is put into it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import MutableMapping, Sequence
from typing import Any

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import Storage, failure, refusal
from pyronym.storage.memory import MemoryStorage

# What a mapping of someone else's takes and gives can only be known at run time, hence Any.


class StoreMapping(MutableMapping[str, tuple[str, set[str]]]):
    """A mapping that is the face of a storage, for those who want one."""

    @property
    @abstractmethod
    def store(self) -> Storage:
        """The storage behind it. A name server uses this one directly."""


def storage_behind(provider: MutableMapping[str, Any] | Storage) -> Storage:
    """The storage to use for what a program gave as one: a mapping or a storage. TypeError if it is neither."""
    if isinstance(provider, StoreMapping):
        return provider.store
    if isinstance(provider, MutableMapping):
        return MappingStore(provider)
    if isinstance(provider, Storage):
        return provider
    raise TypeError(f"the storage must be a MutableMapping of name -> (uri, metadata), not {type(provider).__name__}")


class MappingStore:
    """Records as the items of `mapping`: name -> (URI, metadata), as Pyro4's storages have them.

    The metadata may be any collection of str, or None; what is written is a frozenset. A mapping knows nothing of
    commits: of several changes those already made are taken back when one fails, as far as the mapping lets us,
    and the error says if it did not.
    """

    def __init__(self, mapping: MutableMapping[str, Any]) -> None:
        is_ours = isinstance(mapping, MemoryStorage)
        self.description = "memory" if is_ours else f"mapping {type(mapping).__qualname__}"
        self.immediate = isinstance(mapping, dict)
        self._mapping: MutableMapping[str, Any] | None = mapping

    def load(self) -> list[Record]:
        """All records, in the order of the mapping."""
        mapping = self._opened("cannot read")
        try:
            return [_record(name, value) for name, value in mapping.items()]
        except Exception as problem:  # here and below: a foreign mapping raises what it likes
            raise failure("cannot read", self.description, _words(problem), "check the mapping") from problem

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes one by one."""
        mapping = self._opened("cannot write to")
        before: list[tuple[str, Any]] = []
        try:
            for name, record in changes:
                before.append((name, mapping.get(name)))
                _set(mapping, name, record and (record.uri, record.metadata))
        except Exception as problem:
            raise self._undo(mapping, before, problem) from problem

    def close(self) -> None:
        """Close the mapping too, if it is one that can be closed."""
        mapping, self._mapping = self._mapping, None
        try:
            close = getattr(mapping, "close", None)
            if close is not None:
                close()
        except Exception as problem:
            raise failure("cannot close", self.description, _words(problem), "check the mapping") from problem

    def _opened(self, what: str) -> MutableMapping[str, Any]:
        if self._mapping is None:
            raise failure(what, self.description, "the storage is closed", "make another one")
        return self._mapping

    def _undo(self, mapping: MutableMapping[str, Any], before: list[tuple[str, Any]], why: Exception) -> StorageError:
        """Take changes back. The error that tells of it."""
        left = set()
        for name, value in reversed(before):
            try:
                _set(mapping, name, value)
            except Exception:
                left.add(name)
        if left:
            advice = (
                f"taking it back failed too, so {len(left)} names may have been changed, such as {sorted(left)[:5]}"
            )
            return failure("cannot write to", self.description, _words(why), advice)
        return refusal(self.description, _words(why), "nothing was changed")


def _set(mapping: MutableMapping[str, Any], name: str, value: Any) -> None:
    if value is not None:
        mapping[name] = value
    elif name in mapping:
        del mapping[name]


def _record(name: object, value: Any) -> Record:
    uri, metadata = value
    tags = frozenset(metadata or ())
    if isinstance(metadata, str) or not all(isinstance(text, str) for text in (name, uri, *tags)):
        raise TypeError(f"the item {name!r}: {value!r} is not a name with a URI text and a collection of tags")
    return Record(str(name), uri, tags)


def _words(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"
