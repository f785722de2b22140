import dbm
import dbm.dumb
import errno
import os
import shutil
import threading
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec

import pytest
from generated import apply_to, delete, finish_writing, put, stored

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage import dbm as dbm_module
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.dbm import DbmStore
from pyronym.storage.dbm_files import DbmFiles
from pyronym.storage.journal import encode_line


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "names")


def names_in_dbm(path):
    """What another program finds in the dbm."""
    with closing(dbm.open(path, "r")) as db:
        return {key.decode(): db[key].decode() for key in db.keys()}  # noqa: SIM118


def write_dbm(path, names, flag="c"):
    """What a stock Pyro4 does to the dbm."""
    with closing(dbm.open(path, flag, 0o600)) as db:
        for name, uri in names.items():
            if uri is None:
                del db[name.encode()]
            else:
                db[name.encode()] = uri.encode()


def commit(path, *changes):
    with closing(DbmStore(path)) as store:
        store.commit(changes)


def files(path):
    """What there is, besides the files of the dbm itself."""
    return {file.removeprefix("names") for file in os.listdir(os.path.dirname(path))} - {
        "",
        ".dat",
        ".dir",
        ".bak",
        ".db",
    }


def test_after_closing_the_dbm_holds_exactly_names_and_uris(path):
    commit(path, put("a", "PYRO:a@h:1"), put("ü\U0001f600", "PYRO:ü@h:1"), put("gone"), delete("gone"))
    assert names_in_dbm(path) == {"a": "PYRO:a@h:1", "ü\U0001f600": "PYRO:ü@h:1"}
    assert files(path) == set()


def test_a_fresh_file_is_made_even_if_nothing_is_registered(path):
    DbmStore(path).close()
    assert names_in_dbm(path) == {}


def test_a_commit_goes_to_the_journal_and_closing_empties_it(path):
    with closing(DbmStore(path)) as store:
        store.commit([put("a", tags=["x"])])
        assert os.path.getsize(path + ".journal") > 0
        assert stored(store) == {"a": put("a", tags=["x"]).record}
        assert store.get("a") == put("a", tags=["x"]).record
        assert store.get("b") is None
        assert store.count() == 1
    assert files(path) == {".tags"}


def test_metadata_survives(path):
    commit(path, put("a", tags=["x", "ü"]), put("b"))
    with closing(DbmStore(path)) as store:
        assert stored(store) == {"a": put("a", tags=["x", "ü"]).record, "b": put("b").record}


def test_metadata_of_a_name_that_stock_pyro4_removed_is_not_resurrected(path):
    commit(path, put("a", "PYRO:a@h:1", ["x"]), put("b", "PYRO:b@h:1", ["x"]), put("c", "PYRO:c@h:1", ["x"]))
    write_dbm(path, {"a": None, "b": "PYRO:other@h:1", "d": "PYRO:d@h:1"})
    expected = {
        "b": Record("b", "PYRO:other@h:1"),
        "c": put("c", "PYRO:c@h:1", ["x"]).record,
        "d": put("d", "PYRO:d@h:1").record,
    }
    with closing(DbmStore(path)) as store:
        assert stored(store) == expected
        store.commit([put("a", "PYRO:again@h:1")])
    with closing(DbmStore(path)) as store:
        assert stored(store) == expected | {"a": put("a", "PYRO:again@h:1").record}


def test_metadata_that_is_taken_away_stays_away(path):
    commit(path, put("a", tags=["x"]))
    commit(path, put("a"))
    assert files(path) == set()
    with closing(DbmStore(path)) as store:
        assert stored(store) == {"a": put("a").record}


def test_the_permissions_of_the_file_are_kept(path):
    write_dbm(path, {"a": "PYRO:a@h:1"})
    main = next(path + ending for ending in ("", ".dat", ".db", ".pag") if os.path.exists(path + ending))
    os.chmod(main, 0o640)
    commit(path, put("b", tags=["x"]))
    assert {oct(os.stat(file).st_mode & 0o777) for file in (main, path + ".tags")} == {"0o640"}


def test_a_new_file_is_for_its_owner_only(path):
    commit(path, put("a", tags=["x"]))
    folder = os.path.dirname(path)
    assert {os.stat(os.path.join(folder, file)).st_mode & 0o777 for file in os.listdir(folder)} == {0o600}


