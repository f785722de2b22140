"""`pyronym check`, `salvage` and `backup`, as their users run them."""

from __future__ import annotations

import itertools
import os
import re
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

import pyronym
from processes import PYRONYM, run
from pyronym.directory.record import Change, Record
from pyronym.errors import SecurityError
from pyronym.storage.dbm import DbmStore
from pyronym.storage.sqlite import SqliteStore

STORES = {"sql": SqliteStore, "dbm": DbmStore}
KINDS = pytest.mark.parametrize("kind", STORES)
RECORDS = {f"n{i}": Record(f"n{i}", f"PYRO:{i}@h:1", frozenset({"tag"} if i % 2 else ())) for i in range(300)}


def command(*arguments):
    done = run([PYRONYM, *arguments])
    assert "Traceback" not in done.stderr
    return done


def stored(kind, file):
    with closing(STORES[kind](file)) as store:
        return {record.name: record for record in store.load() if record.name != "Pyro.NameServer"}


def bytes_of(folder):
    """All files; an empty journal is nothing but a lock."""
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: data for path, data in files.items() if data or path.suffix != ".journal"}


@pytest.fixture
def file(kind, tmp_path):
    file = tmp_path / "names"
    with closing(STORES[kind](file)) as store:
        store.commit([Change(name, record) for name, record in RECORDS.items()])
    return file


def break_it(kind, file):
    """Damage that costs some names but not all; the first bytes are whole."""
    place = file if kind == "sql" else Path(f"{file}.dir")
    data = bytearray(place.read_bytes())
    uri = data.find(b"PYRO:150@h:1")
    at = uri - uri % 4096 if kind == "sql" else 100
    data[at : at + 30] = b"\xff" * 30
    place.write_bytes(data)


# check


@KINDS
def test_a_whole_storage_is_whole_and_not_changed_by_a_look_at_it(kind, file, tmp_path):
    before = bytes_of(tmp_path)
    for name in (file, f"{kind}:{file}"):
        done = command("check", name)
        assert (done.status, done.stdout, done.stderr) == (0, f"{file} is whole\n", "")
    assert bytes_of(tmp_path) == before


@KINDS
def test_a_storage_in_use_can_be_checked(kind, file, serve):
    server = serve(storage=f"{kind}:{file}")
    with pyronym.locateNS(server.host, server.port) as nameserver:
        nameserver.register("new", "PYRO:o@h:1")
        assert command("check", file).status == 0
        nameserver.register("newer", "PYRO:o@h:1")
    server.process.kill()
    assert command("check", file).status == 0
    assert {"new", "newer"} <= stored(kind, file).keys()


@KINDS
def test_damage_is_told_with_what_to_do(kind, file, tmp_path):
    break_it(kind, file)
    before = bytes_of(tmp_path)
    done = command("check", file)
    assert done.status == 1
    assert str(file) in done.stdout.splitlines()[0]
    assert f"damaged; save what can be read in it with: pyronym salvage {kind}:{file} NEWFILE" in done.stdout
    assert bytes_of(tmp_path) == before
    done = run([PYRONYM, "serve", "-p", "0", "-s", f"{kind}:{file}"])
    assert done.status == 1
    assert "damaged" in done.stderr
    assert "pyronym salvage" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("verb", ["check", "salvage", "backup"])
def test_what_is_no_storage_is_bad_usage(verb, tmp_path):
    (tmp_path / "text").write_text("no storage")
    rest = [] if verb == "check" else [tmp_path / "new"]
    for name, says in (
        (tmp_path / "nothing", r"there is no storage"),
        (f"sql:{tmp_path}/nothing", r"there is no storage"),
        (tmp_path / "text", rf"write sql:{tmp_path}/text or dbm:{tmp_path}/text"),
        ("", r"there is no storage ''"),
    ):
        done = command(verb, name, *rest)
        assert done.status == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert command(verb).status == 2
    assert not (tmp_path / "new").exists()


def test_a_database_whose_head_is_lost_is_checked_when_its_kind_is_said(tmp_path):
    file = tmp_path / "names"
    file.write_bytes(b"\xff" * 8192)
    done = command("check", f"sql:{file}")
    assert done.status == 1
    assert "not a database" in done.stdout


