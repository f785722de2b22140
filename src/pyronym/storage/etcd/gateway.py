"""etcd's own JSON gateway, at whichever of its members answers.

See https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/: every call of the gRPC interface is a POST with its request
as JSON; bytes are base64, 64 bit numbers are texts, and what is 0 or empty is left out of answers.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from pyronym.settings import Settings
from pyronym.storage.etcd.address import EtcdAddress

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 1.0
"""To connect takes a round trip; a machine that is gone does not refuse, it says nothing."""

BEGIN_SECONDS: Final = 2.0
"""Until a stream begins: its first answer comes at once. The next one may be long in coming."""

_CERTAIN_CODES: Final = frozenset({3, 5, 7, 8, 9, 11, 12, 16})
"""Codes of gRPC with which etcd refuses what it has not begun: wrong arguments, no lease, no permission, no space."""
INVALID, NOT_FOUND, DENIED, NO_SPACE, OUT_OF_RANGE, UNAUTHENTICATED = 3, 5, 7, 8, 11, 16
_PROXY_TROUBLE: Final = (502, 503, 504)
_AUTHENTICATION_OFF: Final = "authentication is not enabled"
_TOKEN_PROBLEMS: Final = ("invalid auth token", "revision of auth store is old", "user name is empty")


class EtcdError(Exception):
    """etcd did not do what it was asked for."""


class UnreachableError(EtcdError):
    """Nothing can have changed: no member took the request. `for_good`: to wait will not help."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class UnansweredError(EtcdError):
    """It was sent, and there is no answer: nobody knows whether it will be carried out."""


