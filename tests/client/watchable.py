"""A name server that can be watched, as small as can be; also a program: ``watchable.py PORT`` serves one."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

from pyronym.errors import UnknownNameError
from pyronym.rpc.exposed import expose
from pyronym.server.daemon import Daemon
from pyronym.uri import NAMESERVER_NAME, URI

_KEPT = 100
"""Changes that the history holds."""


@expose
class Watchable:
    """Keeps names in a dict. Every history has revisions of its own."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, list[str]]] = {}
        self._history: list[dict[str, Any]] = []
        self._first = self._revision = random.getrandbits(30) << 32
        self._changed = asyncio.Event()
        self._stopping = False
        self.lookups = 0

    async def stop(self) -> None:
        """Have all watches end, so that nothing runs in the daemon when it is closed."""
        self._stopping = True
        self._changed.set()

    async def ping(self) -> None:
        pass

    async def count(self) -> int:
        return len(self._names)

    async def lookup(self, name: str) -> URI:
        self.lookups += 1
        if name not in self._names:
            raise UnknownNameError(name)
        return URI(self._names[name][0])

    async def list(self, prefix: str = "", return_metadata: bool = False) -> dict[str, tuple[str, list[str]]]:
        assert return_metadata
        return {name: entry for name, entry in self._names.items() if name.startswith(prefix)}

    async def register(self, name: str, uri: str, metadata: Any = ()) -> None:
        kind = "updated" if name in self._names else "registered"
        self._names[name] = (str(uri), sorted(metadata))
        self._note(kind, name)

    async def remove(self, name: str) -> int:
        found = name in self._names
        if found:
            self._note("removed", name)
            del self._names[name]
        return int(found)

    async def expire(self, name: str) -> None:
        self._note("expired", name)
        del self._names[name]

    def _note(self, kind: str, name: str) -> None:
        self._revision += 1
        uri, metadata = self._names[name]
        change = {"kind": kind, "name": name, "uri": uri, "metadata": metadata, "revision": self._revision}
        self._history = [*self._history, change][-_KEPT:]
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(
        self,
        prefix: str = "",
        since: int | None = None,
        timeout: float = 30.0,  # noqa: ASYNC109  (the argument has this name)
    ) -> dict[str, object]:
        if since is None:
            return {"revision": self._revision, "changes": [], "reset": False}
        if not self._revision - len(self._history) <= since <= self._revision:
            return {"revision": self._revision, "changes": [], "reset": True}
        deadline = asyncio.get_running_loop().time() + timeout
        while not (changes := self._since(since, prefix)) and not self._stopping:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                break
        return {"revision": self._revision, "changes": changes, "reset": False}

    def _since(self, since: int, prefix: str) -> Any:
        return [change for change in self._history if change["revision"] > since and change["name"].startswith(prefix)]


def daemon_with(watchable: Watchable, port: int = 0) -> Daemon:
    daemon = Daemon(host="127.0.0.1", port=port)
    daemon.register(watchable, NAMESERVER_NAME)
    return daemon


if __name__ == "__main__":
    with daemon_with(Watchable(), int(sys.argv[1])) as daemon:
        print(f"URI = {daemon.uriFor(NAMESERVER_NAME)}", flush=True)
        daemon.requestLoop()
