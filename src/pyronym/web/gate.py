"""What every request has to pass before anybody looks at what it wants, and what every answer carries.

Pages of strangers must not reach the name server through the browser of somebody who may: not by a name of their own
that leads here (DNS rebinding: Host), and not by requests in that person's name (CSRF: Origin; bodies must be JSON
besides, which browsers ask about first: `access.JSON_ONLY`). No cookies are used, no other site may read an answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyronym.web import problems
from pyronym.web.metrics import Traffic
from pyronym.web.problems import Problem

MAX_BODY: Final = 1 << 20
"""Bytes of the body of a request."""

BODY_SECONDS: Final = 10.0
"""How long a client may take to send that."""

LINGER_SECONDS: Final = 2.0
"""How long what a refused client still sends is read and dropped, that it may read why."""

SAFE: Final = frozenset(["GET", "HEAD", "OPTIONS"])
METHODS: Final = SAFE | {"PUT", "PATCH", "POST", "DELETE"}
"""That are counted by their names."""

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Gate:
    """Stands before `app`. `names`: what the server may be called, beside ``localhost`` and numeric addresses."""

    def __init__(self, app: ASGIApp, names: Iterable[str], traffic: Traffic) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names if name)}
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        assert scope["type"] == "http", "the server speaks nothing else"
        exit_ = _Exit(scope, send, self._traffic)
        try:
            self._check(scope)
            receive = await _whole_body(scope, receive)
        except Problem as problem:
            response = problems.answer(problem.status_code, str(problem.detail), {"Connection": "close"})
            await response(scope, receive, _lingering(receive, exit_.send))
            return
        await self._app(scope, receive, exit_.send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise Problem(
                421,
                f"this server is not called {', '.join(hosts)[:200]!r} (use one of its addresses, or one of "
                f"{', '.join(sorted(self._names))}; --http-name adds a name)",
            )
        for part in (scope["raw_path"], scope["query_string"]):
            if _BAD_ESCAPE.search(part) or not _is_utf8(part):
                raise Problem(400, "the address is not percent-encoded UTF-8 (encode % itself as %25)")
        if scope["method"] in SAFE:
            return
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin)[:2] != (scope["scheme"], hosts[0].lower()):
            raise Problem(403, f"pages of {origin[:200]!r} may change nothing here (send no Origin, or this server's)")

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header means this server. Any numeric address does: only names can be made to lead here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name.rstrip(".") in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _is_utf8(quoted: bytes) -> bool:
    try:
        unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return False
    return True


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """Read the body, if there is one. What gives it to the application; Problem if it is too large, or too slow."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if "transfer-encoding" not in headers and length == "0":
        return receive
    too_large = Problem(413, f"the body is too large (at most {MAX_BODY} bytes)")
    if int(length) > MAX_BODY:  # the parser has seen that it is a number
        raise too_large
    body = b""
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_BODY:
                    raise too_large
    except TimeoutError:
        raise Problem(408, f"the body did not come within {BODY_SECONDS:g} s (send it at once)") from None
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return rest.pop() if rest else await receive()

    return replay


def _lingering(receive: Receive, send: Send) -> Send:
    """Sends an answer whole, and ends it only when the client has no more to send.

    A connection that is closed over bytes that nobody has read is reset, and a reset may take the answer from the
    client before it has read it (RFC 9112, section 9.6).
    """

    async def send_and_wait(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_and_wait


class _Exit:
    """What answers go through: each carries the headers, and is counted."""

    def __init__(self, scope: Scope, send: Send, traffic: Traffic) -> None:
        self._method: str = scope["method"]
        self._send = send
        self._traffic = traffic

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            method = self._method if self._method in METHODS else "other"
            self._traffic.answers[method, message["status"]] += 1
        await self._send(message)
