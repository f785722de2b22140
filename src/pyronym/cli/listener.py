"""What listens where a name server should be: found out by talking to it in all the ways that there are."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pyronym.cli.finding import Finding, Level
from pyronym.client.blocking import BLOCKING
from pyronym.client.connection import open_connection
from pyronym.client.deadline import Deadline
from pyronym.client.dialing import dial
from pyronym.client.network import run
from pyronym.errors import CommunicationError, ProtocolError, PyroError, SecurityError, TimeoutError
from pyronym.settings import Settings
from pyronym.tls import explained
from pyronym.uri import DAEMON_NAME, URI
from pyronym.wire.message import PYRO4, PYRO5

ANSWER_SECONDS: Final = 1.0
"""How long something unknown may take to say what it is."""

_PROTOCOLS: Final = {PYRO4: "Pyro4", PYRO5: "Pyro5"}
_TOUCH: Final = b"GET / HTTP/1.0\r\n\r\n"
_BEGINNING: Final = 16
"""Bytes by which services are known."""


@dataclass(frozen=True)
class Way:
    """A way to talk to the object at a URI. Without a protocol (PYRO4 or PYRO5), in the one that it answers in."""

    uri: URI
    settings: Settings
    key: bytes | None
    protocol: int | None = None

    def problem(self) -> PyroError | None:
        """Why it cannot be talked to in this way; None if it can."""
        deadline = Deadline(self.settings.locate_timeout)
        try:
            run(
                open_connection(BLOCKING, self.uri, self.settings, deadline, protocol=self.protocol, hmac_key=self.key)
            ).close()
        except PyroError as problem:
            return problem
        return None

    def dial(self) -> None:
        """Connect and say nothing. CommunicationError, by an OSError or ValueError, if nobody can be reached."""
        plain = replace(self.settings, ssl=False)
        run(dial(BLOCKING, self.uri, plain, Deadline(self.settings.locate_timeout))).close()


def findings(way: Way) -> Iterator[Finding]:
    """What there is at the place of a name server. If one is an error, it is the last, and nobody can be talked to."""
    place = way.uri.location
    try:
        way.dial()
    except CommunicationError as failure:
        yield _unreachable(str(place), failure)
        return
    yield Finding(Level.OK, "port", f"{place} takes connections")
    if problem := way.problem():
        yield _diagnosis(way, problem)
        return
    spoken = [name for protocol, name in _PROTOCOLS.items() if replace(way, protocol=protocol).problem() is None]
    protected = [word for word, used in (("TLS", way.settings.ssl), ("an HMAC key", way.key)) if used]
    with_what = f", with {' and '.join(protected)}" if protected else ""
    yield Finding(Level.OK, "protocol", f"the name server at {place} speaks {' and '.join(spoken)}{with_what}")


def _unreachable(place: str, problem: CommunicationError) -> Finding:
    match problem.__cause__:
        case socket.gaierror() | UnicodeError():
            cure = "correct the host, or have it in the DNS or in /etc/hosts of this machine"
            return Finding(Level.ERROR, "host", f"{place}: there is no such host ({problem.__cause__})", cure)
        case ConnectionRefusedError() | FileNotFoundError():
            cure = (
                "start it, or correct host and port; one that was started for localhost is found on its own machine "
                "only: start it with -n 0.0.0.0 or the address of a network"
            )
            return Finding(Level.ERROR, "port", f"{place}: nothing listens there", cure)
    if isinstance(problem, TimeoutError):
        cure = "start that machine, or have firewalls on the way let the port pass"
        return Finding(Level.ERROR, "port", f"{place}: no answer at all, as from a machine that is off", cure)
    return Finding(Level.ERROR, "port", str(problem), "see to the network of this machine")


def _diagnosis(way: Way, problem: PyroError) -> Finding:
    """Why nobody talks to us, where connections are taken."""
    place = str(way.uri.location)
    if found := _tls_trouble(way, place, problem):
        return found
    if isinstance(problem, SecurityError):
        return _key_trouble(way, place)
    if isinstance(problem, ProtocolError | TimeoutError):
        return _stranger(way, place)
    if replace(way, uri=URI(f"PYRO:{DAEMON_NAME}@{place}")).problem() is None:
        cure = "correct the port: that is one of a program which offers objects"
        return Finding(Level.ERROR, "protocol", f"{place} is a Pyro daemon, but not that of a name server", cure)
    return Finding(Level.ERROR, "protocol", f"{place} refuses us: {problem}", "see what its log says about it")


def _tls_trouble(way: Way, place: str, problem: PyroError) -> Finding | None:
    """What is wrong with TLS, if that is what is wrong."""
    if way.uri.sockname or (way.settings.ssl and not isinstance(problem.__cause__, ssl.SSLError)):
        return None
    if not _speaks_tls(way):
        if not way.settings.ssl:
            return None
        cure = "leave out --tls and its files, and PYRO_SSL"
        return Finding(Level.ERROR, "tls", f"{place} does not speak TLS, and we do", cure)
    if not way.settings.ssl:
        cure = (
            "give --tls, and --tls-ca FILE with the CA of its certificate (programs: PYRO_SSL=1, PYRO_SSL_CACERTS=FILE)"
        )
        return Finding(Level.ERROR, "tls", f"{place} speaks TLS, and we do not", cure)
    assert isinstance(problem.__cause__, ssl.SSLError), "seen above"
    cure = (
        "--tls-ca FILE says whom to trust, --tls-cert FILE who we are; --ns must have a name that its certificate has"
    )
    return Finding(Level.ERROR, "tls", f"{place}: {explained(problem.__cause__)}", cure)


def _speaks_tls(way: Way) -> bool:
    """Whether a handshake is made, or refused in the words of TLS. It tells nothing, and trusts nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((way.uri.host or "", way.uri.port or 0), ANSWER_SECONDS) as sock,
            context.wrap_socket(sock),
        ):
            return True
    except ssl.SSLError as problem:
        return "ALERT" in (problem.reason or "")
    except OSError:
        return False