def test_a_path_without_a_folder_is_in_the_current_one(path, monkeypatch):
    monkeypatch.chdir(os.path.dirname(path))
    commit("names", put("a", tags=["x"]))
    assert names_in_dbm("names") == {"a": "PYRO:o@h:1"}
    assert files(path) == {".tags"}


# The journal and its end


def test_the_dbm_is_written_afresh_when_the_journal_has_grown(path, monkeypatch):
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 10)
    with closing(DbmStore(path)) as store:
        for i in range(11):
            store.commit([put(f"n{i}")])
            finish_writing(store)
            assert not os.path.exists(path + ".dat")
            assert not os.path.exists(path)
            if i == 9:
                break
        store.commit([put("last")])
        finish_writing(store)
        assert len(names_in_dbm(path)) == 11
        assert os.path.getsize(path + ".journal") == 0
        for _ in range(11):
            store.commit([put("a")])
            finish_writing(store)
        assert "a" not in names_in_dbm(path)  # more names, longer journal: the work for each change stays the same
        store.commit([put("a")])
        finish_writing(store)
        assert "a" in names_in_dbm(path)
        assert os.path.getsize(path + ".journal") == 0
    assert files(path) == set()


def writing_that_waits(monkeypatch):
    """Two events: that the writing of a dbm has begun, and that it may go on."""
    begun, may_go_on = threading.Event(), threading.Event()
    write = DbmFiles.write

    def write_later(self, records):
        begun.set()
        assert may_go_on.wait(20)
        write(self, records)

    monkeypatch.setattr(DbmFiles, "write", write_later)
    return begun, may_go_on


def test_changes_go_on_while_the_dbm_is_written_afresh(path, monkeypatch):
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 3)
    begun, may_go_on = writing_that_waits(monkeypatch)
    with closing(DbmStore(path)) as store:
        store.commit([put("a"), put("b", tags=["x"]), put("c"), put("d")])
        assert begun.wait(20)
        meanwhile = [delete("a"), put("b", "PYRO:other@h:1"), put("e", tags=["y"]), put("f")]
        for change in meanwhile:
            store.commit([change])
        expected = {name: put(name).record for name in "cd"} | {change.name: change.record for change in meanwhile[1:]}
        assert stored(store) == expected
        may_go_on.set()
        finish_writing(store)
        assert names_in_dbm(path) == dict.fromkeys("abcd", "PYRO:o@h:1")  # as it was at one moment
        with open(path + ".journal", "rb") as file:
            assert file.read() == b"".join(encode_line([change]) for change in meanwhile)
        with open(path + ".tags", "rb") as file:
            assert file.read() == encode_line([put("b", tags=["x"])])
        assert stored(store) == expected
    with closing(DbmStore(path)) as store:
        assert stored(store) == expected


def test_closing_does_not_wait_until_the_dbm_was_written_beside(path, monkeypatch):
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 3)
    monkeypatch.setattr(dbm_module, "_WORK_SECONDS", -1)
    monkeypatch.setattr(dbm_module, "_PAUSE_SECONDS", 1000)
    store = DbmStore(path)
    store.commit([put(name) for name in "abcd"])
    writer = store._writer
    store.close()
    assert not writer.is_alive()
    assert names_in_dbm(path) == dict.fromkeys("abcd", "PYRO:o@h:1")
    assert files(path) == set()


def test_a_file_that_was_replaced_while_the_dbm_was_written_is_left_alone(path, monkeypatch, caplog):
    commit(path, put("a"))
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 3)
    begun, may_go_on = writing_that_waits(monkeypatch)
    store = DbmStore(path)
    store.commit([put(name) for name in "bcde"])
    assert begun.wait(20)
    shutil.copytree(os.path.dirname(path), path + ".old")
    for ending in os.listdir(path + ".old"):
        if ending.startswith("names.d") or ending in ("names", "names.db"):
            os.replace(os.path.join(path + ".old", ending), os.path.join(os.path.dirname(path), ending))
    may_go_on.set()
    finish_writing(store)
    assert names_in_dbm(path) == {"a": "PYRO:o@h:1"}
    assert "another file was put in its place while it was in use" in caplog.text
    with pytest.raises(StorageError, match="another file was put in its place"):
        store.close()


