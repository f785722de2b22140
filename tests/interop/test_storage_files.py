"""Storage files go back and forth between the stock name servers and ours, and survive what ends processes."""

from __future__ import annotations

import ast
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from asking import ask

from processes import SCRIPTS, NameServers, Process, stopping

WRITE = (
    "ns.register('plain', 'PYRO:plain@host:1')",
    "ns.register('tagged', 'PYRO:tagged@host:1', metadata=['x', 'y ü'])",
    "ns.register('ü.☃', 'PYRO:ü@host:1', metadata=['x'])",
    "ns.register('app_1', 'PYRO:app@host:1')",
    "ns.register('appX1', 'PYRO:app@host:1')",
    "ns.register('goes', 'PYRO:goes@host:1', metadata=['x'])",
    "ns.register('magic', 'PYRONAME:plain')",
)
CHANGE = (
    "ns.register('added', 'PYRO:added@host:2', metadata=['z'])",
    "ns.register('plain', 'PYRO:plain@host:2')",
    "ns.set_metadata('tagged', ['y ü'])",
    "ns.set_metadata('ü.☃', None)",
    "ns.remove('goes')",
    "ns.remove(prefix='app_')",
)
NAMES_BEFORE = {
    "plain": ("PYRO:plain@host:1", []),
    "tagged": ("PYRO:tagged@host:1", ["x", "y ü"]),
    "ü.☃": ("PYRO:ü@host:1", ["x"]),
    "app_1": ("PYRO:app@host:1", []),
    "appX1": ("PYRO:app@host:1", []),
    "goes": ("PYRO:goes@host:1", ["x"]),
    "magic": ("PYRONAME:plain", []),
}
NAMES_AFTER = {
    "plain": ("PYRO:plain@host:2", []),
    "tagged": ("PYRO:tagged@host:1", ["y ü"]),
    "ü.☃": ("PYRO:ü@host:1", []),
    "appX1": ("PYRO:app@host:1", []),
    "magic": ("PYRONAME:plain", []),
    "added": ("PYRO:added@host:2", ["z"]),
}
EVERYTHING = (
    "sorted((name, uri, sorted(tags)) for name, (uri, tags) in ns.list(return_metadata=True).items()"
    " if name[:5] != 'Pyro.')"
)
NAMES_AND_URIS = "sorted((name, uri) for name, uri in ns.list().items() if name[:5] != 'Pyro.')"


def described(names: dict[str, tuple[str, list[str]]]) -> str:
    """What `EVERYTHING` gives when these are all the names."""
    return repr(sorted((name, uri, tags) for name, (uri, tags) in names.items()))


def described_without_tags(names: dict[str, tuple[str, list[str]]]) -> str:
    """What `NAMES_AND_URIS` gives when these are all the names."""
    return repr(sorted((name, uri) for name, (uri, _) in names.items()))


