"""etcd's gRPC interface, at whichever of its members answers.

See https://etcd.io/docs/v3.5/dev-guide/api_reference_v3/. Beside this module only `messages_pb2` knows of gRPC.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from google.protobuf.message import Message

from pyronym.settings import Settings
from pyronym.storage.etcd import messages_pb2 as messages
from pyronym.storage.etcd.address import EtcdAddress

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read at the import; else it tells stderr what our errors say better

import grpc

log = logging.getLogger(__name__)

RequestT = TypeVar("RequestT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)

CONNECT_SECONDS: Final = 1.0
"""To connect takes a round trip; a machine that is gone does not refuse, it says nothing."""
LEAST_SECONDS: Final = 0.05
"""That a member gets to answer, however late it is."""

INVALID, NOT_FOUND, DENIED, NO_SPACE, OUT_OF_RANGE, UNAUTHENTICATED = 3, 5, 7, 8, 11, 16
_CERTAIN_CODES: Final = frozenset({INVALID, NOT_FOUND, DENIED, NO_SPACE, 9, OUT_OF_RANGE, 12, UNAUTHENTICATED})
"""Codes of gRPC with which etcd refuses what it has not begun: wrong arguments, no lease, no permission, no space."""
_UNAVAILABLE: Final = 14
_NOT_SENT: Final = ("failed to connect to all addresses", "errors resolving ", "DNS resolution failed")
"""How gRPC's words begin when it had no connection to send a request over. Should they change, then "unknown" is said
where "nothing was changed" would be true.
"""
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


@dataclass(frozen=True)
class Method(Generic[RequestT, AnswerT]):
    """A call that etcd offers."""

    path: str
    request: type[RequestT]
    answer: type[AnswerT]


RANGE: Final = Method("/etcdserverpb.KV/Range", messages.RangeRequest, messages.RangeResponse)
PUT: Final = Method("/etcdserverpb.KV/Put", messages.PutRequest, messages.PutResponse)
DELETE_RANGE: Final = Method("/etcdserverpb.KV/DeleteRange", messages.DeleteRangeRequest, messages.DeleteRangeResponse)
TXN: Final = Method("/etcdserverpb.KV/Txn", messages.TxnRequest, messages.TxnResponse)
LEASE_GRANT: Final = Method("/etcdserverpb.Lease/LeaseGrant", messages.LeaseGrantRequest, messages.LeaseGrantResponse)
LEASE_KEEP_ALIVE: Final = Method(
    "/etcdserverpb.Lease/LeaseKeepAlive", messages.LeaseKeepAliveRequest, messages.LeaseKeepAliveResponse
)
"""For etcd a stream. One request makes one answer, and that looks like any other call."""
WATCH: Final = Method("/etcdserverpb.Watch/Watch", messages.WatchRequest, messages.WatchResponse)
_AUTHENTICATE: Final = Method(
    "/etcdserverpb.Auth/Authenticate", messages.AuthenticateRequest, messages.AuthenticateResponse
)


class Transport:
    """Calls of the cluster at `address`. From any thread.

    Raises OSError or ValueError if the files that the settings name cannot be used.
    """

    def __init__(self, address: EtcdAddress, settings: Settings) -> None:
        self._address = address
        self._password = _password(settings)
        self._token: str | None = None
        self._logging_in = threading.Lock()
        self._preferred = 0
        self._lock = threading.Lock()
        self._credentials = _credentials(settings) if address.tls else None
        self._members: dict[str, grpc.Channel] = {}

    @property
    def endpoint(self) -> str:
        """The member that is asked first."""
        return self._address.endpoints[self._preferred]

    def local_host(self) -> str | None:
        """The address of this machine on the way to etcd; None if there is no way."""
        parts = urlsplit(self.endpoint)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS) as sock:
                return str(sock.getsockname()[0])
        except OSError:
            return None

    @property
    def endpoints(self) -> Sequence[str]:
        """All members."""
        return self._address.endpoints

    def leave(self, endpoint: str) -> None:
        """Ask another member first from now on, if it is this one until now."""
        with self._lock:
            if endpoint == self.endpoint:
                self._preferred = (self._preferred + 1) % len(self._address.endpoints)

    def call_at(self, endpoint: str, method: Method[RequestT, AnswerT], request: RequestT, timeout: float) -> AnswerT:
        """The answer of one member to a request, within `timeout` seconds. EtcdError."""
        return self._authenticated(endpoint, method, request, timeout)

    def call(
        self, method: Method[RequestT, AnswerT], request: RequestT, timeout: float, *, harmless: bool = False
    ) -> AnswerT:
        """The answer to a request, within `timeout` seconds, from the first member that takes it. EtcdError.

        A `harmless` request may reach several: then each of them has only its share of the time.
        """
        return self.call_any(method, request, timeout, harmless=harmless)[1]

    def call_any(
        self, method: Method[RequestT, AnswerT], request: RequestT, timeout: float, *, harmless: bool = False
    ) -> tuple[str, AnswerT]:
        """As `call`; and before the answer, which member has given it."""
        deadline = time.monotonic() + timeout
        problems = []
        for_good = True
        members = len(self._address.endpoints)
        for left in range(members, 0, -1):
            now = time.monotonic()
            share = (deadline - now) / left if harmless else deadline - now
            endpoint = self.endpoint
            try:
                return endpoint, self._authenticated(endpoint, method, request, max(share, LEAST_SECONDS))
            except (UnreachableError, UnansweredError) as problem:
                problems.append(f"{endpoint}: {problem}")
                for_good = for_good and getattr(problem, "for_good", False)
                self.leave(endpoint)
                if isinstance(problem, UnansweredError) and not harmless:
                    raise UnansweredError(problems[-1]) from problem
            if time.monotonic() >= deadline:
                break
        raise UnreachableError("; ".join(problems), for_good=for_good)

    def stream(self, method: Method[RequestT, AnswerT], request: RequestT) -> Stream[AnswerT]:
        """The answers to a request that is answered again and again."""
        endpoint = self.endpoint
        open_stream = self._channel(endpoint).unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        answers = open_stream(request, metadata=_metadata(self._token))
        return Stream(answers, endpoint, partial(self.leave, endpoint), tls=self._address.tls)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for channel in self._members.values():
                channel.close()
            self._members.clear()

    def _channel(self, endpoint: str) -> grpc.Channel:
        with self._lock:
            channel = self._members.get(endpoint)
            if channel is None:
                place = urlsplit(endpoint).netloc
                channel = (
                    grpc.insecure_channel(place, _OPTIONS)
                    if self._credentials is None
                    else grpc.secure_channel(place, self._credentials, _OPTIONS)
                )
                self._members[endpoint] = channel
            return channel

    def _authenticated(
        self, endpoint: str, method: Method[RequestT, AnswerT], request: RequestT, timeout: float
    ) -> AnswerT:
        token = self._token
        if self._address.user is not None and token is None:
            token = self._log_in(endpoint, timeout, token)
        try:
            return self._answer(endpoint, method, request, timeout, token)
        except RefusedError as problem:
            if self._address.user is None or not any(words in str(problem) for words in _TOKEN_PROBLEMS):
                raise
            token = self._log_in(endpoint, timeout, token)
        return self._answer(endpoint, method, request, timeout, token)

    def _log_in(self, endpoint: str, timeout: float, useless: str | None) -> str | None:
        """The token in the place of one that is `useless`; None where etcd has no users. One call at a time logs in.

        Others keep the old one until then: a call without any is refused as if its arguments were wrong.
        """
        if not self._logging_in.acquire(timeout=timeout):
            raise UnreachableError("another call has not logged in yet")
        try:
            if self._token == useless:  # else another call has done it meanwhile
                who = messages.AuthenticateRequest(name=self._address.user, password=self._password)
                self._token = self._answer(endpoint, _AUTHENTICATE, who, timeout, None).token
        except RefusedError as problem:
            if _AUTHENTICATION_OFF not in str(problem):
                raise
            log.debug("%s has no users: going on without", endpoint)
        finally:
            self._logging_in.release()
        return self._token

    def _answer(
        self, endpoint: str, method: Method[RequestT, AnswerT], request: RequestT, timeout: float, token: str | None
    ) -> AnswerT:
        ask = self._channel(endpoint).unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        try:
            return ask(request, timeout=timeout, metadata=_metadata(token))
        except grpc.RpcError as problem:
            raise _error(problem, tls=self._address.tls) from problem


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("token", token),)


class Stream(Generic[AnswerT]):
    """Answers that come one after the other, from the member `endpoint`. `leave` is called if they break off."""

    def __init__(
        self, answers: grpc._CallIterator[AnswerT], endpoint: str, leave: Callable[[], None], *, tls: bool
    ) -> None:
        self.endpoint = endpoint
        self._answers = answers
        self._leave = leave
        self._tls = tls

    def __iter__(self) -> Iterator[AnswerT]:
        """Raises EtcdError where it breaks off, also when it is stopped."""
        try:
            yield from self._answers
        except grpc.RpcError as problem:
            if problem.code() is not grpc.StatusCode.CANCELLED:
                self._leave()
            raise _error(problem, tls=self._tls) from problem
        finally:
            self.stop()

    def stop(self) -> None:
        """Have it end, from any thread."""
        self._answers.cancel()


def _error(problem: grpc.RpcError, *, tls: bool) -> EtcdError:
    code: int = problem.code().value[0]
    words = (problem.details() or problem.code().name).removeprefix("etcdserver: ")
    if code == _UNAVAILABLE and words.startswith(_NOT_SENT):
        return _unreachable(words, tls=tls)
    if code == NO_SPACE and "larger than max" in words:  # gRPC's limit, a little above etcd's own
        code = INVALID
    if code in _CERTAIN_CODES or words == "no leader":
        return RefusedError(code, words)
    return UnansweredError(words)


def _unreachable(words: str, *, tls: bool) -> UnreachableError:
    words = _LAST_ERROR.sub("", words)
    if tls and "handshake failed" in words:
        return UnreachableError(f"TLS: {_tls_reason(words)}", for_good=True)
    if "Failed parsing HTTP/2" in words:
        return UnreachableError(f"this is not etcd, which speaks gRPC: {words}", for_good=True)
    if not tls and ("Socket closed" in words or "before receiving SETTINGS" in words):
        words += "; if it speaks TLS, the address begins with etcds://"
    return UnreachableError(words)


_LAST_ERROR: Final = re.compile(r"failed to connect to all addresses; last error: \w+: (ipv[46]:\S+: )?")


def _tls_reason(words: str) -> str:
    """What OpenSSL says, of what gRPC says; and what was wrong with the certificate of etcd, if that was it."""
    found = _OPENSSL.search(words)
    if found is None:
        return words
    reason = found["reason"].replace("_", " ").lower()
    return reason if found["verified"] == "OK" else f"{reason}: {found['verified']}"


_OPENSSL: Final = re.compile(r"OPENSSL_internal:(?P<reason>\w+): (.*: )?(?P<verified>.*)")


def _password(settings: Settings) -> str:
    path = settings.etcd_passwordfile
    if not path:
        return settings.etcd_password
    with open(path, encoding="utf-8") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ValueError(f"{path}: others than its owner can read or change it (mode {mode:04o}): chmod 600 {path}")
        return file.read().strip()


def _credentials(settings: Settings) -> grpc.ChannelCredentials:
    authorities = settings.etcd_cacert or ssl.get_default_verify_paths().cafile
    certificate, key = settings.etcd_cert, settings.etcd_key or settings.etcd_cert
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate:
            context.load_cert_chain(certificate, key)
        return grpc.ssl_channel_credentials(_content(authorities), _content(key), _content(certificate))
    except (OSError, ssl.SSLError) as problem:
        files = ", ".join(filter(None, (settings.etcd_cacert, settings.etcd_cert, settings.etcd_key)))
        raise ValueError(f"the TLS files for etcd cannot be used ({files}): {problem}") from problem


def _content(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),  # what is deleted together comes in one message
    ("grpc.min_reconnect_backoff_ms", round(1000 * CONNECT_SECONDS)),  # that is how long an attempt may take
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    # So that a connection to a machine that is gone ends after some seconds. etcd takes no pings more often than each
    # 5 seconds; what is sent and not confirmed ends it, too, and the overseer sends something every second.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.enable_retries", 0),  # whether to ask again is decided here
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),  # two nodes in a process do not share a connection
    ("grpc.enable_http_proxy", 0),
    ("SingleThreadedUnaryStream", 1),  # who reads a stream waits for it itself, not for a thread of gRPC's
)
