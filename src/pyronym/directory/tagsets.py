"""One copy of tag sets that many records have in common.

Programs register thousands of names with the same few tags, and each registration arrives with a set and texts of
its own: some 300 bytes a name that say the same thing.
"""

from __future__ import annotations


class TagSets:
    """The distinct tag sets in use. A set is forgotten when it was dropped as often as it was taken, so
    that a client that registers one name with ever different tags does not fill the memory."""

    def __init__(self) -> None:
        self._sets: dict[frozenset[str], tuple[frozenset[str], int]] = {}
        self._texts: dict[str, tuple[str, int]] = {}

    def find(self, tags: frozenset[str]) -> frozenset[str]:
        """The shared set equal to `tags`, or `tags` itself if there is none."""
        known = self._sets.get(tags)
        return tags if known is None else known[0]

    def take(self, tags: frozenset[str]) -> frozenset[str]:
        """The shared set equal to `tags`. Every take needs one drop when the set is no longer used."""
        shared, uses = self._sets.get(tags, (None, 0))
        if shared is None:
            texts = {tag: self._take_text(tag) for tag in tags}
            shared = tags if all(tag is text for tag, text in texts.items()) else frozenset(texts.values())
        self._sets[shared] = shared, uses + 1
        return shared

    def drop(self, tags: frozenset[str]) -> None:
        """Take back one take of a set equal to `tags`."""
        shared, uses = self._sets[tags]
        if uses > 1:
            self._sets[shared] = shared, uses - 1
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
