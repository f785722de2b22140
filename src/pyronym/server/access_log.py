"""The access log: one line for each call, by the logger ``pyronym.access`` at level INFO."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import Any, Final

from pyronym.rpc.call import Call
from pyronym.rpc.hosting import Peer
from pyronym.server.addresses import location
from pyronym.wire.message import PYRO4

MAX_TEXT: Final = 500
"""Characters of what a stranger calls something that a line has room for."""

log = logging.getLogger("pyronym.access")


def noted(call: Call, peer: Peer) -> Generator[Any, Any, None]:
    """Performs a call as `Call.run` does, and then notes it: who, what, how it ended, and how many seconds that took.

    The calls of a batch are one line, which says how many they are. `name` is the first argument where that is a text:
    nearly always what the call is about.
    """
    began = time.monotonic()
    yield from call.run()
    seconds = time.monotonic() - began
    method, name = _subject(call)
    fields = {
        "peer": _peer(peer),
        "protocol": "pyro4" if peer.protocol == PYRO4 else "pyro5",
        "method": method,
        "name": name,
        "result": call.result,
        "seconds": round(seconds, 6),
    }
    words = f"{fields['peer']} {fields['protocol']} {_harmless(method)} {_harmless(name)} {call.result} {seconds:.6f} s"
    log.info(words, extra={"fields": fields})


def _subject(call: Call) -> tuple[str | None, str | None]:
    """What was called, and its first argument; None for what is not known."""
    if not call.steps:
        return None, None
    if len(call.steps) > 1:
        return f"batch of {len(call.steps)}", None
    method, args, kwargs = call.steps[0]
    name = args[0] if args else kwargs.get("name")
    return method[:MAX_TEXT], name[:MAX_TEXT] if isinstance(name, str) else None


def _peer(peer: Peer) -> str:
    if isinstance(peer.remote, tuple):
        return location(*peer.remote)
    return f"unix:{peer.unix_user}"


def _harmless(text: str | None) -> str:
    """In one word, without anything that could end the line."""
    if text is None:
        return "-"
    return text if text.isprintable() and " " not in text and text != "-" else ascii(text)
