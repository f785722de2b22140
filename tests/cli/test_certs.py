"""``pyronym certs``: the files, who can read them, and what it prints. That they are good for TLS, other tests show."""

from __future__ import annotations

import os
import shlex
import socket
import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509

from processes import PYRONYM, Completed, run

NAMES = ["ca.key", "ca.pem", "client.key", "client.pem", "server.key", "server.pem"]


def certs(*arguments: str | Path) -> Completed:
    return run([PYRONYM, "certs", *arguments])


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    assert certs(folder).status == 0
    assert sorted(os.listdir(folder)) == NAMES
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in NAMES}
    assert modes == {name: 0o600 if name.endswith(".key") else 0o644 for name in NAMES}


def test_the_server_has_a_name_for_each_host(tmp_path: Path) -> None:
    hosts = ["ns.lab.example", "192.0.2.7", "[2001:db8::7]", "*.lab.example", "bücher.example"]
    assert certs(tmp_path, *(part for host in hosts for part in ("--host", host))).status == 0
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in found] == [
        *("ns.lab.example", "192.0.2.7", "2001:db8::7", "*.lab.example", "xn--bcher-kva.example"),
        *("localhost", "127.0.0.1", "::1", socket.gethostname()),
    ]


def test_existing_files_stay_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    (tmp_path / "client.key").write_text("precious")
    (tmp_path / "client.key").chmod(0o644)
    refused = certs(tmp_path)
    assert (refused.status, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert f"{tmp_path}/client.key: exists (choose another folder, or replace with --force)" in refused.stderr
    assert os.listdir(tmp_path) == ["client.key"]
    assert (tmp_path / "client.key").read_text() == "precious"
    assert certs(tmp_path, "--force").status == 0
    assert "PRIVATE KEY" in (tmp_path / "client.key").read_text()
    assert stat.S_IMODE((tmp_path / "client.key").stat().st_mode) == 0o600


def test_it_prints_commands_that_work_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    lines = [line.strip() for line in certs(folder).stdout.splitlines()]
    (serve,) = (line for line in lines if line.startswith("pyronym serve "))
    exports = [word for line in lines if line.startswith("export ") for word in shlex.split(line)[1:]]
    (more,) = (line for line in lines if line.startswith("--tls-ca "))
    words = [*shlex.split(serve)[3::2], shlex.split(more)[1], *(word.partition("=")[2] for word in exports[1:])]
    assert {Path(word).name for word in words} == {*NAMES} - {"ca.key"}
    assert all(Path(word).exists() for word in words)


@pytest.mark.parametrize("host", ["", "two words", "host:80", "a" * 64])
def test_what_is_no_host_is_refused(host: str, tmp_path: Path) -> None:
    done = certs(tmp_path, "--host", host)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"invalid host: {host!r} (expected a host name or an address)" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = certs(tmp_path / "file" / "folder")
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Not a directory" in done.stderr


def test_it_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['cryptography'] = None; from pyronym.cli.main import main; main()"
    done = run([sys.executable, "-c", program, "certs", tmp_path])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "needs the library cryptography (install it: pip install 'pyronym[certs]')" in done.stderr
