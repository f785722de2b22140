"""Files with damage in every place: they are refused as they are, and all that can be read is read."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from generated import put, stored
from killing import STORES

from pyronym.errors import StorageError
from pyronym.storage.salvage import salvage_dbm, salvage_sqlite
from pyronym.storage.sqlite import SqliteStore

PAGE = 4096
ROUNDS = 300
CHANGES = [
    put(
        f"name{i}", f"PYRO:obj_{i * 7919}@host:{i}" + "x" * (9000 if i % 50 == 0 else 0), [f"t{i % 7}", "tag" * (i % 5)]
    )
    for i in range(400)
]
RECORDS = {change.name: change.record for change in CHANGES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a database with all kinds of pages: of tables, indexes and overflows, and inner ones."""
    file = tmp_path_factory.mktemp("whole") / "names"
    with closing(SqliteStore(file)) as store:
        store.commit(CHANGES)
        store._db.execute("PRAGMA secure_delete = OFF")  # so that what was deleted is still there to be found
        store.commit([put(f"gone{i}", tags=["x" * 50]) for i in range(200)])
        store.commit([put(f"gone{i}").__class__(f"gone{i}", None) for i in range(200)])  # leaves free pages
    return file.read_bytes()


def damage(data, chance, number):
    """The bytes with damage of some kind, in every second case where the structure of a page is."""
    damaged = bytearray(data)
    at = chance.randrange(len(data))
    if number % 2:
        at = at - at % PAGE + chance.randrange(12)
    match chance.choice(["byte", "bit", "sector", "page", "zeros", "short"]):
        case "byte":
            damaged[at] = chance.randrange(256)
        case "bit":
            damaged[at] ^= 1 << chance.randrange(8)
        case "sector":
            at -= at % 512
            damaged[at : at + 512] = chance.randbytes(512)
        case "page":
            at -= at % PAGE
            damaged[at : at + PAGE] = chance.randbytes(PAGE)
        case "zeros":
            at -= at % PAGE
            damaged[at : at + PAGE] = bytes(PAGE)
        case "short":
            del damaged[max(at, 1) :]
    return bytes(damaged)


def opened(kind, file):
    """What a storage has, and why it is refused; one of them is empty."""
    try:
        with closing(STORES[kind](file)) as store:
            return {record.name: record for record in store.load()}, ""
    except StorageError as problem:
        return {}, str(problem)


def test_a_damaged_database_is_refused_and_left_as_it_is_or_all_names_are_there(whole, tmp_path):
    chance = random.Random(1)
    refused = 0
    for number in range(ROUNDS):
        file = tmp_path / f"names{number}"
        file.write_bytes(damage(whole, chance, number))
        before = file.read_bytes()
        records, refusal = opened("sql", file)
        if refusal:
            assert str(file) in refusal
            assert "pyronym salvage" in refusal
            assert file.read_bytes() == before
            refused += 1
        else:  # in the free pages, or within a text that no index has
            assert len(records) == len(RECORDS)
            changed = {name for name, record in RECORDS.items() if records.get(name) != record}
            assert len(changed) <= 1
    assert refused > ROUNDS // 2


