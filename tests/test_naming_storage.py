"""What the contract of all storages does not say about the two storages in files, used as mappings."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from contextlib import closing

import pytest

from pyronym.errors import BadPatternError, NamingError, StorageError
from pyronym.naming_storage import DbmStorage, SqlStorage

KINDS = [SqlStorage, DbmStorage]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "names")


@pytest.fixture
def storage(kind, file):
    return kind(file)


def test_values_are_uri_and_set(storage):
    assert isinstance(storage, MutableMapping)
    storage["a"] = "PYRO:a@h:1", ["x", "y", "x"]
    storage["b"] = "PYRO:b@h:1", None
    assert storage["a"] == ("PYRO:a@h:1", {"x", "y"})
    assert storage["b"] == ("PYRO:b@h:1", set())
    assert type(storage["a"][1]) is set
    assert storage == {"a": ("PYRO:a@h:1", {"x", "y"}), "b": ("PYRO:b@h:1", set())}


def test_a_set_that_was_given_out_is_not_the_stored_one(storage):
    storage["a"] = "PYRO:a@h:1", ["x"]
    storage["a"][1].add("y")
    assert storage["a"][1] == {"x"}


def test_an_unknown_name_is_a_key_error(storage):
    with pytest.raises(KeyError, match="nobody"):
        storage["nobody"]
    with pytest.raises(KeyError, match="nobody"):
        del storage["nobody"]
    with pytest.raises(KeyError):
        storage[5]
    assert 5 not in storage
    assert "nobody" not in storage
    assert storage.get("nobody") is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (5, ("PYRO:a@h:1", None), "name must be a str"),
        ("a", (5, None), "uri must be a str, not int"),
        ("a", ("PYRO:a@h:1", "text"), "should not be a str"),
        ("a", ("PYRO:a@h:1", [5]), "collection of str"),
        ("a", ("PYRO:a@h:1", 5), "collection of str"),
    ],
)
def test_values_of_wrong_types_are_refused(storage, name, value, words):
    with pytest.raises(TypeError, match=words):
        storage[name] = value
    assert len(storage) == 0


def test_names_differ_by_case_and_wildcards_mean_nothing(storage):
    for name in ("app_1", "appX1", "APP_1", "app%"):
        storage[name] = f"PYRO:{len(storage)}@h:1", None
    assert set(storage.optimized_prefix_list("app_")) == {"app_1"}
    assert set(storage.optimized_prefix_list("app%")) == {"app%"}
    assert set(storage.optimized_prefix_list("")) == set(storage)
    assert storage.optimized_prefix_list("APP", return_metadata=True) == {"APP_1": ("PYRO:2@h:1", set())}


def test_a_regular_expression_starts_where_names_start(storage):
    for name in ("abc", "xabc", "ab"):
        storage[name] = "PYRO:a@h:1", ["x"]
    assert storage.optimized_regex_list("ab.") == {"abc": "PYRO:a@h:1"}
    assert storage.optimized_regex_list("ab$", return_metadata=True) == {"ab": ("PYRO:a@h:1", {"x"})}
    with pytest.raises(BadPatternError, match="invalid regex: "):
        storage.optimized_regex_list("(")


def test_metadata_searches(storage):
    storage.update({"a": ("A", ["x", "y"]), "b": ("B", ["y"]), "c": ("C", [])})
    assert storage.optimized_metadata_search(metadata_all=["y", "x", "x"]) == {"a": "A"}
    assert storage.optimized_metadata_search(metadata_any=["y", "z"]) == {"a": "A", "b": "B"}
    assert storage.optimized_metadata_search(["y"], ["x"]) == {"a": "A"}
    assert storage.optimized_metadata_search(metadata_any=[]) == {}
    assert storage.optimized_metadata_search(metadata_all=[]) == {"a": "A", "b": "B", "c": "C"}
    assert storage.optimized_metadata_search() == {"a": "A", "b": "B", "c": "C"}
    assert storage.optimized_metadata_search(["x"], return_metadata=True) == {"a": ("A", {"x", "y"})}


def test_removing_items_skips_those_that_are_not_there(storage):
    storage.update({"a": ("A", None), "b": ("B", None)})
    storage.remove_items(["a", "nobody", "a"])
    assert storage.everything() == {"b": "B"}
    storage.remove_items(iter([]))
    storage.clear()
    assert storage.everything() == {}


def test_every_operation_leaves_the_file_whole_for_others(kind, file, tmp_path):
    storage = kind(file)
    storage["a"] = "PYRO:a@h:1", ["x"]
    del storage["a"]
    storage["b"] = "PYRO:b@h:1", None
    left = {name.removeprefix("names") for name in os.listdir(tmp_path)}
    assert not left & {".journal", ".new", ".writing", "-wal", "-shm"}


def test_a_second_mapping_on_the_file_sees_each_change_at_once(kind, file):
    one, other = kind(file), kind(file)
    one["a"] = "PYRO:a@h:1", ["x"]
    assert other["a"] == ("PYRO:a@h:1", {"x"})
    del other["a"]
    assert "a" not in one


def test_threads_may_share_a_mapping(storage):
    problems = []

    def work(number):
        try:
            for i in range(10):
                storage[f"{number}.{i}"] = "PYRO:a@h:1", [str(number)]
                assert storage[f"{number}.{i}"] == ("PYRO:a@h:1", {str(number)})
            del storage[f"{number}.0"]
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(storage) == 36


PROGRAM = """
import os, sys
from pyronym.naming_storage import SqlStorage
storage = SqlStorage(sys.argv[1])
children = []
for number in range(3):
    child = os.fork()
    if not child:
        for i in range(10):
            storage[f"{number}.{i}"] = "PYRO:a@h:1", ["x"]
        os._exit(0)
    children.append(child)
