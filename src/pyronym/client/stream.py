"""Results that are iterators: their items are fetched one by one, while they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pyronym.client.blocking import SocketStream
from pyronym.client.connection import Connection
from pyronym.errors import ConnectionClosedError
from pyronym.uri import DAEMON_NAME


class Source(Protocol):
    """A proxy, as far as streams need it."""

    @property
    def _pyroConnection(self) -> Connection[SocketStream] | None: ...
    def _pyroInvoke(
        self, method: str, args: Sequence[object], kwargs: Mapping[str, object], *, object_id: str | None = None
    ) -> Any: ...
    def _pyroAbandon(self, stream_id: str) -> None: ...


class ItemIterator:
    """The items of an iterator in the daemon of `proxy`. Dropping it, or `close`, ends the iterator there."""

    def __init__(self, proxy: Source, stream_id: str) -> None:
        self._proxy: Source | None = proxy
        self._stream_id = stream_id

    def __iter__(self) -> ItemIterator:
        return self

    def __next__(self) -> Any:  # whatever the remote iterator gives
        if self._proxy is None:
            raise StopIteration
        if self._proxy._pyroConnection is None:
            raise ConnectionClosedError("the proxy for this stream result has been closed")
        try:
            return self._proxy._pyroInvoke("get_next_stream_item", (self._stream_id,), {}, object_id=DAEMON_NAME)
        except StopIteration:
            self._proxy = None  # the daemon has dropped the stream already
            raise

    def close(self) -> None:
        """Give up the items that are left."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            proxy._pyroAbandon(self._stream_id)

    def __del__(self) -> None:
        self.close()
