"""What every storage does, and every mapping over one: the same, whatever is behind it."""

import tempfile
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path

import pytest
from generated import apply_to, changes, delete, full_changes, names, put, stored, tag_sets, tags, uris
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyronym.directory.directory import Directory
from pyronym.errors import StorageError
from pyronym.naming_storage import DbmStorage, SqlStorage
from pyronym.storage.base import ChangeRefusedError, Storage
from pyronym.storage.dbm import DbmStore
from pyronym.storage.mapping import MappingStore, storage_behind
from pyronym.storage.memory import MemoryStorage
from pyronym.storage.sqlite import SqliteStore

contract = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a folder for each example costs no time."""


class UserMapping(MutableMapping):
    """A mapping as users make them. It keeps metadata in its own form, and takes only names that are valid text."""

    def __init__(self, kept):
        self.kept = kept

    def __getitem__(self, name):
        uri, tags = self.kept[name.encode()]
        return uri.decode(), [tag.decode() for tag in tags] or None

    def __setitem__(self, name, value):
        uri, tags = value
        self.kept[name.encode()] = uri.encode(), [tag.encode() for tag in tags]

    def __delitem__(self, name):
        del self.kept[name.encode()]

    def __len__(self):
        return len(self.kept)

    def __iter__(self):
        return iter([name.decode() for name in self.kept])


class Place:
    """Somewhere to keep records: a folder, and a dict for the storages that have no file."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.kept = {}
        self.memory = MemoryStorage()

    @property
    def file(self):
        return str(self.folder / "names")


STORAGES = {
    "dict": lambda place: MappingStore(place.kept),
    "memory": lambda place: storage_behind(place.memory),
    "user": lambda place: storage_behind(UserMapping(place.kept)),
    "sql": lambda place: SqliteStore(place.file),
    "dbm": lambda place: DbmStore(place.file),
    "SqlStorage": lambda place: storage_behind(SqlStorage(place.file)),
    "DbmStorage": lambda place: storage_behind(DbmStorage(place.file)),
}
MAPPINGS = {
    "memory": lambda place: place.memory,
    "sql": lambda place: SqlStorage(place.file),
    "dbm": lambda place: DbmStorage(place.file),
}
IN_FILES = ["sql", "dbm"]


@pytest.fixture(params=STORAGES)
def open_storage(request):
    return STORAGES[request.param]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


REOPEN = "reopen"


def steps_of(changes):
    return st.lists(st.lists(changes, max_size=5) | st.just(REOPEN), max_size=8)


@contract
@given(steps=steps_of(changes))
def test_any_sequence_of_commits_equals_a_plain_dict(open_storage, steps):
    assert_equals_a_dict(open_storage, steps)


@contract
@given(steps=steps_of(full_changes))
@pytest.mark.parametrize("kind", IN_FILES)
def test_files_keep_owners_and_leases_too(kind, steps):
    assert_equals_a_dict(STORAGES[kind], steps)


def assert_equals_a_dict(open_storage, steps):
    model = {}
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        place = Place(folder)
        storage = open_storage(place)
        for step in steps:
            if step == REOPEN:
                storage.close()
                storage = open_storage(place)
            else:
                storage.commit(step)
                apply_to(model, step)
            assert stored(storage) == model
        storage.close()
        with closing(open_storage(place)) as storage:
            assert stored(storage) == model


def test_it_is_a_storage(open_storage, place):
    with closing(open_storage(place)) as storage:
        assert isinstance(storage, Storage)
        assert storage_behind(storage) is storage
        assert storage.description
        assert isinstance(storage.immediate, bool)


@pytest.mark.parametrize("kind", sorted(STORAGES.keys() - {"dbm", "DbmStorage"}))  # most kinds of dbm have their own
def test_order_of_registration_is_kept(kind, place):
    open_storage = STORAGES[kind]
    with closing(open_storage(place)) as storage:
        storage.commit([put("b"), put("a"), put("c")])
        storage.commit([put("b", "PYRO:again@h:1", ["x"])])
        storage.commit([delete("a"), put("d"), put("a")])
        assert list(stored(storage)) == ["b", "c", "d", "a"]
    with closing(open_storage(place)) as storage:
        assert list(stored(storage)) == ["b", "c", "d", "a"]


def test_what_is_loaded_fits_into_a_directory(open_storage, place):
    with closing(open_storage(place)) as storage:
        storage.commit([put("b", tags=["x"]), put("a", tags=["x", "y"]), put("c")])
        directory = Directory()
        directory.load(storage.load())
    assert [record.name for record in directory.with_prefix("")] == ["a", "b", "c"]
    assert {record.name for record in directory.with_all(["x"])} == {"a", "b"}