storage["parent"] = "PYRO:a@h:1", ["x"]
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def test_forked_processes_may_share_an_sqlite_file(file):
    answer = subprocess.run([sys.executable, "-c", PROGRAM, file], capture_output=True, text=True, timeout=60)
    assert answer.stdout == "[0, 0, 0]\n", answer.stderr
    assert len(SqlStorage(file)) == 31
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_closed_storage_says_so(storage):
    storage["a"] = "PYRO:a@h:1", None
    storage.close()
    storage.close()
    for use in (
        lambda: storage["a"],
        lambda: len(storage),
        lambda: list(storage),
        lambda: storage.everything(),
        lambda: storage.update(b=("PYRO:b@h:1", None)),
        lambda: storage.store,
    ):
        with pytest.raises(StorageError, match="closed"):
            use()


def test_the_store_is_opened_once_and_then_used_by_the_mapping_too(kind, file):
    storage = kind(file)
    store = storage.store
    assert storage.store is store
    storage["a"] = "PYRO:a@h:1", ["x"]
    assert [record.name for record in store.load()] == ["a"]
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        store.load()
    with pytest.raises(StorageError, match="closed"):
        storage["a"]
    assert kind(file)["a"] == ("PYRO:a@h:1", {"x"})


def test_a_file_that_cannot_be_used_is_found_out_at_once(kind, tmp_path):
    with pytest.raises(NamingError, match="does not exist; create it first"):
        kind(tmp_path / "nowhere" / "names")


def test_a_database_in_memory_is_refused_as_by_stock_pyro4():
    with pytest.raises(ValueError, match="don't support the sqlite :memory: database"):
        SqlStorage(":memory:")


def test_the_file_is_an_attribute(kind, file):
    storage = kind(file)
    assert getattr(storage, {SqlStorage: "dbfile", DbmStorage: "dbmfile"}[kind]) == file


def test_a_name_server_has_an_sqlite_file_for_itself_but_mappings_can_be_used(file):
    with closing(SqlStorage(file)) as storage, closing(SqlStorage(file)) as other:
        assert storage.store
        other["a"] = "PYRO:a@h:1", ["x"]
        assert storage["a"] == ("PYRO:a@h:1", {"x"})
        with pytest.raises(StorageError, match="another name server is using it"):
            other.store  # noqa: B018  # to ask is to open
