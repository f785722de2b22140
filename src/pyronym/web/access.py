"""Who an HTTP client is, and what it may do: the same as on the wire."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request

from pyronym.rpc.hosting import Peer
from pyronym.server.addresses import unmapped
from pyronym.server.nameserver import NameServerDaemon
from pyronym.service.guard import Guard
from pyronym.service.permissions import Client
from pyronym.web.problems import Problem

CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="pyronym"'}

_documented = HTTPBearer(auto_error=False, description="A token of the file that the server was given.")


class Doorman:
    """Knows the clients of the HTTP side of `daemon`. `tokens`: token -> name; None: clients need none.

    Where there are tokens, a client must show one, or a certificate.
    """

    def __init__(self, daemon: NameServerDaemon, tokens: Mapping[str, str] | None) -> None:
        self.daemon = daemon
        self.tokens = tokens
        """May be changed at any time."""

    def guard(self, request: Request) -> Guard:
        """The name service as the client may use it. Problem if the client does not prove who it is."""
        subject = request.scope.get("tls_subject")
        token_name = self._token_name(request)
        if self.tokens is not None and token_name is None and subject is None:
            raise Problem(401, "this server wants a token (send Authorization: Bearer TOKEN)", CHALLENGE)
        host, port = request.scope["client"]
        host = unmapped(host)
        client = Client(tls_subject=subject, host=host, token_name=token_name)
        return self.daemon.guard_for(client, Peer(0, (here(request), request.scope["server"][1]), (host, port)))

    def _token_name(self, request: Request) -> str | None:
        """The name of the token that a client shows; None: it shows none, or none is wanted."""
        shown = request.headers.get("authorization")
        if self.tokens is None or shown is None:
            return None
        scheme, _, token = shown.partition(" ")
        found = None
        if scheme.lower() == "bearer":
            for secret, name in self.tokens.items():  # all of them, so that the time says nothing
                if hmac.compare_digest(token.strip().encode(), secret.encode()):
                    found = name
        if found is None:
            raise Problem(401, "the token is none of this server's (ask whoever runs it for one)", CHALLENGE)
        return found


async def _guard(request: Request, _: Annotated[object, Depends(_documented)]) -> Guard:
    doorman: Doorman = request.app.state.doorman
    return doorman.guard(request)


Asking = Annotated[Guard, Depends(_guard)]
"""The name service as the client that asks may use it."""


async def _json_only(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, f"the body is {media_type[:100]!r} (expected Content-Type: application/json)")


JSON_ONLY: Final = Depends(_json_only)
"""For what has a body. A form of a stranger's page is sent without asking, JSON is not."""


def here(request: Request) -> str:
    """The address at which a client has reached this server."""
    address: str = request.scope["server"][0]
    return unmapped(address)
