import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from generated import apply_to, delete, put, stored

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.sqlite import SqliteStore


@pytest.fixture
def file(tmp_path):
    return tmp_path / "names.sqlite"


def rows(file, query, *parameters):
    with closing(sqlite3.connect(file)) as db:
        return db.execute(query, parameters).fetchall()


def run(file, *statements):
    with closing(sqlite3.connect(file)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_the_tables_are_those_of_stock_pyro4(file):
    with closing(SqliteStore(file)) as store:
        store.commit([put("a", "PYRO:a@h:1", ["x", "y"])])
    assert rows(file, "SELECT name, uri FROM pyro_names") == [("a", "PYRO:a@h:1")]
    assert sorted(rows(file, "SELECT name, metadata FROM pyro_names JOIN pyro_metadata ON object = id")) == [
        ("a", "x"),
        ("a", "y"),
    ]


def test_closing_leaves_one_file(file, tmp_path):
    store = SqliteStore(file)
    store.commit([put("a")])
    assert len(list(tmp_path.iterdir())) > 1  # the WAL
    store.close()
    assert list(tmp_path.iterdir()) == [file]


def test_a_commit_is_synchronised_with_the_disk(file):
    with closing(SqliteStore(file)) as store:
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_deleted_name_leaves_no_metadata_behind(file):
    with closing(SqliteStore(file)) as store:
        store.commit([put("a", tags=["x"]), put("b", tags=["y"])])
        store.commit([delete("a")])
        store.commit([put("b", tags=[])])
    assert rows(file, "SELECT * FROM pyro_metadata") == []


def test_a_name_that_is_put_again_keeps_its_id(file):
    with closing(SqliteStore(file)) as store:
        store.commit([put("a"), put("b")])
        store.commit([put("a", "PYRO:other@h:1")])
    assert rows(file, "SELECT id, name FROM pyro_names ORDER BY id") == [(1, "a"), (2, "b")]


def test_what_another_process_writes_is_seen(file):
    with closing(SqliteStore(file)) as store, closing(SqliteStore(file)) as other:
        store.commit([put("a")])
        other.commit([put("b", tags=["x"])])
        assert store.count() == 2
        assert store.get("b") == put("b", tags=["x"]).record
        assert store.get("c") is None


def test_a_failing_commit_changes_nothing(file):
    with closing(SqliteStore(file)) as store:
        store.commit([put("a")])
        run(
            file,
            "CREATE TRIGGER t BEFORE INSERT ON pyro_names WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'x'); END",
        )
        with pytest.raises(ChangeRefusedError):
            store.commit([put("b"), delete("a"), put("bad")])
        assert set(stored(store)) == {"a"}
        store.commit([put("b")])
        assert set(stored(store)) == {"a", "b"}


def test_threads_take_turns(file):
    with closing(SqliteStore(file)) as store:

        def work(number):
            for i in range(20):
                store.commit([put(f"{number}.{i}")])
                assert store.get(f"{number}.{i}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.count() == 80


# One server for a file


def test_a_second_server_on_the_same_file_is_told_of_the_first(file, tmp_path):
    link = tmp_path / "link.sqlite"
    link.symlink_to(file)
    with closing(SqliteStore(file, alone=True)) as store:
        for path in (file, link):
            with pytest.raises(
                StorageError,
                match=rf"^cannot open {path}: another name server is using it; stop that one, or give another file$",
            ):
                SqliteStore(path, alone=True, busy_timeout=0)
        store.commit([put("a")])
    with closing(SqliteStore(link, alone=True)) as store:
        assert set(stored(store)) == {"a"}


def test_what_is_no_server_may_use_the_file_of_one(file):
    with closing(SqliteStore(file, alone=True)) as store, closing(SqliteStore(file)) as other:
        store.commit([put("a")])
        other.commit([put("b")])
        assert rows(file, "SELECT name FROM pyro_names ORDER BY id") == [("a",), ("b",)]
        store.commit([put("c")])
    assert rows(file, "SELECT count(*) FROM pyro_names") == [(3,)]


def test_another_server_is_waited_for(file):
    first = SqliteStore(file, alone=True)
    closing_time = threading.Timer(0.05, first.close)
    closing_time.start()
    SqliteStore(file, alone=True, busy_timeout=30).close()
    closing_time.join()


def test_the_lock_of_a_server_that_was_killed_is_no_hindrance(file):
    program = (
        "import os, sys; from pyronym.storage.sqlite import SqliteStore; "
        "store = SqliteStore(sys.argv[1], alone=True); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, file], check=False).returncode == -9
    assert Path(f"{file}.lock").exists()
    SqliteStore(file, alone=True, busy_timeout=0).close()


def test_the_lock_leaves_nothing_behind(file, tmp_path):
    store = SqliteStore(file, alone=True)
    with pytest.raises(StorageError):
        SqliteStore(file, alone=True, busy_timeout=0)
    descriptors = len(os.listdir("/proc/self/fd"))
    store.close()
    assert list(tmp_path.iterdir()) == [file]
    assert len(os.listdir("/proc/self/fd")) < descriptors


def test_a_lock_that_cannot_be_made(file):
    Path(f"{file}.lock").mkdir()
    with pytest.raises(StorageError, match=r"^cannot lock .*names.sqlite.lock: .*; allow writing to it and its folder"):
        SqliteStore(file, alone=True)


# Opening files of others


def test_an_empty_file_becomes_a_database(file):
    file.touch()
    with closing(SqliteStore(file)) as store:
        assert store.load() == []


def test_a_database_of_something_else_gets_our_tables_beside_its_own(file):
    run(file, "CREATE TABLE theirs(x)", "INSERT INTO theirs VALUES (1)")
    with closing(SqliteStore(file)) as store:
        store.commit([put("a")])
    assert rows(file, "SELECT * FROM theirs") == [(1,)]


@pytest.mark.parametrize("table", ["theirs(x)", "pyro_names(x)", "pyro_metadata(object, metadata)"])
def test_a_server_leaves_the_database_of_something_else_as_it_is(file, table):
    run(file, f"CREATE TABLE {table}")
    before = file.read_bytes()
    with pytest.raises(
        StorageError, match=r"(it belongs to another program \(its tables: theirs\)|are not those of a)"
    ):
        SqliteStore(file, alone=True)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE pyro_names(name nvarchar PRIMARY KEY NOT NULL, uri nvarchar NOT NULL)",
        "CREATE TABLE pyro_names(uri nvarchar, name nvarchar)",
        "CREATE TABLE pyro_names(name nvarchar PRIMARY KEY NOT NULL, uri nvarchar NOT NULL) WITHOUT ROWID",
        "CREATE TABLE pyro_names(id integer PRIMARY KEY, name nvarchar NOT NULL UNIQUE, uri nvarchar NOT NULL)",
    ],
)
def test_a_file_without_a_metadata_table_is_migrated(file, schema):
    run(file, schema, "INSERT INTO pyro_names(name, uri) VALUES ('a', 'PYRO:a@h:1'), ('é%', 'PYRO:b@h:1')")
    for _ in range(2):  # the second time there is nothing left to migrate
        with closing(SqliteStore(file)) as store:
            assert stored(store) == {"a": Record("a", "PYRO:a@h:1"), "é%": Record("é%", "PYRO:b@h:1")}
            store.commit([put("a", "PYRO:a@h:1")])
    assert {row[1] for row in rows(file, "PRAGMA table_info(pyro_names)")} == {"id", "name", "uri"}


def test_a_migration_that_fails_leaves_the_file_as_it_was(file):
    run(
        file,
        "CREATE TABLE pyro_names(name nvarchar, uri nvarchar)",
        "INSERT INTO pyro_names VALUES ('a', 'u'), ('b', NULL)",
    )
    with pytest.raises(StorageError, match=r"names.sqlite"):
        SqliteStore(file)
    assert rows(file, "SELECT * FROM pyro_names") == [("a", "u"), ("b", None)]


@pytest.mark.parametrize(
    "schema",
    [
        ["CREATE TABLE pyro_names(x)"],
        ["CREATE TABLE pyro_metadata(object, metadata)"],
        ["CREATE TABLE pyro_names(name, uri)", "CREATE TABLE pyro_metadata(object, metadata)"],
        ["CREATE TABLE pyro_names(id, name, uri)", "CREATE TABLE pyro_metadata(x)"],
    ],
)
def test_tables_of_another_shape_are_left_alone(file, schema):
    run(file, *schema)
    before = file.read_bytes()
    with pytest.raises(StorageError, match="are not those of a name server; give another file"):
        SqliteStore(file)
    assert rows(file, "SELECT count(*) FROM sqlite_master") == [(len(schema),)]
    assert len(file.read_bytes()) == len(before)


# Files that cannot be used


@pytest.mark.parametrize("path", [":memory:", ""])
def test_what_is_no_file_is_a_value_error(path):
    with pytest.raises(ValueError, match=r"memory storage instead|give a file name"):
        SqliteStore(path)


def test_a_file_that_is_no_database(file):
    file.write_bytes(b"this is a text, not a database, and long enough to look like one" * 20)
    with pytest.raises(
        StorageError, match=r"^cannot open .*names.sqlite: it is not a SQLite database; give another file"
    ):
        SqliteStore(file)
    assert file.read_bytes().startswith(b"this is a text")


def test_a_missing_folder(tmp_path):
    with pytest.raises(StorageError, match=r"the folder .*nowhere does not exist; create it first$") as caught:
        SqliteStore(tmp_path / "nowhere" / "names.sqlite")
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(StorageError, match=r"it is a folder; give a file$"):
        SqliteStore(tmp_path)


def test_a_file_that_is_locked_by_another_process(file):
    SqliteStore(file).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="it is locked by another process; end that process"):
            SqliteStore(file, busy_timeout=0)


