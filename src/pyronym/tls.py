"""TLS: contexts made of the certificate files that the settings name, and plain words for what goes wrong with it.

Files are read again when they have changed, so that certificates can be renewed while a program runs.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

from pyronym.settings import Settings

MINIMUM_VERSION: Final = ssl.TLSVersion.TLSv1_2

log = logging.getLogger(__name__)


class ServerCertificates:
    """The certificate that a daemon shows to its clients, and the CAs whose clients it lets in.

    Raises ValueError, in one line that names the file and what to do, when the settings name none or it cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stamps = self._current_stamps()
        self._context = server_context(settings)

    def context(self) -> ssl.SSLContext:
        """The context for the next client. If files have changed it is a new one, unless they cannot be used: then the
        old one stays, and the log says why.
        """
        stamps = self._current_stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                # Not loaded into the old one: of a certificate and a key that do not match it would keep the first.
                self._context = server_context(self._settings)
            except ValueError as problem:
                log.error("the TLS files have changed, but the old ones stay in use: %s", problem)
            else:
                log.info("loaded the TLS certificate %s anew", self._settings.ssl_servercert)
        return self._context

    def _current_stamps(self) -> _Stamps:
        settings = self._settings
        return _stamps(settings.ssl_servercert, settings.ssl_serverkey, settings.ssl_cacerts)


def server_context(settings: Settings) -> ssl.SSLContext:
    """The context for a daemon. Raises as ServerCertificates.

    With SSL_CACERTS a certificate that a client shows must be from one of these; whether it must show one, another
    setting says.
    """
    if not settings.ssl_servercert:
        raise ValueError("TLS needs a certificate: set SSL_SERVERCERT to its file (`pyronym certs` makes one to try)")
    if settings.ssl_requireclientcert and not settings.ssl_cacerts:
        raise ValueError("SSL_REQUIRECLIENTCERT needs SSL_CACERTS: the file with the CA of the clients' certificates")
    context = _ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _ServerSide
    context.minimum_version = MINIMUM_VERSION
    _load_chain(context, "SERVER", settings.ssl_servercert, settings.ssl_serverkey, settings.ssl_serverkeypasswd)
    if settings.ssl_cacerts:
        _load_cas(context, settings.ssl_cacerts)
        context.verify_mode = ssl.CERT_REQUIRED if settings.ssl_requireclientcert else ssl.CERT_OPTIONAL
    return context


class HandshakeRefusedError(ssl.SSLError):
    """We have refused a client's handshake, because of `__cause__`. `alert`: the bytes that tell it."""

    def __init__(self, alert: bytes) -> None:
        super().__init__("handshake refused")
        self.alert = alert


class _ServerSide(ssl.SSLObject):
    """Saves the alert that a refused client must get. The loops would close the connection without sending it, and the
    client would not know why.
    """

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            raise
        except ssl.SSLError as problem:
            raise HandshakeRefusedError(self.outgoing.read()) from problem


class _ServerContext(ssl.SSLContext):
    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **how: Any) -> ssl.SSLObject:
        wrapped = cast(_ServerSide, super().wrap_bio(incoming, outgoing, *args, **how))
        wrapped.outgoing = outgoing
        return wrapped


def client_context(settings: Settings) -> ssl.SSLContext:
    """The context for connecting to daemons, whose certificate must name the host of their URI and be from a trusted
    CA. Raises ValueError, in one line that names the file and what to do, when a file cannot be used.
    """
    cas, certificate, key = settings.ssl_cacerts, settings.ssl_clientcert, settings.ssl_clientkey
    return _client_context(cas, certificate, key, settings.ssl_clientkeypasswd, _stamps(cas, certificate, key))


@lru_cache(maxsize=8)  # a connection takes 2 ms, reading the system's CAs for its context 20
def _client_context(cas: str, certificate: str, key: str, password: str, _: _Stamps) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which checks certificates and host names
    context.minimum_version = MINIMUM_VERSION
    if cas:
        _load_cas(context, cas)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate:
        _load_chain(context, "CLIENT", certificate, key, password)
    return context


_Stamps = tuple[tuple[int, int, int] | None, ...]
"""By which files are known to have changed: their inode, size, and time of change."""


