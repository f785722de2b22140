"""The log of the serve command, and what SIGHUP does."""

import json
import re
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from processes import PYRONYM, NameServer, NameServers, Process, run
from pyronym.cli.items import ITEMS
from pyronym.client.batch import batch
from pyronym.client.locate import locate
from pyronym.client.proxy import Proxy
from pyronym.errors import NameServerNotFoundError, NamingError, PyroError
from pyronym.server.daemon import CHANGEABLE
from pyronym.settings import Settings


def at(server: NameServer, key: str | None = None) -> Proxy:
    return locate(server.host, server.port, hmac_key=key, settings=Settings())


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def reload(server: NameServer) -> str:
    """What the server says to SIGHUP, in one line."""
    before = len(server.process.lines)
    server.process.signal(signal.SIGHUP)
    return server.process.wait_for_line("SIGHUP: .*", since=before)[0]


def test_json_lines_have_the_same_fields_and_those_of_their_event(serve: NameServers, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = serve("--log-format", "json", "--log-level", "debug", "--log-file", str(log))
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(100))
        while client.recv(1000):
            pass
    assert server.process.terminate() == 0
    lines = events(log)
    assert all(list(line)[:4] == ["ts", "level", "logger", "event"] for line in lines)
    assert all(line["ts"].endswith("+00:00") for line in lines)
    (offence,) = [line for line in lines if "offence" in line]
    assert (offence["level"], offence["logger"]) == ("WARNING", "pyronym.server.clients")
    assert (offence["client"], offence["offence"]) == ("127.0.0.1", "broken message")


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_access_log_has_a_line_for_each_call(serve: NameServers, tmp_path: Path, form: str) -> None:
    log = tmp_path / "log"
    storage = f"sql:{tmp_path}/names.sqlite"
    server = serve("--access-log", "--log-format", form, "--log-file", str(log), storage=storage)
    with at(server) as nameserver:
        nameserver.register("a b\nc", "PYRO:a@h:1")
        nameserver.lookup("a b\nc")
        nameserver.register("plain", "PYRO:a@h:1")
        nameserver.lookup("plain")  # which would be answered straight
        nameserver.list(prefix="a")
        with suppress(NamingError):
            nameserver.lookup("nothing")
        several = batch(nameserver)
        several.count()
        several.lookup("nothing")
        with suppress(NamingError):
            list(several())
        nameserver.list(regex="(a|b)*c" * 10)
    assert server.process.terminate() == 0
    if form == "text":
        words = re.findall(r" INFO pyronym.access: 127\.0\.0\.1:\d+ (.*) 0\.\d{6} s$", log.read_text(), re.MULTILINE)
        assert words[:5] == [
            "pyro4 nodes - ok",
            r"pyro4 register 'a b\nc' ok",
            r"pyro4 lookup 'a b\nc' ok",
            "pyro4 register plain ok",
            "pyro4 lookup plain ok",
        ]
        assert len(words) == 9
        return
    lines = [line for line in events(log) if line["logger"] == "pyronym.access"]
    assert [(line["method"], line["name"], line["result"]) for line in lines] == [
        ("nodes", None, "ok"),  # asked by whoever looks for a name server
        ("register", "a b\nc", "ok"),
        ("lookup", "a b\nc", "ok"),
        ("register", "plain", "ok"),
        ("lookup", "plain", "ok"),
        ("list", None, "ok"),
        ("lookup", "nothing", "UnknownNameError"),
        ("batch of 2", None, "UnknownNameError"),
        ("list", None, "ok"),
    ]
    assert {line["protocol"] for line in lines} <= {"pyro4", "pyro5"}
    assert all(line["peer"].startswith("127.0.0.1:") and 0 < line["seconds"] < 10 for line in lines)
    assert {line["level"] for line in lines} == {"INFO"}


def test_without_the_access_log_no_call_is_logged(serve: NameServers, tmp_path: Path) -> None:
    server = serve("--log-level", "info")
    with at(server) as nameserver:
        nameserver.list()
    assert server.process.terminate() == 0
    assert "pyronym.access" not in server.process.output