def test_a_commit_is_good_even_if_the_dbm_cannot_be_written_afresh(path, monkeypatch, caplog):
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 3)
    tried = []

    def full_disk(*arguments):
        tried.append(arguments)
        raise OSError(errno.ENOSPC, "No space left on device")

    with closing(DbmStore(path)) as store:
        with monkeypatch.context() as patch:
            patch.setattr(dbm_module.os, "mkdir", full_disk)
            for i in range(9):
                store.commit([put(f"n{i}")])
                finish_writing(store)
            assert len(tried) == 2  # not with every commit
            assert "its journal grows on" in caplog.text
        assert store.count() == 9
    assert len(names_in_dbm(path)) == 9


def no_quota(*arguments):
    raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_closing_tells_when_the_dbm_cannot_be_written_and_loses_nothing(path, monkeypatch):
    store = DbmStore(path)
    store.commit([put("a", tags=["x"])])
    with monkeypatch.context() as patch:
        patch.setattr(dbm_module.os, "rename", no_quota)
        with pytest.raises(
            StorageError, match=r"cannot write .*names: the disk quota is used up; make room on the disk"
        ):
            store.close()
    with closing(DbmStore(path)) as store:
        assert stored(store) == {"a": put("a", tags=["x"]).record}


# Crashes

BEFORE = {"old": ("PYRO:old@h:1", ["x"]), "stays": ("PYRO:stays@h:1", ["x", "y"]), "plain": ("PYRO:plain@h:1", [])}
CHANGES = [delete("old"), put("new", "PYRO:new@h:1", ["z"]), put("stays", "PYRO:moved@h:1", ["z"]), put("plain")]


KINDS = [
    kind for kind, core in {"dbm.dumb": "dbm.dumb", "dbm.gnu": "_gdbm", "dbm.ndbm": "_dbm"}.items() if find_spec(core)
]
"""Of those that are known to Pythons of all versions, the ones that this Python has."""


class Snapshots:
    """Copies of a folder as a kill would leave it, one before each step that changes something in it."""

    STEPS = ("open", "rename", "replace", "mkdir", "rmdir", "unlink", "fsync", "chmod", "remove")

    def __init__(self, folder, copies, monkeypatch, before_step=lambda: None):
        self.folder = folder
        self.before_step = before_step
        self.copies = copies
        self.taken = []
        self.monkeypatch = monkeypatch
        self.copying = False

    def __enter__(self):
        for step in self.STEPS:
            self.monkeypatch.setattr(os, step, self._taking(step, getattr(os, step)))
        return self

    def __exit__(self, *problem):
        self.monkeypatch.undo()
        self.take("end")

    def _taking(self, step, function):
        def taking(*arguments, **keywords):
            if not self.copying:
                self.take(step)
            return function(*arguments, **keywords)

        return taking

    def take(self, step):
        self.copying = True
        self.before_step()
        copy = os.path.join(self.copies, f"{len(self.taken):03}-{step}")
        shutil.copytree(self.folder, copy)
        self.taken.append(copy)
        self.copying = False


def a_dbm_with_names(tmp_path, kind=None):
    """Its folder, its path, and a model of what is in it: BEFORE."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = str(folder / "names")
    if kind is not None:
        import_module(kind).open(path, "n").close()
    commit(path, *(put(name, *value) for name, value in BEFORE.items()))
    return folder, path, {name: put(name, *value).record for name, value in BEFORE.items()}


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_kill_at_any_step_of_writing_afresh_loses_nothing(tmp_path, monkeypatch, kind):
    folder, path, model = a_dbm_with_names(tmp_path, kind)
    apply_to(model, CHANGES)

    store = DbmStore(path)
    store.commit(CHANGES)
    with Snapshots(folder, tmp_path, monkeypatch) as snapshots:
        store.close()

    assert len(snapshots.taken) > 15
    for copy in snapshots.taken:
        found = os.path.join(copy, "names")
        with closing(DbmStore(found)) as recovered:
            assert stored(recovered) == model, copy
            recovered.commit([put("later")])
        assert names_in_dbm(found) == {name: record.uri for name, record in model.items()} | {"later": "PYRO:o@h:1"}
        assert files(found) == {".tags"}


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_kill_at_any_step_of_writing_afresh_beside_changes_loses_none_of_them(tmp_path, monkeypatch, kind):
    folder, path, model = a_dbm_with_names(tmp_path, kind)
    acknowledged = []  # at each step
    store = DbmStore(path)

    def make_a_change():
        if not store._lock.locked():
            changes = [put(f"during{len(acknowledged)}"), put("stays", f"PYRO:{len(acknowledged)}@h:1", ["z"])]
            store.commit(changes)
            apply_to(model, changes)
        acknowledged.append(dict(model))

    with Snapshots(folder, tmp_path, monkeypatch, make_a_change) as snapshots:
        snapshots.copying = True  # not yet
        store._journal_limit = 0
        store.commit(CHANGES)
        apply_to(model, CHANGES)
        store._journal_limit = 0
        stored(store)
        snapshots.copying = False
        finish_writing(store)
    store.close()

    assert len(snapshots.taken) > 15
    assert len(acknowledged[-1]) > 10
    for copy, expected in zip(snapshots.taken, acknowledged, strict=True):
        with closing(DbmStore(os.path.join(copy, "names"))) as recovered:
            assert stored(recovered) == expected, copy
            recovered.commit([put("later")])
        assert names_in_dbm(os.path.join(copy, "names")).keys() == {*expected, "later"}
        assert files(os.path.join(copy, "names")) == {".tags"}


@pytest.fixture
def unsynced():
    """Nothing waits for the disk: a kill, other than a power cut, takes nothing from the cache of the system."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.mark.usefixtures("unsynced")
