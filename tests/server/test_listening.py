from __future__ import annotations

import errno
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from pyronym.server.listening import SocketFile, listen_tcp, listen_unix, open_socket, unusable
from pyronym.settings import Settings

SETTINGS = Settings()


def address_is_free(sock: socket.socket) -> bool:
    try:
        with socket.socket(sock.family) as other:
            other.bind(sock.getsockname())
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "family", "bound"),
    [
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("localhost", socket.AF_INET, "127.0.0.1"),
        ("", socket.AF_INET, "0.0.0.0"),
        ("0.0.0.0", socket.AF_INET, "0.0.0.0"),
        ("::1", socket.AF_INET6, "::1"),
        ("::", socket.AF_INET6, "::"),
    ],
)
def test_hosts_of_every_form_are_listened_on(host: str, family: int, bound: str) -> None:
    with listen_tcp(host, 0, SETTINGS) as sock:
        assert sock.family == family
        assert sock.getsockname()[0] == bound
        target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)
        with socket.create_connection((target, sock.getsockname()[1]), timeout=5):
            pass


def test_a_port_in_use_is_named_with_the_system_s_own_error_number() -> None:
    with listen_tcp("127.0.0.1", 0, SETTINGS) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*another program") as failure:
            listen_tcp("127.0.0.1", port, SETTINGS)
    assert failure.value.errno == errno.EADDRINUSE


def test_a_port_can_be_used_again_right_after_its_connections() -> None:
    with listen_tcp("127.0.0.1", 0, SETTINGS) as sock:
        address = sock.getsockname()
        client = socket.create_connection(address, timeout=5)
        accepted, _ = sock.accept()
        accepted.close()  # closing first leaves the port in TIME_WAIT
        client.close()
    listen_tcp(*address, SETTINGS).close()


def test_without_sock_reuse_the_option_is_not_set() -> None:
    with listen_tcp("127.0.0.1", 0, replace(SETTINGS, sock_reuse=False)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:0: .*no such address") as failure:
        listen_tcp("192.0.2.1", 0, SETTINGS)
    assert failure.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 300])
def test_an_unknown_host_is_an_error_of_the_resolver(host: str) -> None:
    with pytest.raises(socket.gaierror, match="cannot listen on "):
        listen_tcp(host, 0, SETTINGS)


@pytest.mark.parametrize("port", [-1, 65536, "80", None, 1.5])
def test_an_impossible_port_is_a_value_error(port: int) -> None:
    with pytest.raises(ValueError, match=r"invalid port: .*0 to 65535"):
        open_socket("127.0.0.1", port, socket.SOCK_STREAM, SETTINGS)


def test_the_preferred_ip_version_decides_where_a_name_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: list(both))
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6), (0, socket.AF_INET6)):
        with listen_tcp("both", 0, replace(SETTINGS, prefer_ip_version=version)) as sock:
            assert sock.family == family


@pytest.mark.parametrize(("number", "kind"), [(errno.EACCES, PermissionError), (errno.ENOENT, FileNotFoundError)])
def test_an_error_keeps_its_number_its_class_and_its_cause(number: int, kind: type[OSError]) -> None:
    problem = unusable("somewhere", OSError(number, "words"))
    assert type(problem) is kind
    assert problem.errno == number
    assert "cannot listen on somewhere: words (" in str(problem)


def test_a_unix_socket_file_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen_unix(str(path)):
        SocketFile(str(path)).remove()
        assert not path.exists()


def test_a_relative_socket_file_is_found_again_after_a_change_of_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with listen_unix("socket"):
        file = SocketFile("socket")
        monkeypatch.chdir("/")
        file.remove()
    assert not (tmp_path / "socket").exists()


def test_the_socket_file_of_a_successor_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listen_unix(path):
        file = SocketFile(path)
        os.unlink(path)
        with listen_unix(path):
            file.remove()
            assert os.path.exists(path)


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listen_unix(path).close()
    assert os.path.exists(path)
    with listen_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("crowded", [False, True], ids=["idle", "with a full queue"])
def test_a_unix_socket_that_somebody_listens_to_is_not_taken(tmp_path: Path, crowded: bool) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as owner:
        owner.bind(path)
        owner.listen(0)
        clients: list[socket.socket] = []
        while crowded:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            if clients[-1].connect_ex(path):
                break
        with pytest.raises(OSError, match=f"cannot listen on {path}: .*another program") as failure:
            listen_unix(path)
        assert failure.value.errno == errno.EADDRINUSE
        owner.settimeout(5)
        for client in clients:
            client.close()


def test_a_file_that_is_no_socket_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="cannot listen on ") as failure:
        listen_unix(str(path))
    assert failure.value.errno == errno.EADDRINUSE
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_refused_with_its_limit() -> None:
    with pytest.raises(OSError, match="longer than 107 bytes") as failure:
        listen_unix("/tmp/" + "ä" * 60)
    assert failure.value.errno == errno.ENAMETOOLONG


def test_a_path_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder does not exist"):
        listen_unix(str(tmp_path / "missing" / "socket"))


@pytest.mark.parametrize("path", ["a:b", ""])
def test_a_path_that_no_uri_can_hold_is_a_value_error(path: str) -> None:
    with pytest.raises(ValueError, match="invalid unix socket path"):
        listen_unix(path)