@KINDS
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("text", "it is not a SQLite database|not a dbm file"),
        ("folder", "it is a folder"),
        ("pipe", "it is a device, a pipe or a socket"),
        ("device", "it is a device, a pipe or a socket"),
        ("socket", "it is a device, a pipe or a socket"),
        ("missing folder", "does not exist|Not a directory"),
        ("other database", "it belongs to another program|not a dbm file"),
    ],
)
def test_a_server_does_not_start_on_what_is_no_storage(kind, what, says, tmp_path):
    path = tmp_path / "names"
    with socket.socket(socket.AF_UNIX) as sock:
        match what:
            case "text":
                path.write_text("no storage\n" * 1000)
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/full")
            case "socket":
                sock.bind(str(path))
            case "missing folder":
                path = path / "names"
            case "other database":
                with closing(sqlite3.connect(path)) as db:
                    db.execute("CREATE TABLE cookies(name)")
        before = bytes_of(tmp_path)
        done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-s", f"{kind}:{path}"])
        assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith(f"pyronym: error: cannot open {path}: ")
        assert re.search(says, done.stderr)
        assert bytes_of(tmp_path) == before


@KINDS
def test_a_server_does_not_start_on_a_storage_in_use_or_one_that_it_may_not_read(kind, open_folder, serve):
    file = open_folder / "names"
    command = [PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-s", f"{kind}:{file}"]
    server = serve(storage=f"{kind}:{file}")
    done = run(command)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert re.search(r"in use|using it", done.stderr)
    assert server.process.terminate() == 0
    for path in open_folder.iterdir():
        path.chmod(0o600)
    if os.geteuid() == 0:
        done = run([*command, "--user", "nobody"])
        assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert f"cannot open {file}: " in done.stderr
        assert re.search(r"permission|cannot be read", done.stderr)


# salvage


@KINDS
def test_a_salvaged_storage_can_be_served_and_the_damaged_one_is_not_touched(kind, file, tmp_path, serve):
    break_it(kind, file)
    before = bytes_of(tmp_path)
    new = tmp_path / "saved" / "names"
    new.parent.mkdir()
    done = command("salvage", file, new)
    assert done.status == 1
    saved = stored(kind, new)
    assert done.stdout.startswith(f"{len(saved)} names were saved to {new}\n")
    assert "lost" in done.stdout
    assert saved
    assert len(saved) < len(RECORDS)
    assert all(RECORDS[name].uri == record.uri for name, record in saved.items())
    assert {path: data for path, data in bytes_of(tmp_path).items() if path.parent == tmp_path} == before
    server = serve(storage=f"{kind}:{new}")
    with pyronym.locateNS(server.host, server.port) as nameserver:
        assert nameserver.count() == len(saved) + 1
    assert command("check", new).status == 0


@KINDS
def test_all_of_a_whole_storage_is_salvaged(kind, file, tmp_path):
    done = command("salvage", file, tmp_path / "new")
    assert (done.status, done.stdout) == (0, f"300 names were saved to {tmp_path}/new\n")
    assert stored(kind, tmp_path / "new") == RECORDS


@KINDS
def test_salvage_writes_over_nothing(kind, file, tmp_path):
    other = tmp_path / "other"
    with closing(STORES[kind](other)):
        pass
    before = bytes_of(tmp_path)
    for target in (other, file):
        done = command("salvage", file, target)
        assert done.status == 2
        assert "exists already (expected a file that does not)" in done.stderr
    assert bytes_of(tmp_path) == before


def test_where_nothing_can_be_read_nothing_is_written(tmp_path):
    (tmp_path / "names").write_bytes(b"\xff" * 8192)
    done = command("salvage", f"sql:{tmp_path}/names", tmp_path / "new")
    assert done.status == 1
    assert "no name can be read" in done.stderr
    assert os.listdir(tmp_path) == ["names"]


# backup


@KINDS
def test_a_backup_under_load_is_the_storage_at_one_moment(kind, file, tmp_path, serve):
    server = serve(storage=f"{kind}:{file}")
    done = threading.Event()
    acknowledged = []

    def work():
        with pyronym.locateNS(server.host, server.port) as nameserver:
            for number in itertools.count():
                nameserver.register("left", f"PYRO:{number}@h:1")
                nameserver.register("right", f"PYRO:{number}@h:1")
                nameserver.register(f"w{number}", "PYRO:o@h:1")
                acknowledged.append(number)
                if done.is_set():
                    return

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(6):
            copy = tmp_path / "copies" / f"copy{number}"
            copy.parent.mkdir(exist_ok=True)
            before = len(acknowledged)
            said = command("backup", file, copy)
            assert said.status == 0, said.stderr
            records = stored(kind, copy)
            assert f" names were copied to {copy}" in said.stdout
            assert RECORDS.items() <= records.items()
            written = sorted(int(name[1:]) for name in records if name.startswith("w"))
            assert written == list(range(len(written)))
            assert before <= len(written) <= len(acknowledged) + 1
            if written:
                left, right = (int(records[name].uri[5:-4]) for name in ("left", "right"))
                assert (left, right) in [
                    (written[-1], written[-1]),
                    (written[-1] + 1,) * 2,
                    (written[-1] + 1, written[-1]),
                ]
            assert command("check", copy).status == 0
    finally:
        done.set()
        worker.join()
    assert acknowledged[-1] > 5  # there was load


@KINDS
def test_a_server_on_a_backup_of_a_running_one_has_its_names_tags_and_owners(kind, tmp_path, serve):
    keys, permissions = tmp_path / "keys.toml", tmp_path / "permissions.toml"
    keys.write_text('lab = "the key of the laboratory"\ncam = "the key of the cameras"')
    keys.chmod(0o600)
    permissions.write_text(
        'ownership = true\n[[rule]]\nwho = ["key:lab", "key:cam"]\nmay = ["read", "register", "renew", "remove"]'
    )
    permissions.chmod(0o644)
    options = ("--keys", str(keys), "--permissions", str(permissions))

    def client(server, key):
        return pyronym.Proxy(server.uri, protocol=4, hmac_key=key)

    server = serve(*options, storage=f"{kind}:{tmp_path}/names")
    with client(server, "the key of the laboratory") as lab, client(server, "the key of the cameras") as cam:
        lab.register("a", "PYRO:a@h:1", metadata=["x", "ü"])
        cam.register("b", "PYRO:b@h:1")
        assert command("backup", tmp_path / "names", tmp_path / "copy").status == 0
        assert command("salvage", f"{kind}:{tmp_path}/copy", tmp_path / "saved").status == 0
        lab.remove("a")
    for copy in ("copy", "saved"):
        server = serve(*options, storage=f"{kind}:{tmp_path}/{copy}")
        with client(server, "the key of the laboratory") as lab, client(server, "the key of the cameras") as cam:
            found = cam.list(return_metadata=True)
            assert {name: (uri, set(tags)) for name, (uri, tags) in found.items() if name in "ab"} == {
                "a": ("PYRO:a@h:1", {"x", "ü"}),
                "b": ("PYRO:b@h:1", set()),
            }
            for stranger, name in ((lab, "b"), (cam, "a")):
                with pytest.raises(SecurityError, match="belongs to another principal"):
                    stranger.remove(name)
            assert (lab.remove("a"), cam.remove("b")) == (1, 1)


@KINDS
def test_a_backup_replaces_nothing_unless_it_is_told_to(kind, file, tmp_path):
    copy = tmp_path / "copy"
    with closing(STORES[kind](copy)) as store:
        store.commit([Change("old", Record("old", "PYRO:o@h:1")), Change("n1", Record("n1", "PYRO:old@h:1"))])
    done = command("backup", file, copy)
    assert done.status == 2
    assert "exists already" in done.stderr
    assert stored(kind, copy).keys() == {"old", "n1"}
    assert command("backup", "--force", file, copy).status == 0
    assert stored(kind, copy) == RECORDS


@KINDS
def test_a_backup_makes_no_folder(kind, file, tmp_path):
    done = command("backup", file, tmp_path / "nowhere" / "copy")
    assert done.status == 2
    assert f"the folder {tmp_path}/nowhere does not exist" in done.stderr


@KINDS
def test_a_storage_is_no_backup_of_itself(kind, file, tmp_path):
    before = bytes_of(tmp_path)
    done = command("backup", "--force", file, file)
    assert done.status == 2
    assert "is the storage itself" in done.stderr
    assert bytes_of(tmp_path) == before


@KINDS
def test_a_backup_does_not_replace_a_storage_in_use(kind, file, tmp_path, serve):
    copy = tmp_path / "copy"
    server = serve(storage=f"{kind}:{copy}")
    with pyronym.locateNS(server.host, server.port) as nameserver:
        nameserver.register("theirs", "PYRO:o@h:1")
        done = command("backup", "--force", file, copy)
        assert done.status == 1
        assert "in use" in done.stderr
        nameserver.register("theirs2", "PYRO:o@h:1")
    server.process.terminate()
    assert stored(kind, copy).keys() == {"theirs", "theirs2"}


@KINDS
def test_of_a_damaged_storage_there_is_no_backup(kind, file, tmp_path):
    break_it(kind, file)
    before = bytes_of(tmp_path)
    done = command("backup", file, tmp_path / "copy")
    assert done.status == 1
    assert "damaged" in done.stderr
    assert bytes_of(tmp_path) == before
