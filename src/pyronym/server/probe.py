"""Asking a daemon whether it lives, and which objects it has."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from pyronym.client.aio.network import reach
from pyronym.errors import PyroError
from pyronym.rpc.client import Answer, ClientSession, Result
from pyronym.server.workers import Workers
from pyronym.service.liveness import Alive, Dead, Finding
from pyronym.settings import Settings
from pyronym.uri import DAEMON_NAME, URI
from pyronym.wire.message import PYRO4, PYRO5
from pyronym.wire.straight import remember

T = TypeVar("T")

PROBE_SECONDS: Final = 5.0
"""How long a daemon may take to answer, where COMMTIMEOUT does not say it."""

MOST_BYTES: Final = 4 * 1024 * 1024
"""Size of the largest list of objects that is read: some 100,000 ids. A daemon that has more is not asked for them."""

MOST_REMEMBERED: Final = 10_000
"""Daemons whose protocol is remembered."""

LARGE: Final = 16 * 1024
"""Bytes of a list that is read beside the loop, because it takes a few milliseconds."""

_OURS: Final = frozenset(
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL]
)
"""What the system says when nobody can be reached from here."""

_NO_DAEMON: Final = Dead("what listens there is no Pyro daemon")


class Prober:
    """Probes daemons, on one loop. `resolvers` ask for addresses of hosts, `readers` read large answers: threads."""

    def __init__(self, settings: Settings, resolvers: Workers, readers: Workers) -> None:
        self._seconds = settings.commtimeout or PROBE_SECONDS
        # Without metadata a Pyro4 daemon gets the oldest form of a handshake, which all of them know.
        self._settings = replace(settings, max_message_size=MOST_BYTES, metadata=False, compression=False)
        self._turn = asyncio.Lock()  # who takes time on the loop, which has others to serve before the next one
        self._spoken: dict[str, int] = {}
        self._resolvers = resolvers
        self._readers = readers
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # nothing is told to the daemon, and nothing that it says is trusted

    async def probe(self, uri: URI) -> Finding:
        """What there is at the address of a URI. A daemon that refuses us is alive, and so is what speaks TLS."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._find(uri)
        except TimeoutError:
            return Dead(f"no answer within {self._seconds:g} s")
        except socket.gaierror as problem:
            return Dead(str(problem)) if problem.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else None
        except OSError as problem:
            return None if problem.errno in _OURS else Dead(problem.strerror or str(problem))
        except ValueError as problem:  # no host name can be such
            return Dead(str(problem))

    async def _find(self, uri: URI) -> Finding:
        found = await self._ask_in_both(uri, None)
        if found is not None:
            return found
        if uri.sockname:
            return _NO_DAEMON
        try:
            # Whoever shakes hands is taken for a daemon that wants something of us that we do not have.
            return await self._ask_in_both(uri, self._tls) or Alive(None)
        except OSError as problem:
            if isinstance(problem, ssl.SSLError) and "ALERT" in (problem.reason or ""):
                return Alive(None)  # it refuses us in TLS
            return _NO_DAEMON

    async def _ask_in_both(self, uri: URI, tls: ssl.SSLContext | None) -> Alive | None:
        """Ask in the one protocol, and if need be in the other; None if there is no answer in either."""
        location = str(uri.location)
        first = self._spoken.get(location, PYRO4)
        for protocol in (first, PYRO5 if first == PYRO4 else PYRO4):
            spoken, objects = await self._ask(uri, protocol, tls)
            if spoken == protocol:
                remember(self._spoken, location, protocol, MOST_REMEMBERED)
                return Alive(objects)
        return None

    async def _ask(
        self, uri: URI, protocol: int, tls: ssl.SSLContext | None
    ) -> tuple[int | None, frozenset[Any] | None]:
        """Which protocol a daemon answers in, if it does, and which objects it has, if it says so.

        OSError when nobody can be reached.
        """
        async with self._turn:
            session = ClientSession(protocol, str(uri.location), self._settings)
            await asyncio.sleep(0)
        reader, writer = await self._connect(uri, tls)
        objects = None
        try:
            writer.write(session.connect(DAEMON_NAME, "hello", serializer="serpent"))
            await self._answer(session, reader)
            writer.write(session.invoke(DAEMON_NAME, "registered", (), {}, serializer="serpent"))
            answer = await self._answer(session, reader)
            if isinstance(answer, Result) and isinstance(answer.value, list | tuple | set):
                objects = frozenset(answer.value)
        except (PyroError, OSError, TypeError):  # it refuses us, has gone, or has lists among its objects
            pass
        finally:
            writer.transport.abort()
        return session.spoken, objects

    async def _answer(self, session: ClientSession, reader: asyncio.StreamReader) -> Answer:
        received = 0
        answer = None
        while answer is None:
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed")
            received += len(data)
            session.receive_data(data)
            if received < LARGE:
                async with self._turn:
                    answer = session.next_answer()
                    await asyncio.sleep(0)
            else:
                answer = await in_thread(self._readers, session.next_answer)
        return answer

    async def _connect(self, uri: URI, tls: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the address of a URI; of several, the first that can be reached. OSError."""
        targets = await self._addresses(uri)
        while True:
            (family, address), *targets = targets
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                async with asyncio.timeout(self._seconds / (2 + len(targets))):
                    await reach(sock, address)
                how: dict[str, Any] = {"ssl": tls, "server_hostname": ""} if tls else {}
                return await asyncio.open_connection(sock=sock, **how)
            except BaseException as problem:
                sock.close()
                if not targets or isinstance(problem, ssl.SSLError) or not isinstance(problem, OSError):
                    raise

    async def _addresses(self, uri: URI) -> list[tuple[int, Any]]:
        if uri.sockname:
            return [(socket.AF_UNIX, uri.sockname)]
        if not 0 < (uri.port or 0) <= 65535:
            raise ValueError(f"there is no port {uri.port}")
        look = partial(socket.getaddrinfo, uri.host, uri.port, type=socket.SOCK_STREAM)
        try:
            found = look(flags=socket.AI_NUMERICHOST)
        except socket.gaierror:  # not an address but a name: that may take long
            found = await in_thread(self._resolvers, look)
        return [(family, address) for family, _, _, _, address in found]


async def in_thread(workers: Workers, job: Callable[[], T]) -> T:
    """What `job` gives in one of these threads. If nobody waits for it any more, it is left to itself."""
    outcome: Future[T] = Future()

    def run() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            outcome.set_result(job())
        except BaseException as problem:  # raised again where it is waited for
            outcome.set_exception(problem)

    workers.submit(run)
    return await asyncio.wrap_future(outcome)