@pytest.mark.parametrize("bad", [put("\ud800"), put("a", "PYRO:\udfff@h:1"), put("a", tags=["ok", "\udc80"])])
@pytest.mark.parametrize("kind", sorted(STORAGES.keys() - {"dict", "memory"}))  # those keep any str
def test_a_text_with_half_a_surrogate_pair_is_refused_with_its_whole_commit(kind, place, bad):
    with closing(STORAGES[kind](place)) as storage:
        storage.commit([put("a", "PYRO:before@h:1", ["before"])])
        with pytest.raises(ChangeRefusedError, match="surrogate"):
            storage.commit([put("b"), delete("a"), bad, put("c")])
        assert stored(storage) == {"a": put("a", "PYRO:before@h:1", ["before"]).record}
        storage.commit([put("b")])
        assert set(stored(storage)) == {"a", "b"}


def test_a_closed_storage_says_so(open_storage, place):
    storage = open_storage(place)
    storage.close()
    storage.close()
    with pytest.raises(StorageError, match="closed"):
        storage.commit([put("a")])
    with pytest.raises(StorageError, match="closed"):
        storage.load()


def test_deleting_what_does_not_exist_is_no_error(open_storage, place):
    with closing(open_storage(place)) as storage:
        storage.commit([delete("nobody")])
        assert stored(storage) == {}


mapping_steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), names, st.tuples(uris, st.lists(tags, max_size=4) | st.none())),
        st.tuples(st.just("del"), names),
        st.tuples(st.just("pop"), names),
        st.tuples(st.just("setdefault"), names, st.tuples(uris, tag_sets)),
        st.tuples(st.just("update"), st.dictionaries(names, st.tuples(uris, tag_sets), max_size=3)),
        st.tuples(st.just("clear")),
        st.tuples(st.just(REOPEN)),
    ),
    max_size=8,
)


def do(mapping, step):
    """One step on a mapping or on its model: what it gives or raises."""
    what, *arguments = step
    try:
        if what == "set":
            mapping[arguments[0]] = arguments[1]
        elif what == "del":
            del mapping[arguments[0]]
        else:
            return plain(getattr(mapping, what)(*arguments))
    except KeyError as missing:
        return missing.args
    return None


def plain(value):
    """A value of a mapping with its metadata as a set, whatever collection it is."""
    if isinstance(value, tuple):
        return value[0], set(value[1] or ())
    return value


@contract
@given(steps=mapping_steps, asked=names)
@pytest.mark.parametrize("make", MAPPINGS.values(), ids=MAPPINGS)
def test_any_sequence_of_operations_on_a_mapping_equals_a_plain_dict(make, steps, asked):
    model = {}
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        place = Place(folder)
        mapping = make(place)
        for step in steps:
            if step[0] == REOPEN:
                mapping = make(place)  # without a close: programs never do that
            else:
                assert do(mapping, step) == do(model, step)
        expected = {name: plain(value) for name, value in model.items()}
        assert {name: plain(value) for name, value in mapping.items()} == expected
        assert len(mapping) == len(model)
        assert sorted(mapping) == sorted(model)
        assert (asked in mapping) == (asked in model)
        assert plain(mapping.get(asked)) == expected.get(asked)
        assert [plain(value) for value in mapping.values()] == [expected[name] for name in mapping]
        if hasattr(mapping, "optimized_prefix_list"):
            with_prefix = {name: value for name, value in expected.items() if name.startswith(asked)}
            assert mapping.optimized_prefix_list(asked, True) == with_prefix


@contract
@given(items=st.dictionaries(names, st.tuples(uris, tag_sets), max_size=6), wanted=tag_sets, removed=st.lists(names))
@pytest.mark.parametrize("kind", IN_FILES)
def test_the_searches_of_a_mapping_equal_brute_force(kind, items, wanted, removed):
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        mapping = MAPPINGS[kind](Place(folder))
        mapping.update(items)
        expected = {name: plain(value) for name, value in items.items()}
        assert mapping.everything(return_metadata=True) == expected
        assert mapping.everything() == {name: uri for name, (uri, _) in items.items()}
        with_all = {name: value for name, value in expected.items() if wanted <= value[1]}
        assert mapping.optimized_metadata_search(metadata_all=wanted, return_metadata=True) == with_all
        with_any = {name: value for name, value in expected.items() if wanted & value[1]}
        assert mapping.optimized_metadata_search(metadata_any=wanted, return_metadata=True) == with_any
        mapping.remove_items(removed)
        assert set(mapping) == set(items) - set(removed)
        mapping.clear()
        assert len(mapping) == 0