def test_the_log_file_is_opened_again_at_sighup(serve: NameServers, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = serve("--access-log", "--log-file", str(log))
    log.rename(tmp_path / "log.1")
    server.process.signal(signal.SIGHUP)
    with at(server) as nameserver:
        while not log.exists():
            nameserver.ping()  # by signals nobody is told when they have been obeyed
        nameserver.list()
    assert server.process.terminate() == 0
    assert " list - ok " in log.read_text()
    assert " list - ok " not in (tmp_path / "log.1").read_text()


def test_a_log_file_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "--log-file", str(tmp_path / "no" / "log")])
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "no/log" in done.stderr


def test_items_that_reload_are_those_that_a_daemon_can_change() -> None:
    assert {item.setting for item in ITEMS.values() if item.setting and item.reloads} == CHANGEABLE


def test_sighup_makes_what_can_change_count_and_says_what_needs_a_restart(serve: NameServers, tmp_path: Path) -> None:
    file = tmp_path / "pyronym.toml"
    file.write_text("max_connections = 2\n")
    server = serve("--config", str(file))
    file.write_text("max_connections = 1\nmax_tags = 3\naccess_log = true\nlog_level = 'info'\nread_only = true\n")
    assert reload(server) == (
        "SIGHUP: read again: configuration, log, keys and permissions; a restart is needed for: max_tags"
    )
    with at(server) as nameserver:
        with pytest.raises(NameServerNotFoundError, match="too many connections"):
            at(server)
        with pytest.raises(PyroError, match="read-only"):
            nameserver.register("a", "PYRO:a@h:1")
    server.process.wait_for_line(r"pyronym.access: 127.0.0.1:\d+ pyro4 register a SecurityError")
    file.write_text("")
    assert reload(server).endswith("a restart is needed for: nothing")
    with at(server), at(server) as nameserver:
        nameserver.register("a", "PYRO:a@h:1")


def test_a_wrong_file_leaves_the_old_configuration_in_force(serve: NameServers, tmp_path: Path) -> None:
    file = tmp_path / "pyronym.toml"
    file.write_text("max_connections = 1\n")
    server = serve("--config", str(file))
    file.write_text("\nmax_connection = 2\n")
    assert reload(server) == (
        f"SIGHUP: read again: nothing; kept the old configuration: {file}, line 2: unknown key 'max_connection' "
        "(did you mean max_connections?); a restart is needed for: nothing"
    )
    with at(server), pytest.raises(NameServerNotFoundError, match="too many connections"):
        at(server)


def test_a_server_without_files_still_ends_at_sighup(serve: NameServers) -> None:
    server = serve()
    server.process.signal(signal.SIGHUP)
    assert server.process.wait() == -signal.SIGHUP


def test_no_secret_is_ever_logged(tmp_path: Path, serve: NameServers) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('lab = "sesame-of-the-laboratory"\n')
    keys.chmod(0o600)
    file = tmp_path / "pyronym.toml"
    file.write_text("etcd_password = 'sesame-of-etcd'\n")
    file.chmod(0o600)
    options = ["--config", str(file), "--keys", str(keys), "--access-log", "--log-level", "debug"]
    server = serve(*options, "--log-format", "json", env={"PYRO_SSL_SERVERKEYPASSWD": "sesame-of-tls"})
    with at(server, "sesame-of-the-laboratory") as nameserver:
        nameserver.list()
    for wrong in ("sesame-that-is-wrong", None):
        with pytest.raises(PyroError):
            at(server, wrong)
    for text in ('lab = ["sesame-broken', "etcd_password = 5\nkey = 'sesame-both'\n", "key = sesame-bare\n"):
        (keys if text.startswith("lab") else file).write_text(text)
        reload(server)
    assert server.process.terminate() == 0
    assert "pyronym.access" in server.process.output
    assert "kept the old keys and permissions: " in server.process.output
    assert "kept the old configuration: " in server.process.output
    assert "sesame" not in server.process.output


def test_pyros_variables_for_the_log_mean_what_they_did(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process(
        [PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0"], env={"PYRO_LOGLEVEL": "info", "PYRO_LOGFILE": str(log)}
    )
    try:
        NameServer(process)
        assert process.terminate() == 0
        assert "INFO pyronym.server.nameserver: name server created on 127.0.0.1:" in log.read_text()
    finally:
        process.close()