def test_a_lock_that_comes_later_fails_the_commit_only(file):
    with (
        closing(SqliteStore(file, busy_timeout=0)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"cannot write to .* locked by another process") as caught:
            store.commit([put("a")])
        assert not isinstance(caught.value, ChangeRefusedError)
        other.execute("ROLLBACK")
        store.commit([put("b")])
        assert set(stored(store)) == {"b"}


def test_a_lock_is_waited_for(file):
    with closing(SqliteStore(file, busy_timeout=30)) as store:
        with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            unlock = threading.Timer(0.05, other.execute, ["ROLLBACK"])
            unlock.start()
            store.commit([put("a")])
            unlock.join()
        assert set(stored(store)) == {"a"}


def test_a_read_only_file(open_folder, without_privileges):
    file = open_folder / "names.sqlite"
    SqliteStore(file).close()
    file.chmod(0o444)
    open_folder.chmod(0o777)
    with without_privileges(), pytest.raises(StorageError, match="read-only; allow writing to both"):
        SqliteStore(file)


def test_a_read_only_folder(open_folder, without_privileges):
    file = open_folder / "names.sqlite"
    SqliteStore(file).close()
    file.chmod(0o666)
    with without_privileges(), pytest.raises(StorageError, match=r"read-only; allow|permissions"):
        SqliteStore(file)
    with without_privileges(), pytest.raises(StorageError, match="check the file, its folder and their permissions"):
        SqliteStore(open_folder / "new.sqlite")


def test_a_file_that_may_not_be_read(open_folder, without_privileges):
    file = open_folder / "names.sqlite"
    SqliteStore(file).close()
    file.chmod(0)
    with without_privileges(), pytest.raises(StorageError, match="check the file, its folder and their permissions"):
        SqliteStore(file)


def test_a_damaged_database(file):
    with closing(SqliteStore(file)) as store:
        store.commit([put(f"name{i}", tags=["x" * 50]) for i in range(500)])
    data = bytearray(file.read_bytes())
    data[5000:] = b"\xa5" * (len(data) - 5000)
    file.write_bytes(data)
    with pytest.raises(
        StorageError, match=r"the database is damaged \(.*Page.*\); restore it from a backup, or save what can be read"
    ):
        with closing(SqliteStore(file)) as store:
            store.load()


def test_text_that_is_not_utf8(file):
    SqliteStore(file).close()
    run(file, "INSERT INTO pyro_names(name, uri) VALUES (CAST(x'ff' AS TEXT), 'u')")
    with closing(SqliteStore(file)) as store, pytest.raises(StorageError, match=r"^cannot read .*UTF-8"):
        store.load()


def test_a_file_that_cannot_be_opened_is_not_kept_open(file):
    file.write_bytes(b"no database" * 100)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(StorageError):
            SqliteStore(file)
    assert len(os.listdir("/proc/self/fd")) == before


def test_many_names_load_in_one_go(file):
    changes = [Change(f"n{i}", Record(f"n{i}", "PYRO:o@h:1", frozenset({"x", f"t{i % 7}"}))) for i in range(20_000)]
    with closing(SqliteStore(file)) as store:
        store.commit(changes)
        started = time.perf_counter()
        records = store.load()
        elapsed = time.perf_counter() - started
    assert records == [change.record for change in changes]
    assert len({id(record.metadata) for record in records}) == 7
    assert elapsed < 2  # a query for each name takes several times as long


@pytest.mark.parametrize("size", [1, 2, 3, 63, 64, 255, 256, 257, 1000])
def test_a_commit_of_any_size_makes_every_change(file, size):
    with closing(SqliteStore(file)) as store:
        names = [f"n{number:04}" for number in range(size)]
        model = {}
        commits = [
            [put(name, tags=["old", name]) for name in names],
            [put(name, f"PYRO:{name}@h:1", ["x", name] if int(name[1:]) % 3 else ()) for name in reversed(names)],
            [delete(name) for name in names[::2]],
            [change for name in names[::4] for change in (put(name), delete(name), put(name, tags=["again"]))],
        ]
        for changes in commits:
            store.commit(changes)
            apply_to(model, changes)
            assert stored(store) == model
        assert [record.name for record in store.load()] == names[1::2] + names[::4]
    assert rows(file, "SELECT count(*) FROM pyro_metadata") == [(sum(len(r.metadata) for r in model.values()),)]


def test_a_large_commit_takes_few_steps_of_the_database(file):
    """Between two steps the thread that serves the network takes the interpreter, and gives it back when it likes."""
    with closing(SqliteStore(file)) as store:
        statements = []
        store._db.set_trace_callback(statements.append)
        store.commit([put(f"n{number}", tags=["x"]) for number in range(64)])
    assert len(statements) <= 6, statements
