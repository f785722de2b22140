"""The storage that forgets: a dict."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Entry = tuple[str, Collection[str]]
"""(URI text, tags): what the mappings of names hold."""


class MemoryStorage(dict[str, Entry]):
    """Names and (URI, metadata) in memory only; everything is forgotten when the server stops."""

    def __init__(self, **kwargs: Entry) -> None:
        super().__init__(**kwargs)

    def __setitem__(self, name: str, value: tuple[str, Collection[str] | None]) -> None:
        uri, metadata = value
        super().__setitem__(name, (uri, metadata or frozenset()))

    def everything(self, return_metadata: bool = False) -> dict[str, object]:
        """A copy: name -> URI, or with `return_metadata` name -> (URI, tags)."""
        return dict(self) if return_metadata else {name: uri for name, (uri, _) in self.items()}

    def remove_items(self, items: Iterable[str]) -> None:
        """Delete these names, as far as they are there."""
        for name in items:
            self.pop(name, None)

    def close(self) -> None:
        """There is nothing to close."""