class RefusedError(EtcdError):
    """etcd says no. `code`: that of gRPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Gateway:
    """Calls of the cluster at `address`. From any thread.

    Raises OSError or ValueError if the files that the settings name cannot be used.
    """

    def __init__(self, address: EtcdAddress, settings: Settings) -> None:
        self._address = address
        self._password = _password(settings)
        self._token: str | None = None
        self._preferred = 0
        self._lock = threading.Lock()
        options = [*HTTPConnection.default_socket_options, *_KEEP_ALIVE]
        self._http = urllib3.PoolManager(
            maxsize=8,
            retries=False,
            socket_options=options,
            ssl_context=_tls_context(settings) if address.tls else None,
        )

    @property
    def endpoint(self) -> str:
        """The member that is asked first."""
        return self._address.endpoints[self._preferred]

    def local_host(self) -> str | None:
        """The address of this machine on the way to etcd; None if there is no way."""
        parts = urllib3.util.parse_url(self.endpoint)
        try:
            with socket.create_connection((str(parts.host).strip("[]"), parts.port or 0), CONNECT_SECONDS) as sock:
                return str(sock.getsockname()[0])
        except OSError:
            return None

    def next_endpoint(self) -> None:
        """Ask another member first from now on."""
        self._preferred = (self._preferred + 1) % len(self._address.endpoints)

    def call(self, path: str, body: Mapping[str, object], timeout: float, *, harmless: bool = False) -> dict[str, Any]:
        """The answer to a request, within `timeout` seconds, from the first member that takes it.

        A `harmless` request may reach several: then each of them has only its share of the time.
        """
        deadline = time.monotonic() + timeout
        problems = []
        for_good = True
        members = len(self._address.endpoints)
        for left in range(members, 0, -1):
            now = time.monotonic()
            share = (deadline - now) / left if harmless else deadline - now
            endpoint = self.endpoint
            try:
                return self._authenticated(endpoint, path, body, max(share, 0.05))
            except (UnreachableError, UnansweredError) as problem:
                problems.append(f"{endpoint}: {problem}")
                for_good = for_good and getattr(problem, "for_good", False)
                self._leave(endpoint)
                if isinstance(problem, UnansweredError) and not harmless:
                    raise UnansweredError(problems[-1]) from problem
            if time.monotonic() >= deadline:
                break
        raise UnreachableError("; ".join(problems), for_good=for_good)

    def stream(self, path: str, body: Mapping[str, object]) -> Stream:
        """The answers to a request that is answered again and again. EtcdError if none can be had."""
        endpoint = self.endpoint
        limit = urllib3.Timeout(connect=CONNECT_SECONDS, read=BEGIN_SECONDS)
        try:
            response = self._request(endpoint, path, body, limit, preload=False)
        except (UnreachableError, UnansweredError):
            self._leave(endpoint)
            raise
        if isinstance(response.connection, HTTPConnection) and response.connection.sock is not None:
            response.connection.sock.settimeout(None)
        return Stream(response, endpoint)

    def close(self) -> None:
        """Close all connections that are not in use."""
        self._http.clear()

    def _leave(self, endpoint: str) -> None:
        with self._lock:
            if endpoint == self.endpoint:
                self.next_endpoint()

    def _authenticated(self, endpoint: str, path: str, body: Mapping[str, object], timeout: float) -> dict[str, Any]:
        if self._address.user is not None and self._token is None:
            self._log_in(endpoint, timeout)
        token = self._token
        try:
            return self._answer(endpoint, path, body, timeout)
        except RefusedError as problem:
            if self._address.user is None or not any(words in str(problem) for words in _TOKEN_PROBLEMS):
                raise
            if token == self._token:
                self._log_in(endpoint, timeout)
        return self._answer(endpoint, path, body, timeout)

    def _log_in(self, endpoint: str, timeout: float) -> None:
        self._token = None
        who = {"name": self._address.user, "password": self._password}
        try:
            self._token = self._answer(endpoint, "/v3/auth/authenticate", who, timeout)["token"]
        except RefusedError as problem:
            if _AUTHENTICATION_OFF not in str(problem):
                raise
            log.debug("%s has no users: going on without", endpoint)

    def _answer(self, endpoint: str, path: str, body: Mapping[str, object], timeout: float) -> dict[str, Any]:
        limit = urllib3.Timeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        response = self._request(endpoint, path, body, limit, preload=True)
        try:
            answer = json.loads(response.data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            words = f"this is not etcd's JSON gateway: it answers {response.status} {response.data[:60]!r}"
            if response.status in _PROXY_TROUBLE:
                raise UnansweredError(words)
            raise UnreachableError(words, for_good=True)
        if response.status != 200:
            raise _refusal(answer.get("code", 2), str(answer.get("message", answer)))
        return answer

    def _request(
        self, endpoint: str, path: str, body: Mapping[str, object], limit: urllib3.Timeout, preload: bool
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = self._token
        data = json.dumps(body, separators=(",", ":")).encode()
        try:
            return self._http.request(
                "POST", endpoint + path, body=data, headers=headers, timeout=limit, preload_content=preload
            )
        except SSLError as problem:
            raise UnreachableError(f"TLS: {problem}", for_good=True) from problem
        except (NewConnectionError, ConnectTimeoutError, NameResolutionError, ProxyError) as problem:
            raise UnreachableError(_words(problem)) from problem
        except (HTTPError, OSError) as problem:
            words = _words(problem)
            if "RemoteDisconnected" in words and not self._address.tls:
                words += "; if it speaks TLS, the address begins with etcds://"
            raise UnansweredError(words) from problem


class Stream:
    """Answers that come one after the other, from the member `endpoint`."""

    def __init__(self, response: urllib3.BaseHTTPResponse, endpoint: str) -> None:
        self.endpoint = endpoint
        self._response = response

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises EtcdError where it breaks off; ends when it is stopped."""
        try:
            for line in self._response:
                message = json.loads(line)
                if "error" in message:
                    error = message["error"]
                    raise _refusal(error.get("grpc_code", error.get("code", 2)), str(error.get("message", error)))
                yield message["result"]
        except (HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise UnreachableError(_words(problem)) from problem
        finally:
            self._response.close()

    def stop(self) -> None:
        """Have it end, from another thread."""
        try:
            self._response.shutdown()
        except (HTTPError, OSError, ValueError):
            log.debug("the stream has ended already")


def _refusal(code: int, message: str) -> EtcdError:
    message = message.removeprefix("etcdserver: ")
    if code in _CERTAIN_CODES or message == "no leader":
        return RefusedError(code, message)
    return UnansweredError(message)


def _words(problem: Exception) -> str:
    """What went wrong, without the object that urllib3 mentions first."""
    return str(problem).rpartition(">: ")[2] or repr(problem)


def _password(settings: Settings) -> str:
    path = settings.etcd_passwordfile
    if not path:
        return settings.etcd_password
    with open(path, encoding="utf-8") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ValueError(f"{path}: others than its owner can read or change it (mode {mode:04o}): chmod 600 {path}")
        return file.read().strip()


def _tls_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.etcd_cacert or None)
        if settings.etcd_cert:
            context.load_cert_chain(settings.etcd_cert, settings.etcd_key or None)
    except (OSError, ssl.SSLError) as problem:
        files = ", ".join(filter(None, (settings.etcd_cacert, settings.etcd_cert, settings.etcd_key)))
        raise ValueError(f"the TLS files for etcd cannot be used ({files}): {problem}") from problem
    return context


_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, option), value)
        for option, value in (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3))
        if hasattr(socket, option)
    ),
]
"""So that a connection to a machine that is gone ends after some seconds, even if nothing is sent over it."""
