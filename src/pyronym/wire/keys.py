"""Several HMAC keys at once: each has a name, and whoever signs with one is known by that name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Key:
    """A key and whose it is. Several keys may have one name: the old and the new one while a key is being changed."""

    name: str
    secret: bytes = field(repr=False)


class KeyRing:
    """The keys that a server accepts. A connection belongs to the key that its first message is signed with."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, fits: Callable[[bytes], bool]) -> Key | None:
        """The key whose secret `fits`; None if there is none. All are tried, so that the time it takes does not tell
        which one it was.
        """
        found = None
        for key in self._keys:
            if fits(key.secret):
                found = key
        return found
