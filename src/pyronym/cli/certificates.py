"""Certificates for development: a CA of one's own, and what it issues to a server and to clients.

Made with the library ``cryptography`` (``pyronym[certs]``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SLACK = timedelta(hours=1)
"""Certificates are valid from so long before now on: clocks differ."""

ORGANIZATION = "pyronym development"


class Issued(NamedTuple):
    """A certificate and its private key, both in PEM form; the key is not encrypted."""

    certificate: bytes
    key: bytes


class Authority:
    """A new CA, whose certificates are valid from `now`, a moment in UTC, for `days`."""

    def __init__(self, now: datetime, days: int) -> None:
        self._begin, self._end = now - CLOCK_SLACK, now + timedelta(days=days)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("pyronym development CA")
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.issued = self._sign(builder.add_extension(usage, critical=True), self._key)

    def server(self, hosts: Sequence[str]) -> Issued:
        """A certificate for a server that is reached by any of `hosts`: names and addresses. ValueError for what is
        neither.
        """
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        return self._issue(hosts[0][:64], ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, name: str) -> Issued:
        """A certificate for a client, whom it names `name`."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(self, name: str, purpose: x509.ObjectIdentifier, *extensions: x509.ExtensionType) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return self._sign(builder, key)

    def _builder(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(
                self._name, subject, public_key, x509.random_serial_number(), self._begin, self._end
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(ours, critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Issued:
        certificate = builder.sign(self._key, hashes.SHA256())
        plain = serialization.NoEncryption()
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(**what: bool) -> x509.KeyUsage:
    nothing = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**nothing, **what})


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        if not host or any(character in host for character in " :/@,"):
            raise ValueError
        return x509.DNSName(host.encode("idna").decode("ascii"))
    except ValueError:  # UnicodeError is one
        raise ValueError(f"invalid host: {host!r} (expected a host name or an address)") from None
