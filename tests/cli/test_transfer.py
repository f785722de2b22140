"""``pyronym export`` and ``import``: between name servers of all kinds, storages and files."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from commanding import command
from processes import PYRONYM, NameServer, NameServers, Process, stopping
from pyronym.client.locate import locateNS
from pyronym.directory.record import Change, Lease, Record
from pyronym.settings import Settings
from pyronym.storage.choose import storage_by_name
from pyronym.storage.record_file import checksum, lines_of, records_in
from terminal import on_terminal

RECORDS = [
    Record("lab.camera", "PYRO:camera@10.0.0.7:4000", frozenset({"optics", "cooled"})),
    Record("lab.läser ☃", "PYRO:laser@10.0.0.7:4000"),
    Record("other", "PYRO:o@./u:/tmp/socket", frozenset({"optics"})),
]
OWNED = [
    RECORDS[0]._replace(owner="key:lab", lease=Lease("a1b2", 600.0)),
    RECORDS[1]._replace(lease=Lease("c3d4", None, ephemeral=True)),
    RECORDS[2],
]


def write(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(lines_of(records)))
    return path


def read(path: Path) -> list[Record]:
    return records_in(path.read_bytes().splitlines(keepends=True))


def fill(server: NameServer, records: list[Record]) -> None:
    with locateNS(server.location) as names:
        for record in records:
            names.register(record.name, record.uri, metadata=list(record.metadata))


def held(server: NameServer) -> list[Record]:
    """What a running name server has."""
    with locateNS(server.location) as names:
        listed = names.list(return_metadata=True)
    return sorted(Record(n, u, frozenset(t)) for n, (u, t) in listed.items() if n != "Pyro.NameServer")


def store(name: str, records: list[Record]) -> None:
    with closing(storage_by_name(name, Settings())) as storage:
        storage.load()
        storage.commit([Change(record.name, record) for record in records])


def stored(name: str) -> list[Record]:
    with closing(storage_by_name(name, Settings())) as storage:
        return sorted(storage.load())


@pytest.mark.parametrize("kind", ["pyronym", "stock Pyro4", "stock Pyro5"])
def test_names_go_to_a_file_and_into_another_name_server(
    kind: str, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers, tmp_path: Path
) -> None:
    start = {"pyronym": serve, "stock Pyro4": serve_stock4, "stock Pyro5": serve_stock5}[kind]
    one, two = start(), start()
    fill(one, RECORDS)
    exported = command("export", tmp_path / "names", "--ns", one.location)
    told = f"exported 3 names from ns:{one.location}, SHA-256 {checksum(RECORDS)}\n"
    assert (exported.status, exported.stderr) == (0, told)
    assert read(tmp_path / "names") == RECORDS
    imported = command("import", tmp_path / "names", "--to", f"ns:{two.location}")
    assert (imported.status, imported.stdout.splitlines()) == (
        0,
        [
            "imported 3, replaced 0, there already 0, left as they are 0",
            f"verified 3 names, SHA-256 {checksum(RECORDS)}",
        ],
    )
    assert held(two) == RECORDS


@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_storages_keep_owners_and_leases(kind: str, tmp_path: Path) -> None:
    source, target = f"{kind}:{tmp_path}/one", f"{kind}:{tmp_path}/two"
    store(source, OWNED)
    assert command("export", "--from", source, tmp_path / "names").status == 0
    assert read(tmp_path / "names") == OWNED
    assert command("import", tmp_path / "names", "--to", target).status == 0
    assert stored(target) == stored(source) == OWNED


def test_a_storage_is_read_while_a_name_server_is_using_it_but_not_written(serve: NameServers, tmp_path: Path) -> None:
    storage = f"sql:{tmp_path}/names.sqlite"
    server = serve(storage=storage)
    fill(server, RECORDS)
    assert command("export", "--from", storage, tmp_path / "names").status == 0
    assert read(tmp_path / "names") == RECORDS
    refused = command("import", tmp_path / "names", "--to", storage)
    assert refused.status == 1
    assert "another name server is using it" in refused.stderr


@pytest.mark.parametrize("source", ["sql:current.sqlite", "sql:oldest.sqlite", "dbm:names.dbm"])
def test_names_go_from_a_stock_file_which_stays_as_it_is(source: str, serve: NameServers, tmp_path: Path) -> None:
    kind, _, file = source.partition(":")
    folder = shutil.copytree(Path(__file__).parents[1] / "storage" / "stock_files", tmp_path / "files")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    server = serve()
    done = command("import", f"{kind}:{folder / file}", "--ns", server.location)
    assert done.status == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    there = held(server)
    assert len(there) > 3
    assert there == stored(f"{kind}:{folder / file}")


def test_leases_go_from_one_running_name_server_to_another(serve: NameServers) -> None:
    one, two = serve(), serve()
    with locateNS(one.location) as names:
        names.register("lab.camera", RECORDS[0].uri, lease=500)
        names.register("lab.display", RECORDS[0].uri)
    assert command("import", f"ns:{one.location}", "--to", f"ns:{two.location}").status == 0
    with locateNS(two.location) as names:
        assert {name: lease["seconds"] for name, lease in names.leases().items()} == {"lab.camera": 500.0}


def test_what_a_place_cannot_keep_is_said(serve: NameServers, serve_stock4: NameServers, tmp_path: Path) -> None:
    file = write(tmp_path / "names", OWNED)
    ours = command("import", file, "--ns", serve().location)
    assert (ours.status, ours.stderr) == (
        0,
        "warning: 1 names have owners; here they will belong to who imports them\n",
    )
    stock = command("import", file, "--ns", serve_stock4().location)
    assert stock.status == 0
    assert "warning: 2 names have leases, which stock name servers do not know" in stock.stderr


def test_conflicts_are_told_and_nothing_is_imported_until_it_is_said_what_to_do(
    serve: NameServers, tmp_path: Path
) -> None:
    server, file = serve(), write(tmp_path / "names", RECORDS)
    other = RECORDS[0]._replace(uri="PYRO:other@h:1")
    fill(server, [other, RECORDS[1]])
    refused = command("import", file, "--ns", server.location)
    assert refused.status == 1
    assert f"1 names stand for something else in ns:{server.location}: lab.camera (replace" in refused.stderr
    assert held(server) == [other, RECORDS[1]]
    dry = command("import", file, "--ns", server.location, "--dry-run", "--replace")
    assert dry.stdout.splitlines() == [
        f"would import 1 names to ns:{server.location}; 1 are there already, 1 stand for something else",
        "something else: lab.camera",
    ]
    assert held(server) == [other, RECORDS[1]]
    kept = command("import", file, "--ns", server.location, "--keep")
    assert kept.stdout.splitlines() == [
        "imported 1, replaced 0, there already 1, left as they are 1",
        f"verified 2 names, SHA-256 {checksum(RECORDS[1:])}",
    ]
    assert held(server) == [other, *RECORDS[1:]]
    replaced = command("import", file, "--ns", server.location, "--replace")
    assert replaced.stdout.startswith("imported 0, replaced 1, there already 2, left as they are 0\n")
    assert held(server) == RECORDS


def test_an_import_that_was_killed_is_finished_by_doing_it_again(serve: NameServers, tmp_path: Path) -> None:
    many = [Record(f"lab.{number:05}", f"PYRO:o{number}@h:1") for number in range(20_000)]
    server, file = serve(storage=f"sql:{tmp_path}/names.sqlite"), write(tmp_path / "names", many)
    first = Process([PYRONYM, "import", str(file), "--ns", server.location])
    with stopping([first]), locateNS(server.location) as names:
        since = names.watch()["revision"]
        names.watch("lab.", since, 20.0)  # some are there
        first.kill()
        there = names.count() - 1
    assert 0 < there < len(many)
    again = command("import", file, "--ns", server.location)
    assert again.status == 0
    counts = [int(word) for word in again.stdout.splitlines()[0].replace(",", "").split() if word.isdigit()]
    assert counts[0] + counts[2] == len(many)
    assert counts[2] >= there > 0
    assert again.stdout.endswith(f"verified {len(many)} names, SHA-256 {checksum(many)}\n")
    assert held(server) == many


def test_a_broken_file_imports_nothing_and_says_where_it_is_broken(serve: NameServers, tmp_path: Path) -> None:
    server, file = serve(), write(tmp_path / "names", RECORDS)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:2], lines[2].replace('"uri"', "uri"), *lines[3:]]))
    done = command("import", file, "--ns", server.location)
    assert done.status == 2
    assert done.stderr.startswith(f"pyronym: error: {file}: line 3, column ")
    assert done.stderr.endswith("; nothing was imported\n")
    assert held(server) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["import", "/nowhere/names"],
            "cannot read /nowhere/names: No such file or directory (expected a file, or ns:",
        ),
        (["import", "x:y"], "'x:y' is no place for names (expected ns:HOST[:PORT], sql:FILE, dbm:FILE or etcd://"),
        (["import", "ns:h:x"], "invalid port in uri, port=x"),
        (["import", "sql:/nowhere/names"], "there is no storage '/nowhere/names'"),
        (["export", "--from", "memory", "-"], "the storage memory is within a running name server (expected ns:"),
        (["import", "x", "--replace", "--keep"], "give --replace or --keep, not both"),
    ],
)
def test_wrong_places_are_wrong_usage(arguments: list[str], words: str) -> None:
    done = command(*arguments, "--ns", "127.0.0.1:1")
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_a_database_in_place_of_a_file_is_noticed(tmp_path: Path) -> None:
    store(f"sql:{tmp_path}/names", RECORDS)
    done = command("import", tmp_path / "names", "--ns", "127.0.0.1:1")
    assert done.status == 2
    assert f"if it is a database, say sql:{tmp_path}/names" in done.stderr


def test_a_file_is_replaced_only_by_force_and_is_whole_at_all_times(serve: NameServers, tmp_path: Path) -> None:
    server = serve()
    file = tmp_path / "names"
    file.write_text("mine")
    refused = command("export", file, "--ns", server.location)
    assert (refused.status, file.read_text()) == (2, "mine")
    assert command("export", file, "--force", "--ns", server.location).status == 0
    assert read(file) == []
    assert [path.name for path in tmp_path.iterdir()] == ["names"]
    failed = command("export", tmp_path / "no" / "names", "--ns", server.location)
    assert (failed.status, failed.stderr.count("\n")) == (1, 1)


def test_the_standard_streams_take_and_give_files(serve: NameServers) -> None:
    one, two = serve(), serve()
    fill(one, RECORDS)
    out = command("export", "-", "--ns", one.location).stdout
    assert json.loads(out.splitlines()[0])["count"] == 3
    assert command("import", "-", "--ns", two.location, stdin=out).status == 0
    assert held(two) == RECORDS


def test_names_that_others_register_meanwhile_are_left_to_them(serve: NameServers, tmp_path: Path) -> None:
    many = [Record(f"lab.{number:05}", f"PYRO:o{number}@h:1") for number in range(20_000)]
    server, file = serve(storage=f"sql:{tmp_path}/names.sqlite"), write(tmp_path / "names", many)
    importing = Process([PYRONYM, "import", str(file), "--ns", server.location])
    with stopping([importing]), locateNS(server.location) as names:
        names.watch("lab.", names.watch()["revision"], 20.0)
        theirs = "PYRO:theirs@h:1"
        taken = many[-50].name
        names.register(taken, theirs, safe=True)
        names.register(many[-60].name, many[-60].uri, safe=True)  # as an import that was killed might have done
        assert importing.wait(60) == 1
        assert f"registered by others meanwhile, and left as they are: {taken}\n" in importing.output
        assert "imported 19998, replaced 0, there already 1, " in importing.output
        assert str(names.lookup(taken)) == theirs
        assert names.count() == len(many) + 1


def test_a_bar_shows_how_far_it_is_on_a_terminal_only(serve: NameServers, tmp_path: Path) -> None:
    server, file = serve(), write(tmp_path / "names", RECORDS)
    with on_terminal(PYRONYM, "import", str(file), "--ns", server.location) as terminal:
        assert terminal.wait() == 0
        assert "3/3" in terminal.text
        assert "verified 3 names" in terminal.text
