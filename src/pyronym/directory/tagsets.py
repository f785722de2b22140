"""One copy of tag sets that many records have in common.

Programs register thousands of names with the same few tags, and each registration arrives with a set and texts of
its own: some 300 bytes a name that say the same thing.
"""

from __future__ import annotations

from typing import Final

NO_TAGS: Final[frozenset[str]] = frozenset()
"""The empty set. Python has only one; whoever has it need not be counted."""


class _Shared:
    """A set that records have in common. A class and not a pair, so that its uses can be counted in place."""

    __slots__ = ("tags", "uses")

    def __init__(self, tags: frozenset[str]) -> None:
        self.tags = tags
        self.uses = 1


class TagSets:
    """The distinct tag sets in use. A set is forgotten when it was dropped as often as it was taken, so
    that a client that registers one name with ever different tags does not fill the memory."""

    def __init__(self) -> None:
        self._sets: dict[frozenset[str], _Shared] = {}
        self._texts: dict[str, tuple[str, int]] = {}

    def find(self, tags: frozenset[str]) -> frozenset[str]:
        """The shared set equal to `tags`, or `tags` itself if there is none."""
        known = self._sets.get(tags)
        return tags if known is None else known.tags

    def take(self, tags: frozenset[str]) -> frozenset[str]:
        """The shared set equal to `tags`. Every take needs one drop when the set is no longer used."""
        if not tags:
            return NO_TAGS
        known = self._sets.get(tags)
        if known is not None:
            known.uses += 1
            return known.tags
        texts = {tag: self._take_text(tag) for tag in tags}
        shared = tags if all(tag is text for tag, text in texts.items()) else frozenset(texts.values())
        self._sets[shared] = _Shared(shared)
        return shared

    def drop(self, tags: frozenset[str]) -> None:
        """Take back one take of a set equal to `tags`."""
        if not tags:
            return
        known = self._sets[tags]
        known.uses -= 1
        if known.uses:
            return
        del self._sets[tags]
        for tag in tags:
            self._drop_text(tag)

    def _take_text(self, tag: str) -> str:
        shared, uses = self._texts.get(tag, (tag, 0))
        self._texts[shared] = shared, uses + 1
        return shared

    def _drop_text(self, tag: str) -> None:
        shared, uses = self._texts[tag]
        if uses > 1:
            self._texts[shared] = shared, uses - 1
        else:
            del self._texts[tag]

    def __len__(self) -> int:
        return len(self._sets)
