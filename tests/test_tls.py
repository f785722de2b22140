"""TLS contexts, and the words for files and handshakes that are no good."""

from __future__ import annotations

import logging
import os
import re
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from processes import run
from pyronym.settings import Settings
from pyronym.tls import HandshakeRefusedError, ServerCertificates, client_context, explained, server_context, subject_of
from tls_files import Certificates, authority, issued, make

PASSWORD = "open sesame"


def encrypted(path: str, to: Path) -> str:
    """A copy of a key that needs the PASSWORD."""
    key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    to.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSWORD.encode()),
        )
    )
    return str(to)


@pytest.fixture
def files(certificates: Certificates, tmp_path: Path) -> dict[str, str]:
    """Files of which most are no good, by what is the matter with them."""
    (tmp_path / "empty").write_text("")
    (tmp_path / "damaged").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "damaged key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    return {
        "missing": str(tmp_path / "missing"),
        "empty": str(tmp_path / "empty"),
        "folder": str(tmp_path),
        "damaged": str(tmp_path / "damaged"),
        "damaged key": str(tmp_path / "damaged key"),
        "other key": certificates.path("client.key"),
        "key": certificates.path("server.key"),
        "encrypted": encrypted(certificates.path("server.key"), tmp_path / "encrypted"),
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ssl_servercert": "missing"}, "for SSL_SERVERCERT: No such file or directory; correct the path, or make"),
        ({"ssl_servercert": "folder"}, "for SSL_SERVERCERT: Is a directory; correct the path, or make"),
        (
            {"ssl_servercert": "empty"},
            "for SSL_SERVERCERT: it holds no certificate (expected a certificate in PEM",
        ),
        ({"ssl_servercert": "key"}, "for SSL_SERVERCERT: it holds no certificate (expected a certificate in PEM"),
        ({"ssl_servercert": "damaged"}, "is damaged"),
        ({"ssl_serverkey": "missing"}, "for SSL_SERVERKEY: No such file or directory; correct the path, or make"),
        ({"ssl_serverkey": "empty"}, "for SSL_SERVERKEY: it holds no private key (expected a private key in PEM form)"),
        ({"ssl_serverkey": "damaged key"}, "is damaged"),
        ({"ssl_serverkey": "other key"}, "for SSL_SERVERKEY: it is not the key of the certificate"),
        ({"ssl_serverkey": "encrypted"}, "for SSL_SERVERKEY: the key is encrypted; set SSL_SERVERKEYPASSWD"),
        (
            {"ssl_serverkey": "encrypted", "ssl_serverkeypasswd": "not this"},
            "for SSL_SERVERKEY: it cannot be decrypted; SSL_SERVERKEYPASSWD must be its password",
        ),
        ({"ssl_cacerts": "missing"}, "for SSL_CACERTS: No such file or directory"),
        ({"ssl_cacerts": "damaged"}, "for SSL_CACERTS: it is damaged"),
        ({"ssl_cacerts": "key"}, "for SSL_CACERTS: it holds no certificate"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_file_that_is_no_good_is_named_with_what_to_do(
    changes: dict[str, str], words: str, certificates: Certificates, files: dict[str, str]
) -> None:
    settings = certificates.server(**{item: files.get(value, value) for item, value in changes.items()})
    with pytest.raises(ValueError, match="cannot use") as caught:
        server_context(settings)
    message = str(caught.value)
    assert words in message
    assert files[next(iter(changes.values()))] in message
    assert "\n" not in message
    assert "not this" not in message


def test_a_file_that_may_not_be_read_is_named(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, mode: str) -> None:  # root, who may run the tests, may read everything
        raise PermissionError(13, os.strerror(13), path)

    monkeypatch.setattr("pyronym.tls.open", refuse, raising=False)
    with pytest.raises(ValueError, match="Permission denied; let the user that runs this program read it"):
        server_context(certificates.server())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(ssl=True), "TLS needs a certificate: set SSL_SERVERCERT to its file"),
        (
            Settings(ssl=True, ssl_servercert="x", ssl_requireclientcert=True),
            "SSL_REQUIRECLIENTCERT needs SSL_CACERTS",
        ),
    ],
)
def test_settings_that_do_not_suffice_are_refused(settings: Settings, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        server_context(settings)


def test_a_client_hears_of_its_own_files(certificates: Certificates, files: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="for SSL_CLIENTKEY: it is not the key of the certificate"):
        client_context(certificates.client(ssl_clientkey=files["key"]))
    with pytest.raises(ValueError, match="for SSL_CLIENTCERT: No such file"):
        client_context(certificates.client(ssl_clientcert=files["missing"]))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> None:
    """Let both shake hands, or raise what the first of them raises that is not content."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    pending = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    assert not pending


def test_an_encrypted_key_is_used_with_its_password(certificates: Certificates, tmp_path: Path) -> None:
    key = encrypted(certificates.path("server.key"), tmp_path / "key")
    settings = certificates.server(ssl_serverkey=key, ssl_serverkeypasswd=PASSWORD)
    handshake(server_context(settings), client_context(certificates.nameless()))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_certificate_and_key_can_be_in_one_file_and_cas_in_a_folder(certificates: Certificates, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(Path(certificates.path(f"server.{kind}")).read_bytes() for kind in ("pem", "key")))
    folder = tmp_path / "cas"
    folder.mkdir()
    # OpenSSL looks for a CA under the hash of its name, which only its command tells.
    command = ["openssl", "x509", "-noout", "-hash", "-in", certificates.path("ca.pem")]
    shutil.copy(certificates.path("ca.pem"), folder / f"{run(command).stdout.strip()}.0")
    settings = certificates.server(ssl_servercert=str(both), ssl_serverkey="", ssl_cacerts=str(folder))
    handshake(server_context(settings), client_context(certificates.client(ssl_cacerts=str(folder))))


def test_old_versions_of_tls_are_refused(certificates: Certificates) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificates.path("ca.pem"))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(HandshakeRefusedError) as caught:
        handshake(server_context(certificates.server()), old)
    assert explained(caught.value) == "TLS: unsupported protocol (the other side knows no version of TLS from 1.2 on)"
    assert caught.value.alert.startswith(b"\x15\x03")


@pytest.mark.parametrize(
    ("host", "ca", "year", "words"),
    [
        ("localhost", "stranger", None, "refused: self-signed|refused: unable to get local issuer certificate"),
        ("elsewhere.example", "own", None, "refused: Hostname mismatch"),
        ("192.0.2.1", "own", None, "refused: IP address mismatch"),
        ("localhost", "own", 2020, r"refused: certificate has expired \(it must be renewed\)"),
    ],
    ids=["stranger", "host", "address", "expired"],
)
def test_a_client_accepts_only_a_certificate_of_its_ca_for_the_host_in_the_uri(
    host: str, ca: str, year: int | None, words: str, tmp_path: Path
) -> None:
    own, stranger = authority(year), authority(year)
    cas = {"own": issued(tmp_path, "own", own.issued), "stranger": issued(tmp_path, "stranger", stranger.issued)}
    server = issued(tmp_path, "server", own.server(["localhost", "127.0.0.1"]))
    context = server_context(Settings(ssl_servercert=server["cert"], ssl_serverkey=server["key"]))
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        handshake(context, client_context(Settings(ssl_cacerts=cas[ca]["cert"])), host)
    assert re.search(words, explained(caught.value))


def test_only_the_cas_of_the_settings_are_trusted_if_there_are_any(certificates: Certificates) -> None:
    assert len(client_context(certificates.nameless()).get_ca_certs()) == 1
    of_the_system = ssl.create_default_context().cert_store_stats()
    assert client_context(Settings(ssl=True)).cert_store_stats() == of_the_system


def test_a_clients_files_are_read_again_when_they_have_changed(tmp_path: Path) -> None:
    old, new = make(tmp_path / "old"), make(tmp_path / "new")
    before = client_context(old.client())
    assert client_context(old.client()) is before
    for name in ("ca.pem", "client.pem", "client.key"):
        shutil.copy(new.folder / name, old.folder / name)
    handshake(server_context(new.server(ssl_requireclientcert=True)), client_context(old.client()))


def test_a_servers_files_are_read_again_when_they_have_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    used, new = make(tmp_path / "used"), make(tmp_path / "new")
    certificates = ServerCertificates(replace(used.server(), ssl_serverkeypasswd="secret"))
    first = certificates.context()
    shutil.copy(new.folder / "server.pem", used.folder / "server.pem")
    assert certificates.context() is first
    assert certificates.context() is first  # and says so once
    shutil.copy(new.folder / "server.key", used.folder / "server.key")
    handshake(certificates.context(), client_context(new.nameless()))
    os.unlink(used.folder / "server.key")
    handshake(certificates.context(), client_context(new.nameless()))
    words = [record.getMessage() for record in caplog.records]
    assert ["key of the certificate" in words[0], "anew" in words[1], "No such file" in words[2]] == [True] * 3
    assert len(words) == 3
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ([[("commonName", "alice")]], "CN=alice"),
        ([[("organizationName", "Lab")], [("commonName", "alice")]], "CN=alice,O=Lab"),
        ([[("commonName", "a"), ("userId", "7")]], "CN=a+UID=7"),
        ([[("commonName", "alice,O=Lab")]], "CN=alice\\,O=Lab"),
        ([[("commonName", "#x+y")]], "CN=\\#x\\+y"),
        ([[("commonName", " a\\b ")]], "CN=\\ a\\\\b\\ "),
        ([[("commonName", "two\nlines\0")]], "CN=two\\0Alines\\00"),
        ([[("emailAddress", "a@b")]], "emailAddress=a@b"),
        ([], ""),
    ],
)
def test_a_subject_is_written_so_that_no_other_looks_like_it(subject: list, expected: str) -> None:
    assert subject_of({"subject": subject, "version": 3}) == expected


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_certificate_has_no_subject(nothing: dict | None) -> None:
    assert subject_of(nothing) is None