def _stamps(*paths: str) -> _Stamps:
    return tuple(map(_stamp, paths))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _load_chain(context: ssl.SSLContext, side: str, certificate: str, key: str, password: str) -> None:
    certificate_item, key_item = f"SSL_{side}CERT", f"SSL_{side}KEY" if key else f"SSL_{side}CERT"
    key = key or certificate
    _check(certificate_item, certificate, b"-----BEGIN CERTIFICATE-----", "a certificate")
    _check(key_item, key, b"PRIVATE KEY-----", "a private key")

    def given_password() -> str:  # without it OpenSSL would ask at the terminal
        if not password:
            raise _unusable(key_item, key, f"the key is encrypted; set SSL_{side}KEYPASSWD to its password")
        return password

    try:
        context.load_cert_chain(certificate, key, given_password)
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            words = f"it is not the key of the certificate {certificate} ({certificate_item}); use the one made with it"
        elif password and b"ENCRYPTED" in _content(key_item, key):
            words = f"it cannot be decrypted; SSL_{side}KEYPASSWD must be its password"
        else:
            words = f"it or the certificate {certificate} is damaged ({problem.reason or problem})"
        raise _unusable(key_item, key, words) from None
    except OSError as problem:  # it has gone since
        raise _unusable(key_item, key, f"{problem.strerror}; it must stay while it is read") from None


def _load_cas(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        context.load_verify_locations(capath=path)
        return
    _check("SSL_CACERTS", path, b"-----BEGIN CERTIFICATE-----", "a certificate")
    try:
        context.load_verify_locations(cafile=path)
    except OSError as problem:
        raise _unusable("SSL_CACERTS", path, f"it is damaged ({problem}); get it anew") from None


def _check(item: str, path: str, mark: bytes, what: str) -> None:
    """OpenSSL does not say which of the files it cannot use, so it is given only such as it can."""
    if mark not in _content(item, path):
        raise _unusable(item, path, f"it holds no {what.partition(' ')[2]} (expected {what} in PEM form)")


def _content(item: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as problem:
        cure = "correct the path, or make certificates with `pyronym certs`"
        if isinstance(problem, PermissionError):
            cure = "let the user that runs this program read it"
        raise _unusable(item, path, f"{problem.strerror}; {cure}") from None


def _unusable(item: str, path: str, why: str) -> ValueError:
    return ValueError(f"cannot use {path} for {item}: {why}")


_ADVICE: Final = {
    "WRONG_VERSION_NUMBER": "the other side does not speak TLS here",
    "HTTP_REQUEST": "the other side speaks HTTP",
    "UNSUPPORTED_PROTOCOL": "the other side knows no version of TLS from 1.2 on",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the other side wants another version of TLS than 1.2 or newer",
    "NO_SHARED_CIPHER": "both sides have no cipher in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no client certificate; its SSL_CLIENTCERT must be set",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the other side wants a client certificate; set SSL_CLIENTCERT",
    "TLSV1_ALERT_UNKNOWN_CA": "the other side does not trust the CA of our certificate; its SSL_CACERTS must hold that",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the other side does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has expired; renew it",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the other side refused; it may want a client certificate (SSL_CLIENTCERT)",
}

_EXPIRED: Final = 10
_UNTRUSTED: Final = frozenset([18, 19, 20, 21])
"""Verification codes of OpenSSL: self-signed, or nobody who is trusted has issued it."""


def explained(problem: OSError) -> str:
    """What happened, in one line, with what to do about it where that is known."""
    if isinstance(problem, HandshakeRefusedError) and isinstance(problem.__cause__, OSError):
        problem = problem.__cause__
    if isinstance(problem, ssl.SSLCertVerificationError):
        words = f"the certificate of the other side is refused: {problem.verify_message.rstrip('.')}"
        if problem.verify_code in _UNTRUSTED:
            return f"{words} (SSL_CACERTS must hold the CA that issued it)"
        return f"{words} (it must be renewed)" if problem.verify_code == _EXPIRED else words
    if isinstance(problem, ssl.SSLEOFError):
        return "the other side closed the connection during the TLS handshake (does it speak TLS, and trust us?)"
    if isinstance(problem, ssl.SSLError) and problem.reason:
        advice = _ADVICE.get(problem.reason)
        return f"TLS: {problem.reason.lower().replace('_', ' ')}" + (f" ({advice})" if advice else "")
    return str(problem)


_SHORT: Final = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}


def subject_of(certificate: Mapping[str, Any] | None) -> str | None:
    """Whom a certificate names, as RFC 4514 writes it and ``openssl x509 -nameopt RFC2253`` does: ``CN=alice,O=Lab``.

    `certificate` is what ``getpeercert()`` gives; None or an empty one, of a peer that showed none, gives None.
    """
    if not certificate:
        return None
    return ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in names)
        for names in reversed(certificate.get("subject", ()))
    )


def _escaped(value: str) -> str:
    """So that no value can look like another name: ``alice,O=Lab`` as one becomes ``alice\\,O=Lab``."""
    last = len(value) - 1
    return "".join(
        f"\\{character}"
        if character in '\\,+"<>;' or (character == " " and place in (0, last)) or (character == "#" and place == 0)
        else f"\\{ord(character):02X}"
        if ord(character) < 32 or character == "\x7f"
        else character
        for place, character in enumerate(value)
    )
