"""How the command starts, refuses to start, and stops."""

from __future__ import annotations

import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from asking import ask

from processes import PYRONYM, SCRIPTS, Completed, NameServer, NameServers, Process, run, stopping

# As a shell starts programs in the background of a batch job: SIGINT ignored, and a session without a terminal.
BATCH_JOB = ["setsid", "sh", "-c", 'trap "" INT; exec "$0" "$@"']


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("start", [[], BATCH_JOB], ids=["terminal", "batch-job"])
def test_it_stops_with_status_0_on_signals(number: signal.Signals, start: list[str]) -> None:
    servers = NameServers([*start, PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers()
        server.process.signal(number)
        assert server.process.wait() == 0, server.process.output
        assert server.process.lines[-1] == "NS shut down."
        assert "Traceback" not in server.process.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_under_load_and_keeps_what_it_acknowledged(
    number: signal.Signals, serve: NameServers, stock4_python: Path, stock5_python: Path, tmp_path: Path
) -> None:
    storage = f"sql:{tmp_path / 'names'}"
    server = serve(storage=storage)
    command = [SCRIPTS / "flood.py", server.uri]
    floods = [
        Process([python, *command], env={"PYTHONPATH": str(SCRIPTS)}) for python in (stock4_python, stock5_python)
    ]
    with stopping(floods):
        for flood in floods:
            flood.wait_for_line(r"^flood\.20$")
        server.process.signal(number)
        assert server.process.wait() == 0, server.process.output
        assert [flood.wait() for flood in floods] == [0, 0], [flood.output for flood in floods]
        acknowledged = {line for flood in floods for line in flood.lines}
    assert "Traceback" not in server.process.output
    lines = (
        "n = ns.list(prefix='flood.')",
        f"{sorted(acknowledged)!r} == sorted(set(n) & set({sorted(acknowledged)!r}))",
    )
    assert ask(stock5_python, serve(storage=storage).uri, *lines)[1] == "True"


def refused(*arguments: str) -> Completed:
    """How the command ends that must not start."""
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", *arguments], timeout=20)
    assert done.status not in (0, None), done
    assert "Traceback" not in done.stdout + done.stderr
    assert "URI = " not in done.stdout
    return done


def test_a_port_that_is_in_use_is_named(serve: NameServers) -> None:
    server = serve()
    done = refused("-p", str(server.port))
    assert str(server.port) in done.stderr
    assert "in use" in done.stderr


def test_a_unix_socket_that_is_in_use_is_left_alone(serve: NameServers, stock5_python: Path, tmp_path: Path) -> None:
    path = tmp_path / "ns.sock"
    server = serve(unixsocket=path)
    assert str(path) in refused("-u", str(path)).stderr
    assert ask(stock5_python, server.uri, "ns.count()") == ["1"]


def test_a_unix_socket_that_a_killed_server_left_behind_is_replaced(serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "ns.sock"
    serve(unixsocket=path).process.kill()
    assert path.exists()
    serve(unixsocket=path)


@pytest.mark.parametrize("storage", ["nonsense", "sql:", "dbm:", "etcd:x"])
def test_a_storage_that_does_not_exist_is_named(storage: str) -> None:
    assert repr(storage) in refused("-p", "0", "-s", storage).stderr.replace('"', "'")


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader,\n" * 100)
    done = refused("-p", "0", "-s", f"sql:{file}")
    assert str(file) in done.stderr
    assert file.read_text() == "Dear reader,\n" * 100


@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_a_folder_that_is_missing_is_named(kind: str, tmp_path: Path) -> None:
    done = refused("-p", "0", "-s", f"{kind}:{tmp_path / 'missing' / 'names'}")
    assert str(tmp_path / "missing") in done.stderr


def test_a_database_that_someone_else_has_locked_is_named(tmp_path: Path, serve: NameServers) -> None:
    file = tmp_path / "names.sqlite"
    serve(storage=f"sql:{file}").process.terminate()
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        done = refused("-p", "0", "-s", f"sql:{file}")
    assert str(file) in done.stderr
    assert "locked" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("-p", "x"), ("-p", "70000"), ("-p", "-1"), ("--bcport", "x"), ("--nonsense",), ("-p", "0", "--natport", "99999")],
    ids=" ".join,
)
def test_option_values_that_cannot_be_are_refused(arguments: tuple[str, ...]) -> None:
    done = refused(*arguments)
    assert arguments[-1] in done.stderr


def test_an_environment_variable_that_cannot_be_is_named() -> None:
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0"], env={"PYRO_COMPRESSION": "perhaps"}, timeout=20)
    assert done.status != 0
    assert "PYRO_COMPRESSION" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_server_answers_on_the_port_of_the_first_after_it_stopped(
    serve: NameServers, stock4_python: Path
) -> None:
    first = serve()
    with socket.create_connection(first.address):  # leaves the port in TIME_WAIT
        assert first.process.terminate() == 0
    second = serve(port=first.port)
    assert ask(stock4_python, second.uri, "ns.count()") == ["1"]


def nat_uris(server: Process) -> tuple[str, str]:
    return server.wait_for_line(r"^internal URI = (\S+)$")[1], server.wait_for_line(r"^external URI = (\S+)$")[1]


def test_behind_nat_it_prints_both_addresses_and_clients_get_the_outer_one(stock4_python: Path) -> None:
    options = ["-n", "127.0.0.1", "-p", "0", "--nathost", "outside.example", "--natport", "4444"]
    process = Process([PYRONYM, "serve", *options])
    with stopping([process]):
        internal, external = nat_uris(process)
        assert external == "PYRO:Pyro.NameServer@outside.example:4444"
        assert ask(stock4_python, internal, "str(ns.lookup('Pyro.NameServer'))") == [repr(external)]


def test_the_module_of_the_stock_server_starts_ours(stock4_python: Path) -> None:
    """``python -m pyronym.naming`` is the same thing as ``pyronym serve``."""
    servers = NameServers([str(Path(PYRONYM).parent / "python"), "-m", "pyronym.naming"])
    with stopping(servers.processes):
        server: NameServer = servers()
        assert ask(stock4_python, server.uri, "ns.count()") == ["1"]
        assert server.process.terminate() == 0