def test_a_kill_at_any_step_of_a_recovery_loses_nothing(tmp_path, monkeypatch):
    folder, path, model = a_dbm_with_names(tmp_path)
    apply_to(model, CHANGES)
    store = DbmStore(path)
    store.commit(CHANGES)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Snapshots(folder, first, monkeypatch) as snapshots:
        store.close()
    ready = [copy for copy in snapshots.taken if os.path.exists(os.path.join(copy, "names.new"))]
    assert len(ready) > 3
    for copy in ready:
        with Snapshots(copy, second, monkeypatch) as again:
            DbmStore(os.path.join(copy, "names")).close()
        for inner in again.taken:
            with closing(DbmStore(os.path.join(inner, "names"))) as recovered:
                assert stored(recovered) == model
        shutil.rmtree(second)
        second.mkdir()


def test_a_move_that_fails_half_way_is_completed_before_anything_is_read(path, monkeypatch):
    commit(path, *(put(name, *value) for name, value in BEFORE.items()))
    model = {name: put(name, *value).record for name, value in BEFORE.items()}
    apply_to(model, CHANGES)
    monkeypatch.setattr(dbm_module, "_MIN_JOURNAL", 0)
    replace, moved = os.replace, []

    def replace_once(source, target):
        if moved:
            raise OSError(errno.EIO, "Input/output error")
        moved.append(target)
        replace(source, target)

    with closing(DbmStore(path)) as store:
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace_once)
            store._journal_limit = 0
            store.commit(CHANGES)
            finish_writing(store)
        assert moved
        assert stored(store) == model


def test_a_killed_store_is_recovered_with_all_its_commits(path, tmp_path):
    store = DbmStore(path)
    store.commit([put("a", tags=["x"])])
    store.commit([put("b"), delete("a")])
    copy = tmp_path / "copy"
    shutil.copytree(os.path.dirname(path), copy, ignore=shutil.ignore_patterns("copy"))
    with closing(DbmStore(copy / "names")) as recovered:
        assert stored(recovered) == {"b": put("b").record}
    store.close()


def test_what_a_writing_left_behind_is_in_nobodys_way(path):
    commit(path, put("a"))
    os.mkdir(path + ".writing")
    with open(os.path.join(path + ".writing", "names.dat"), "wb") as file:
        file.write(b"half")
    commit(path, put("b"))
    assert names_in_dbm(path) == {"a": "PYRO:o@h:1", "b": "PYRO:o@h:1"}
    assert files(path) == set()


# Files that cannot be used


def test_a_second_process_is_kept_out(path):
    with closing(DbmStore(path)):
        with pytest.raises(
            StorageError, match=r"cannot open .*names: it is in use by another process; end that process"
        ):
            DbmStore(path, busy_timeout=0)
    DbmStore(path, busy_timeout=0).close()


def test_the_empty_path_is_a_value_error():
    with pytest.raises(ValueError, match="give a file name"):
        DbmStore("")


def test_a_missing_folder(tmp_path):
    with pytest.raises(StorageError, match=r"the folder .*nowhere does not exist; create it first$"):
        DbmStore(tmp_path / "nowhere" / "names")


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(StorageError, match=r"it is a folder; give a file$"):
        DbmStore(tmp_path)


