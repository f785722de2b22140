from collections.abc import MutableMapping

import pytest
from generated import delete, put, stored

from pyronym.errors import StorageError
from pyronym.naming_storage import DbmStorage, SqlStorage
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.dbm import DbmStore
from pyronym.storage.mapping import MappingStore, storage_behind
from pyronym.storage.memory import MemoryStorage
from pyronym.storage.sqlite import SqliteStore


class Fragile(MutableMapping):
    """A mapping that breaks on demand."""

    def __init__(self, items=()):
        self.kept = dict(items)
        self.refuses = set()
        self.broken_after = None
        self.closed = 0

    def _use(self, name=None):
        if self.broken_after is not None:
            self.broken_after -= 1
            if self.broken_after < 0:
                raise ConnectionError("the mapping is gone")
        if name in self.refuses:
            raise LookupError(f"no place for {name}")

    def __getitem__(self, name):
        return self.kept[name]

    def __setitem__(self, name, value):
        self._use(name)
        self.kept[name] = value

    def __delitem__(self, name):
        self._use(name)
        del self.kept[name]

    def __iter__(self):
        self._use()
        return iter(self.kept)

    def __len__(self):
        return len(self.kept)

    def close(self):
        self._use()
        self.closed += 1


def test_values_are_uri_and_metadata():
    kept = {}
    MappingStore(kept).commit([put("a", "PYRO:a@h:1", ["x", "y"]), put("b", "PYRO:b@h:1")])
    assert kept == {"a": ("PYRO:a@h:1", {"x", "y"}), "b": ("PYRO:b@h:1", set())}


@pytest.mark.parametrize("metadata", [None, (), [], set(), frozenset(), {}])
def test_no_metadata_has_many_forms(metadata):
    assert stored(MappingStore({"a": ("PYRO:o@h:1", metadata)})) == {"a": put("a").record}


@pytest.mark.parametrize("metadata", [["x", "y", "x"], {"x", "y"}, ("x", "y"), {"x": 1, "y": 2}])
def test_metadata_may_be_any_collection(metadata):
    assert stored(MappingStore({"a": ("PYRO:o@h:1", metadata)})) == {"a": put("a", tags=["x", "y"]).record}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", "PYRO:o@h:1"),
        ("a", ("PYRO:o@h:1",)),
        ("a", None),
        ("a", (b"PYRO:o@h:1", None)),
        ("a", ("PYRO:o@h:1", "text")),
        ("a", ("PYRO:o@h:1", [1])),
        ("a", ("PYRO:o@h:1", [[]])),
        (b"a", ("PYRO:o@h:1", None)),
    ],
)
def test_items_of_another_form_are_an_error(name, value):
    with pytest.raises(StorageError, match=r"^cannot read mapping dict: \w+Error: .*; check the mapping$"):
        MappingStore({name: value}).load()


def test_only_a_dict_answers_at_once():
    assert MappingStore({}).immediate
    assert MappingStore(MemoryStorage()).immediate
    assert MappingStore(MemoryStorage()).description == "memory"
    assert not MappingStore(Fragile()).immediate


def test_a_mapping_that_fails_to_be_read():
    mapping = Fragile()
    mapping.broken_after = 0
    with pytest.raises(
        StorageError, match="cannot read mapping Fragile: ConnectionError: the mapping is gone"
    ) as caught:
        MappingStore(mapping).load()
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_changes_are_taken_back_when_a_later_one_is_refused():
    before = {"a": ("PYRO:a@h:1", {"x"}), "b": ("PYRO:b@h:1", None)}
    mapping = Fragile(before)
    mapping.refuses = {"bad"}
    with pytest.raises(ChangeRefusedError, match="LookupError: no place for bad; nothing was changed") as caught:
        MappingStore(mapping).commit(
            [put("a", "PYRO:new@h:1"), delete("b"), put("c"), put("a", "PYRO:x@h:1"), put("bad")]
        )
    assert mapping.kept == before
    assert isinstance(caught.value.__cause__, LookupError)


def test_changes_that_cannot_be_taken_back_are_named():
    mapping = Fragile({"a": ("PYRO:a@h:1", None)})
    mapping.broken_after = 2
    with pytest.raises(StorageError, match=r"so 2 names may have been changed, such as \['a', 'b'\]$") as caught:
        MappingStore(mapping).commit([put("a", "PYRO:new@h:1"), put("b"), delete("a")])
    assert not isinstance(caught.value, ChangeRefusedError)  # trying again would not help


def test_a_mapping_that_can_be_closed_is_closed_once():
    mapping = Fragile()
    store = MappingStore(mapping)
    store.close()
    store.close()
    assert mapping.closed == 1


def test_a_mapping_that_fails_to_close():
    mapping = Fragile()
    mapping.broken_after = 0
    with pytest.raises(StorageError, match="cannot close mapping Fragile: ConnectionError"):
        MappingStore(mapping).close()


def test_the_storage_behind_a_file_is_used_directly(tmp_path):
    for kind, store in ((SqlStorage, SqliteStore), (DbmStorage, DbmStore)):
        mapping = kind(tmp_path / kind.__name__)
        storage = storage_behind(mapping)
        assert isinstance(storage, store)
        storage.commit([put("a")])
        assert "a" in mapping
        storage.close()


@pytest.mark.parametrize("provider", [None, "sql:names", 5, [], object()])
def test_what_is_neither_mapping_nor_storage_is_refused(provider):
    with pytest.raises(TypeError, match=rf"must be a MutableMapping.*not {type(provider).__name__}"):
        storage_behind(provider)
