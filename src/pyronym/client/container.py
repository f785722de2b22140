"""Proxies of objects that are containers, used with the syntax for containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any


class RemoteContainer:
    """Forwards the special methods of containers, which Python looks up in the class only.

    They raise TypeError where the remote object does not have them.
    """

    def _pyroOffers(self, name: str) -> bool:
        raise NotImplementedError

    def _pyroCall(self, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
        raise NotImplementedError

    def _pyroSpecial(self, name: str, *args: object) -> Any:  # whatever the remote method returns
        if not self._pyroOffers(name):
            raise TypeError(f"remote object of {self!r} has no exposed method '{name}'")
        return self._pyroCall(name, args, {})

    def __bool__(self) -> bool:
        return True  # a proxy is there, however empty the object is

    def __len__(self) -> int:
        length: int = self._pyroSpecial("__len__")
        return length

    def __getitem__(self, key: object) -> Any:
        return self._pyroSpecial("__getitem__", key)

    def __setitem__(self, key: object, value: object) -> None:
        self._pyroSpecial("__setitem__", key, value)

    def __delitem__(self, key: object) -> None:
        self._pyroSpecial("__delitem__", key)

    def __iter__(self) -> Iterator[Any]:
        if self._pyroOffers("__iter__") or not self._pyroOffers("__getitem__"):
            return iter(self._pyroSpecial("__iter__"))
        return self._by_index()

    def _by_index(self) -> Iterator[Any]:
        for index in count():
            try:
                item = self[index]
            except IndexError:
                return
            yield item
