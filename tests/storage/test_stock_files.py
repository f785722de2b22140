"""Files that stock Pyro4 wrote are opened here, and files written here are opened by stock Pyro4."""

import ast
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from generated import delete, put, stored
from make_stock_files import NAMES

from pyronym.directory.record import Record
from pyronym.naming_storage import DbmStorage, SqlStorage
from pyronym.storage.dbm import DbmStore
from pyronym.storage.sqlite import SqliteStore

STOCK_FILES = Path(__file__).parent / "stock_files"

URIS = {name: "PYRO:plain@host:2" if name == "plain" else uri for name, (uri, _) in NAMES.items() if name != "gone"}
RECORDS = {name: Record(name, uri, frozenset(NAMES[name][1] or ())) for name, uri in URIS.items()}
WITHOUT_METADATA = {name: Record(name, uri) for name, uri in URIS.items()}
OLDEST = {name: Record(name, uri) for name, (uri, _) in NAMES.items() if name != "gone"}

CASES = [
    pytest.param(SqliteStore, SqlStorage, "current.sqlite", RECORDS, id="current-sql"),
    pytest.param(SqliteStore, SqlStorage, "oldest.sqlite", OLDEST, id="oldest-sql"),
    pytest.param(DbmStore, DbmStorage, "names.dbm", WITHOUT_METADATA, id="dbm"),
]


@pytest.fixture
def copied(tmp_path):
    """A copy of the stock files, to be changed."""
    return Path(shutil.copytree(STOCK_FILES, tmp_path / "files"))


@pytest.mark.parametrize(("store", "mapping", "file", "records"), CASES)
def test_a_stock_file_is_read_as_it_is_and_can_be_changed(copied, store, mapping, file, records):
    with closing(store(copied / file)) as opened:
        assert stored(opened) == records
        opened.commit([put("plain", "PYRO:mine@h:1", ["mine"]), delete("tagged")])
    changed = {name: record for name, record in records.items() if name != "tagged"}
    changed["plain"] = put("plain", "PYRO:mine@h:1", ["mine"]).record
    with closing(store(copied / file)) as opened:
        assert stored(opened) == changed


@pytest.mark.parametrize(("store", "mapping", "file", "records"), CASES)
def test_a_stock_file_is_a_mapping(copied, store, mapping, file, records):
    opened = mapping(copied / file)
    assert dict(opened) == {name: (record.uri, set(record.metadata)) for name, record in records.items()}


def test_the_order_of_a_stock_database_is_that_of_its_ids(copied):
    with closing(SqliteStore(copied / "current.sqlite")) as store:
        assert list(stored(store)) == [name for name in NAMES if name not in ("gone", "plain")] + ["plain"]


STOCK_PROGRAM = """
import sys, Pyro4.naming_storage
storage = getattr(Pyro4.naming_storage, sys.argv[1])(sys.argv[2])
print(ascii({name: (uri, set(tags)) for name, (uri, tags) in storage.everything(True).items()}))
storage["from stock"] = "PYRO:stock@h:1", {"s"} if sys.argv[1] == "SqlStorage" else None
storage["changed"] = "PYRO:changed@h:2", None
del storage["removed"]
"""


@pytest.mark.parametrize("kind", [SqlStorage, DbmStorage])
def test_files_go_back_and_forth_with_stock_pyro4(kind, stock4_python, tmp_path):
    file = tmp_path / "names"
    ours = kind(file)
    ours.update({name: (uri, RECORDS[name].metadata) for name, uri in URIS.items()})
    ours["changed"] = ours["removed"] = "PYRO:old@h:1", ["x"]
    # The mapping stays open, as programs leave it.
    command = [stock4_python, "-W", "ignore", "-c", STOCK_PROGRAM, kind.__name__, str(file)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    keeps_tags = kind is SqlStorage
    expected = {name: (record.uri, set(record.metadata) if keeps_tags else set()) for name, record in RECORDS.items()}
    old = ("PYRO:old@h:1", {"x"} if keeps_tags else set())
    assert ast.literal_eval(answer) == expected | {"changed": old, "removed": old}
    after = {name: (record.uri, set(record.metadata)) for name, record in RECORDS.items()}
    after["changed"] = "PYRO:changed@h:2", set()
    after["from stock"] = "PYRO:stock@h:1", {"s"} if keeps_tags else set()
    assert ours.everything(return_metadata=True) == after