def schema(file: Path) -> dict[str, list[str]]:
    """Each table of a database and its columns."""
    with closing(sqlite3.connect(file)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")] for table in tables}


@pytest.mark.parametrize("dialect", [4, 5])
def test_an_sqlite_file_goes_from_stock_to_us_and_back(
    dialect: int,
    serve: NameServers,
    serve_stock4: NameServers,
    serve_stock5: NameServers,
    stock4_python: Path,
    stock5_python: Path,
    tmp_path: Path,
) -> None:
    serve_stock = {4: serve_stock4, 5: serve_stock5}[dialect]
    python = {4: stock4_python, 5: stock5_python}[dialect]
    storage = f"sql:{tmp_path / 'names.sqlite'}"

    stock = serve_stock(storage=storage)
    assert ask(python, stock.uri, *WRITE, EVERYTHING)[-1] == described(NAMES_BEFORE)
    stock.process.kill()

    ours = serve(storage=storage)
    assert "Persistent store contains 8 existing registrations." in ours.process.lines
    answers = ask(python, ours.uri, EVERYTHING, *CHANGE, EVERYTHING, "str(ns.lookup('Pyro.NameServer'))")
    assert answers == [described(NAMES_BEFORE), *["None"] * 4, "1", "1", described(NAMES_AFTER), repr(ours.uri)]
    assert ours.process.terminate() == 0

    stock = serve_stock(storage=storage)
    answers = ask(python, stock.uri, EVERYTHING, "ns.remove('added')", "str(ns.lookup('Pyro.NameServer'))")
    assert answers == [described(NAMES_AFTER), "1", repr(stock.uri)]
    stock.process.kill()

    ours = serve(storage=storage)
    left = {name: record for name, record in NAMES_AFTER.items() if name != "added"}
    assert ask(python, ours.uri, EVERYTHING) == [described(left)]


def test_a_file_that_we_made_is_one_that_stock_could_have_made(
    serve: NameServers, serve_stock4: NameServers, stock4_python: Path, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs.sqlite", tmp_path / "ours.sqlite"
    stock = serve_stock4(storage=f"sql:{theirs}")
    stock.process.kill()
    server = serve(storage=f"sql:{ours}")
    ask(stock4_python, server.uri, *WRITE)
    assert server.process.terminate() == 0
    assert [path.name for path in tmp_path.glob("ours*")] == ["ours.sqlite"]  # no journal is left that has to go along
    wanted = schema(theirs)
    assert {table: columns for table, columns in schema(ours).items() if table in wanted} == wanted
    stock = serve_stock4(storage=f"sql:{ours}")
    assert ask(stock4_python, stock.uri, EVERYTHING) == [described(NAMES_BEFORE)]


def test_a_file_of_the_oldest_schema_is_migrated(
    serve: NameServers, serve_stock4: NameServers, stock4_python: Path, tmp_path: Path
) -> None:
    file = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE pyro_names(name nvarchar PRIMARY KEY NOT NULL, uri nvarchar NOT NULL)")
        database.execute("INSERT INTO pyro_names VALUES ('old', 'PYRO:old@host:1'), ('older ü', 'PYRO:older@host:1')")
        database.commit()
    old = {"old": ("PYRO:old@host:1", ["x"]), "older ü": ("PYRO:older@host:1", [])}
    server = serve(storage=f"sql:{file}")
    assert ask(stock4_python, server.uri, "ns.set_metadata('old', ['x'])", EVERYTHING) == ["None", described(old)]
    assert server.process.terminate() == 0
    assert ask(stock4_python, serve_stock4(storage=f"sql:{file}").uri, EVERYTHING) == [described(old)]


def test_a_dbm_file_goes_from_stock_to_us_and_back(
    serve: NameServers, serve_stock4: NameServers, stock4_python: Path, tmp_path: Path
) -> None:
    storage = f"dbm:{tmp_path / 'names.dbm'}"
    stock = serve_stock4(storage=storage)
    assert ask(stock4_python, stock.uri, *WRITE, NAMES_AND_URIS)[-1] == described_without_tags(NAMES_BEFORE)
    stock.process.kill()

    ours = serve(storage=storage)
    answers = ask(stock4_python, ours.uri, NAMES_AND_URIS, *CHANGE, NAMES_AND_URIS)
    assert answers == [
        described_without_tags(NAMES_BEFORE),
        *["None"] * 4,
        "1",
        "1",
        described_without_tags(NAMES_AFTER),
    ]
    assert ours.process.terminate() == 0

    stock = serve_stock4(storage=storage)
    assert ask(stock4_python, stock.uri, NAMES_AND_URIS) == [described_without_tags(NAMES_AFTER)]


@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_what_was_registered_is_there_after_a_restart(
    kind: str, serve: NameServers, stock4_python: Path, tmp_path: Path
) -> None:
    storage = f"{kind}:{tmp_path / 'names'}"
    first = serve(storage=storage)
    ask(stock4_python, first.uri, *WRITE)
    before = ask(stock4_python, first.uri, EVERYTHING)
    assert first.process.terminate() == 0
    second = serve(storage=storage)
    assert ask(stock4_python, second.uri, EVERYTHING) == before
    assert ask(stock4_python, second.uri, "str(ns.lookup('Pyro.NameServer'))") == [repr(second.uri)]


@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_every_acknowledged_registration_survives_kill_9(
    kind: str, serve: NameServers, stock4_python: Path, stock5_python: Path, tmp_path: Path
) -> None:
    storage = f"{kind}:{tmp_path / 'names'}"
    server = serve(storage=storage)
    flood = Process([stock4_python, SCRIPTS / "flood.py", server.uri], env={"PYTHONPATH": str(SCRIPTS)})
    with stopping([flood]):
        flood.wait_for_line(r"^flood\.30$")
        server.process.kill()
        assert flood.wait() == 0, flood.output
        acknowledged = flood.lines
    assert len(acknowledged) > 30
    answer = ask(stock5_python, serve(storage=storage).uri, "list(ns.list(prefix='flood.'))")[0]
    names = ast.literal_eval(answer)
    assert set(acknowledged) <= set(names)
    assert len(names) <= len(acknowledged) + 1  # at most the one that was on its way


def test_a_memory_storage_forgets(serve: NameServers, stock4_python: Path) -> None:
    first = serve(storage="memory")
    ask(stock4_python, first.uri, *WRITE)
    assert first.process.terminate() == 0
    assert ask(stock4_python, serve(storage="memory").uri, "ns.count()") == ["1"]