def test_a_large_file_is_checked_as_far_as_that_is_quick(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("pyronym.storage.sqlite_check._SMALL", 0)
    chance = random.Random(2)
    for number in range(ROUNDS // 3):
        file = tmp_path / f"names{number}"
        file.write_bytes(damage(whole, chance, number))
        records, refusal = opened("sql", file)
        assert "pyronym salvage" in refusal or len(records) == len(RECORDS)


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_database_that_is_gone_is_not_begun_anew_beside_its_changes(content, tmp_path):
    file, copy = tmp_path / "names", tmp_path / "copy"
    with closing(SqliteStore(file)) as store:
        store.commit([put("a")])
        shutil.copyfile(f"{file}-wal", f"{copy}-wal")
    wal = Path(f"{copy}-wal").read_bytes()
    for _ in range(2):
        with pytest.raises(StorageError, match=r"database is (missing or empty|damaged|.*shorter)"):
            SqliteStore(copy)
        assert Path(f"{copy}-wal").read_bytes() == wal
        copy.write_bytes(content)
    assert {record.name for record in salvage_sqlite(str(copy)).records} == {"a"}


# Salvage


def test_all_of_a_whole_database_is_salvaged_and_nothing_that_was_deleted(whole, tmp_path):
    file = tmp_path / "names"
    file.write_bytes(whole)
    found = salvage_sqlite(str(file))
    assert {record.name: record for record in found.records} == RECORDS
    assert found.losses == []


def test_a_page_that_is_lost_takes_nothing_with_it_but_what_was_on_it(whole, tmp_path):
    chance = random.Random(3)
    file = tmp_path / "names"
    for at in range(0, len(whole), PAGE):
        file.write_bytes(whole[:at] + chance.randbytes(PAGE) + whole[at + PAGE :])
        found = salvage_sqlite(str(file))
        records = {record.name: record for record in found.records if not record.name.startswith("gone")}
        here = {name for name, record in RECORDS.items() if f"{record.uri[:20]}".encode() in whole[at : at + PAGE]}
        lost = RECORDS.keys() - records.keys()
        long = {name for name in RECORDS if len(RECORDS[name].uri) > 5000}  # on several pages
        assert lost <= here | long
        assert len(lost & long) <= 2 or lost <= here
        if lost:
            assert any(loss.startswith(f"{len(lost)} names are lost: ") for loss in found.losses)
        for name, record in records.items():
            assert record.uri == RECORDS[name].uri
            assert record.metadata <= RECORDS[name].metadata
        if any(record != RECORDS[name] for name, record in records.items()):
            assert any("have lost tags: " in loss for loss in found.losses)
        if at == 0:
            assert records == RECORDS
            assert any("names that had been removed may be among" in loss for loss in found.losses)


def test_salvage_ends_and_gives_texts_whatever_the_bytes(whole, tmp_path):
    chance = random.Random(4)
    file = tmp_path / "names"
    for number in range(ROUNDS):
        data = whole
        for _ in range(chance.choice([1, 3, 30])):
            data = damage(data, chance, number) if len(data) > PAGE else whole
        file.write_bytes(data)
        for record in salvage_sqlite(str(file)).records:
            assert isinstance(record.uri, str)
    for data in (b"", b"x", b"SQLite format 3\0", chance.randbytes(50_000), bytes(50_000)):
        file.write_bytes(data)
        assert salvage_sqlite(str(file)).records == []


def test_the_wal_is_read_as_far_as_it_is_whole_unless_it_is_left_out(tmp_path):
    file, copy = tmp_path / "names", tmp_path / "copy"
    with closing(SqliteStore(file)) as store:
        store.commit([put("a", "PYRO:first@h:1")])
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(20):
            store.commit([put("a", f"PYRO:{number}@h:1"), put(f"b{number}", tags=["x"])])
        shutil.copyfile(file, copy)
        wal = Path(f"{file}-wal").read_bytes()
    broken = bytearray(wal)
    broken[len(wal) // 2] ^= 1
    for data, expected in ((wal, range(21, 22)), (bytes(broken), range(5, 17)), (wal[:40], range(1, 2))):
        Path(f"{copy}-wal").write_bytes(data)
        found = {record.name: record for record in salvage_sqlite(str(copy)).records}
        assert len(found) in expected
        assert found["a"].uri == ("PYRO:first@h:1" if len(found) == 1 else f"PYRO:{len(found) - 2}@h:1")
        assert all(record.metadata == {"x"} for name, record in found.items() if name != "a")
        alone = salvage_sqlite(str(copy), with_wal=False)
        assert [record.uri for record in alone.records] == ["PYRO:first@h:1"]


@pytest.fixture
def dbm_file(tmp_path):
    """A dbm with 100 names, half of them with tags, and a journal with changes on top of it."""
    file = tmp_path / "names"
    with closing(STORES["dbm"](file)) as store:
        store.commit([put(f"n{i}", f"PYRO:{i}@h:1", ["tag"] if i % 2 else []) for i in range(100)])
    store = STORES["dbm"](file)
    for number in range(10):
        store.commit([put(f"j{number}"), put(f"n{number}").__class__(f"n{number}", None)])
    store._journal._file.close()  # as if it had been killed
    return file


def test_all_of_a_whole_dbm_is_salvaged(dbm_file):
    found = salvage_dbm(str(dbm_file))
    with closing(STORES["dbm"](dbm_file)) as store:
        assert {record.name: record for record in found.records} == stored(store)
    assert found.losses == []


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (".journal", "names.journal: 1 lines are damaged: "),
        (".tags", "names.tags: 1 lines are damaged: "),
        (".dir", "1 names are lost: lines "),
    ],
)
def test_a_damaged_line_of_a_dbm_costs_what_is_in_it(dbm_file, part, says):
    with closing(STORES["dbm"](shutil.copytree(dbm_file.parent, dbm_file.parent / "copy") / "names")) as store:
        expected = stored(store)
    file = Path(f"{dbm_file}{part}")
    data = file.read_bytes().split(b"\n")
    at = min(30, len(data) - 4)  # not a name that the journal removes
    data[at] = data[at][:5] + b"\xff" + data[at][6:]
    file.write_bytes(b"\n".join(data))
    before = {path: path.read_bytes() for path in dbm_file.parent.iterdir() if path.is_file()}
    found = salvage_dbm(str(dbm_file))
    records = {record.name: record for record in found.records}
    assert sum(records.get(name) != record for name, record in expected.items()) == 1
    assert any(says in loss for loss in found.losses)
    assert {path: path.read_bytes() for path in dbm_file.parent.iterdir() if path.is_file()} == before


def test_a_damaged_dbm_is_refused_or_read_without_a_traceback(dbm_file, tmp_path):
    chance = random.Random(5)
    parts = [path for path in dbm_file.parent.iterdir() if path.is_file()]
    for number in range(ROUNDS // 2):
        folder = tmp_path / f"damaged{number}"
        folder.mkdir()
        victim = chance.choice(parts)
        for path in parts:
            data = path.read_bytes()
            (folder / path.name).write_bytes(damage(data, chance, number) if path == victim else data)
        salvaged = {record.name for record in salvage_dbm(str(folder / "names")).records}
        records, refusal = opened("dbm", folder / "names")
        assert str(folder) in refusal or records.keys() <= salvaged