def _key_trouble(way: Way, place: str) -> Finding:
    if way.key is None:
        cure = "set PYRO_HMAC_KEY to its key (only Pyro4 programs have keys)"
        return Finding(Level.ERROR, "hmac", f"{place} wants an HMAC key, and we have none", cure)
    if replace(way, key=None).problem() is None:
        cure = "unset PYRO_HMAC_KEY and leave out -k, or start it with that key"
        return Finding(Level.ERROR, "hmac", f"{place} has no HMAC key, and we have one", cure)
    cure = "set PYRO_HMAC_KEY to its key"
    return Finding(Level.ERROR, "hmac", f"{place} has another HMAC key than we", cure)


def _stranger(way: Way, place: str) -> Finding:
    """Something that is no Pyro daemon, or one that hangs."""
    said = _said(way.uri)
    if said.startswith(b"HTTP/"):
        cure = "give the port of the name server, not that of a web server or of its own HTTP side (--http)"
        return Finding(Level.ERROR, "protocol", f"{place} speaks HTTP: it is no name server", cure)
    if said:
        cure = "correct the port; something else has it"
        return Finding(Level.ERROR, "protocol", f"{place} is no Pyro daemon: it says {said!r}", cure)
    cure = "correct the port if something else has it; a name server that is stopped or hangs has to be started anew"
    return Finding(Level.ERROR, "protocol", f"{place} takes connections and says nothing", cure)


def _said(uri: URI) -> bytes:
    """The first that is said there, to nobody in particular or as an answer to HTTP."""
    try:
        with (
            socket.socket(socket.AF_UNIX)
            if uri.sockname
            else socket.create_connection((uri.host or "", uri.port or 0), ANSWER_SECONDS) as sock
        ):
            if uri.sockname:
                sock.connect(uri.sockname)
            sock.settimeout(ANSWER_SECONDS)
            sock.sendall(_TOUCH)
            return sock.recv(_BEGINNING)
    except OSError:
        return b""