@pytest.mark.parametrize("ending", ["", ".dat", ".dir", ".db"])
def test_a_file_that_is_no_dbm_is_not_written_over(path, ending):
    with open(path + ending, "wb") as file:
        file.write(b"# this is no dbm")
    with pytest.raises(StorageError, match="is not a dbm file, or it is damaged or cannot be read; give another file"):
        DbmStore(path)
    assert os.listdir(os.path.dirname(path)) == ["names" + ending]


def test_a_damaged_dumb_dbm(path):
    with closing(dbm.dumb.open(path, "n")) as db:
        db[b"a"] = b"PYRO:a@h:1"
    for damage in (b"'a', (0\n", b"'a'\n", b"'b', ('x', 'y')\n"):
        with open(path + ".dir", "wb") as file:
            file.write(damage)
        with (
            closing(DbmStore(path)) as store,
            pytest.raises(StorageError, match=r"damaged .*; restore it from a backup"),
        ):
            store.load()


def test_a_dbm_with_keys_that_are_no_text(path):
    with closing(dbm.open(path, "n")) as db:
        db[b"\xff"] = b"PYRO:a@h:1"
    with closing(DbmStore(path)) as store, pytest.raises(StorageError, match=r"damaged .*utf-8"):
        store.load()


def test_a_damaged_tags_file(path):
    commit(path, put("a", tags=["x"]))
    with open(path + ".tags", "ab") as file:
        file.write(b"something else\n")
    with closing(DbmStore(path)) as store, pytest.raises(StorageError, match=r"names.tags: line 2 is damaged"):
        store.load()


def test_a_kind_of_dbm_that_this_python_cannot_read(path, monkeypatch):
    commit(path, put("a"))
    monkeypatch.setattr(dbm, "whichdb", lambda file: "dbm.nothing")
    with (
        closing(DbmStore(path)) as store,
        pytest.raises(StorageError, match=r"this Python has no dbm.nothing; install it"),
    ):
        store.load()


class Forgetful:
    """A dbm that drops the empty name, as some versions of dbm.ndbm do."""

    def __init__(self, db):
        self.db = db
        self.keys, self.close = db.keys, db.close

    def __len__(self):
        return len(self.db)

    def __getitem__(self, key):
        return self.db[key]

    def __setitem__(self, key, value):
        if key:
            self.db[key] = value


def test_names_that_a_kind_of_dbm_drops_stay_in_the_journal(path, monkeypatch):
    open_dumb = dbm.dumb.open
    with closing(open_dumb(path, "n")) as db:
        db[b"a"] = b"PYRO:o@h:1"
    monkeypatch.setattr(dbm.dumb, "open", lambda *arguments: Forgetful(open_dumb(*arguments)))
    store = DbmStore(path)
    store.commit([put(""), put("b")])
    with pytest.raises(
        StorageError, match="cannot hold every name, such as the empty one or long ones; remove such names"
    ):
        store.close()
    with closing(DbmStore(path)) as store:
        assert set(stored(store)) == {"", "a", "b"}
        store.commit([delete("")])
    monkeypatch.undo()
    assert names_in_dbm(path) == {"a": "PYRO:o@h:1", "b": "PYRO:o@h:1"}


def test_a_folder_without_permission(open_folder, without_privileges):
    with (
        without_privileges(),
        pytest.raises(StorageError, match="permission denied; allow reading and writing the file"),
    ):
        DbmStore(open_folder / "names")


def test_a_file_without_permission(open_folder, without_privileges):
    path = str(open_folder / "names")
    commit(path, put("a", tags=["x"]))
    open_folder.chmod(0o777)
    with without_privileges(), pytest.raises(StorageError, match=r"cannot be read|permission denied"):
        with closing(DbmStore(path)) as store:
            store.load()
    assert names_in_dbm(path) == {"a": "PYRO:o@h:1"}


def test_a_refused_change_leaves_journal_and_dbm_as_they_were(path):
    commit(path, put("a"))
    with closing(DbmStore(path)) as store:
        with pytest.raises(ChangeRefusedError, match=r"cannot store in .*names: .*\\ud800.* is not valid Unicode"):
            store.commit([put("b"), Change("\ud800", None)])
        assert os.path.getsize(path + ".journal") == 0
    assert names_in_dbm(path) == {"a": "PYRO:o@h:1"}
