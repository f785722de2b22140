"""Connections of every kind: through Unix sockets, hundreds at once, very short ones, batches and oneway calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asking import SERIALIZERS, ask

from processes import SCRIPTS, NameServers, Process, run_stock, stopping

EVERY_PEER = pytest.mark.parametrize("dialect", [4, 5])
LOOKUP_A = {
    4: "Pyro4.core.URI('PYRO', 'a', None, 'host', 1)",
    5: "Pyro5.core.URI('PYRO', 'a', None, 'host', 1)",
}


@pytest.fixture
def pythons(stock4_python: Path, stock5_python: Path) -> dict[int, Path]:
    return {4: stock4_python, 5: stock5_python}


@contextmanager
def running(*command: str | Path) -> Iterator[Process]:
    process = Process(command, env={"PYTHONPATH": str(SCRIPTS)})
    with stopping([process]):
        yield process


@EVERY_PEER
def test_clients_come_through_a_unix_socket(
    dialect: int, serve: NameServers, tmp_path: Path, pythons: dict[int, Path]
) -> None:
    path = tmp_path / "ns.sock"
    server = serve(unixsocket=path)
    assert server.uri == f"PYRO:Pyro.NameServer@./u:{path}"
    itself = f"Pyro{dialect}.core.URI('PYRO', 'Pyro.NameServer', '{path}', None, None)"
    answers = ask(
        pythons[dialect],
        server.uri,
        "ns.register('a', 'PYRO:a@host:1')",
        "ns.lookup('a')",
        "ns.lookup('Pyro.NameServer')",
        f"locate('./u:{path}').lookup('a')",
    )
    assert answers == ["None", LOOKUP_A[dialect], itself, LOOKUP_A[dialect]]


def test_a_unix_socket_is_gone_after_the_server_and_can_be_used_again(serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "ns.sock"
    assert serve(unixsocket=path).process.terminate() == 0
    assert not path.exists()
    serve(unixsocket=path)


@EVERY_PEER
def test_300_proxies_that_are_open_at_once_are_all_answered(
    dialect: int, serve: NameServers, pythons: dict[int, Path]
) -> None:
    server = serve()
    assert run_stock(pythons[dialect], SCRIPTS / "crowd.py", server.uri, 300) == 300


def test_two_crowds_of_both_dialects_at_the_same_time(serve: NameServers, pythons: dict[int, Path]) -> None:
    server = serve()
    crowd = SCRIPTS / "crowd.py"
    with running(pythons[4], crowd, server.uri, "300") as four, running(pythons[5], crowd, server.uri, "300") as five:
        assert (four.wait(60), five.wait(60)) == (0, 0)
        assert (four.lines[-1], five.lines[-1]) == ("300", "300")
    assert ask(pythons[4], server.uri, "ns.count()") == ["301"]


@EVERY_PEER
def test_hundreds_of_connections_that_only_shake_hands_and_leave(
    dialect: int, serve: NameServers, pythons: dict[int, Path]
) -> None:
    server = serve()
    open_files = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
    assert run_stock(pythons[dialect], SCRIPTS / "short_visits.py", server.uri, 500) == 500
    assert ask(pythons[dialect], server.uri, "ns.count()") == ["1"]
    assert len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) <= open_files + 5


# The stock clients themselves cannot send batches with marshal.
BATCHING = [(dialect, name) for dialect, names in SERIALIZERS.items() for name in names if name != "marshal"]


@pytest.mark.parametrize(("dialect", "serializer"), BATCHING)
def test_a_batch_of_100_calls(dialect: int, serializer: str, serve: NameServers, pythons: dict[int, Path]) -> None:
    server = serve()
    answers = ask(
        pythons[dialect],
        server.uri,
        "b = batch(ns)",
        "for i in range(100): b.register(f'n{i}', f'PYRO:n{i}@host:{i}')",
        "set(b())",
        "for i in range(100): b.lookup(f'n{i}')",
        "[uri.port for uri in b()] == list(range(100))",
        "ns.count()",
        serializer=serializer,
    )
    assert answers == ["None", "None", "set(None)", "None", "True", "101"]


@EVERY_PEER
def test_a_oneway_registration_is_there_for_the_next_lookup_on_its_connection(
    dialect: int, serve: NameServers, pythons: dict[int, Path]
) -> None:
    server = serve()
    answers = ask(
        pythons[dialect],
        server.uri,
        "ns._pyroInvoke('register', ['a', 'PYRO:a@host:1'], {}, flags=4)",
        "ns.lookup('a')",
        "b = batch(ns); b.remove('a'); b(oneway=True)",
        "ns.lookup('a')",
    )
    unknown = f"!! Pyro{dialect}.errors.NamingError('unknown name: a') with remote traceback"
    assert answers == ["None", LOOKUP_A[dialect], "None", unknown]


def test_one_proxy_used_by_many_threads(serve: NameServers, stock4_python: Path) -> None:
    server = serve()
    answers = ask(
        stock4_python,
        server.uri,
        "from concurrent.futures import ThreadPoolExecutor",
        "def visit(i): ns.register(f'n{i}', f'PYRO:n{i}@host:{i}'); return ns.lookup(f'n{i}').port",
        "sorted(ThreadPoolExecutor(20).map(visit, range(200))) == [*range(200)]",
        "ns.count()",
    )
    assert answers[2:] == ["True", "201"]


def test_a_pyro4_client_without_metadata(serve: NameServers, stock4_python: Path) -> None:
    """It connects without naming an object; an unknown one is found out by the first call."""
    server = serve()
    unknown = server.uri.replace("Pyro.NameServer", "nope")
    answers = ask(
        stock4_python,
        server.uri,
        "ns.register('a', 'PYRO:a@host:1')",
        "ns.lookup('a')",
        "ns.nope()",
        f"connect('{unknown}').ping()",
        env={"PYRO_METADATA": "off"},
    )
    assert answers == [
        "None",
        LOOKUP_A[4],
        "!! AttributeError(\"'NameServer' object has no attribute 'nope'\") with remote traceback",
        "!! Pyro4.errors.DaemonError('unknown object') with remote traceback",
    ]


@EVERY_PEER
def test_an_unknown_object_is_refused_in_the_stock_servers_words(
    dialect: int,
    serve: NameServers,
    serve_stock4: NameServers,
    serve_stock5: NameServers,
    pythons: dict[int, Path],
) -> None:
    stock = {4: serve_stock4, 5: serve_stock5}[dialect]()
    ours = serve()
    refusals = []
    for server in (stock, ours):
        unknown = server.uri.replace("Pyro.NameServer", "nope")
        refusals.append(ask(pythons[dialect], unknown, "ns.ping()")[0].replace(str(server.port), "PORT"))
    assert refusals[0] == refusals[1]
    assert "unknown object" in refusals[0]
