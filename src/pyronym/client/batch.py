"""Several calls in one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from pyronym.serializers.classes import BatchFailure

_Call = tuple[str, Sequence[object], Mapping[str, object]]


class Caller(Protocol):
    """A proxy, as far as batches need it."""

    def _pyroInvokeBatch(self, calls: Sequence[_Call], oneway: bool = False) -> Any: ...


class BatchProxy:
    """Collects method calls for the object of `proxy`, until it is itself called; then it is empty again.

    Calling it gives an iterator over the results, in the order of the calls. Where a call failed, the iterator raises
    what the method raised, and no later call was made. With ``oneway=True`` nobody waits and there are no results.
    """

    def __init__(self, proxy: Caller) -> None:
        self._proxy = proxy
        self._calls: list[_Call] = []

    def __getattr__(self, name: str) -> _BatchedMethod:
        if name.startswith("_") and not name.startswith("__"):
            raise AttributeError(name)
        return _BatchedMethod(self._calls, name)

    def __call__(self, oneway: bool = False) -> Iterator[Any] | None:
        """Make the calls. Raises as a proxy's call does when the message does not get through; nothing is lost then."""
        results = self._proxy._pyroInvokeBatch(self._calls, oneway)
        self._calls = []
        return None if oneway else _results(results)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *outcome: object) -> None:
        pass

    def __copy__(self) -> BatchProxy:
        copy = BatchProxy(self._proxy)
        copy._calls = list(self._calls)
        return copy


class _BatchedMethod:
    """A method whose calls are noted down."""

    __slots__ = ("_calls", "_name")

    def __init__(self, calls: list[_Call], name: str) -> None:
        self._calls = calls
        self._name = name

    def __call__(self, *args: object, **kwargs: object) -> None:
        self._calls.append((self._name, args, kwargs))


def batch(proxy: Caller) -> BatchProxy:
    """Collects calls for the object of `proxy`, to make them all with one message."""
    return BatchProxy(proxy)


def _results(results: Sequence[object]) -> Iterator[Any]:
    for result in results:
        if isinstance(result, BatchFailure):
            raise result.exception
        yield result
