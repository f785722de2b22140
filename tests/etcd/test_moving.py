"""``pyronym import`` and ``export`` with etcd."""

import pytest

from etcd_cluster import wait_until
from processes import PYRONYM, run
from pyronym.client.locate import locateNS
from pyronym.directory.record import Lease, Record
from pyronym.storage.record_file import checksum, lines_of, records_in

RECORDS = [Record(f"lab.{number:03}", "PYRO:o@h:1", frozenset({"t"}), "key:lab") for number in range(300)]
LEASED = Record("leased", "PYRO:o@h:1", lease=Lease("a1b2", 600.0))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "names"
    path.write_text("".join(lines_of([*RECORDS, LEASED])))
    return path


def test_names_go_into_etcd_and_the_nodes_there_have_them_at_once(cluster, prefix, serve, file):
    server = serve(storage=cluster.url(prefix))
    done = run([PYRONYM, "import", file, "--to", cluster.url(prefix)])
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.endswith(f"verified 301 names, SHA-256 {checksum([*RECORDS, LEASED])}\n")
    with locateNS(server.location) as names:
        wait_until(lambda: names.count() == 302, "the node has heard of all")
        assert names.renew({"leased": "a1b2"}) == {"unknown": [], "taken": []}
        assert names.leases()["leased"]["seconds"] == 600.0


def test_what_is_in_etcd_is_exported_with_owners_and_leases(cluster, prefix, file, tmp_path):
    assert run([PYRONYM, "import", file, "--to", cluster.url(prefix)]).status == 0
    done = run([PYRONYM, "export", "--from", cluster.url(prefix), tmp_path / "again"])
    assert (done.status, done.stdout) == (0, "")
    assert records_in((tmp_path / "again").read_bytes().splitlines()) == [*RECORDS, LEASED]


def test_what_is_only_read_is_not_marked_as_pyronyms(cluster, prefix, file, tmp_path):
    done = run([PYRONYM, "export", "--from", cluster.url(prefix), tmp_path / "none"])
    assert done.status == 0
    assert done.stderr.startswith("exported 0 names")
    assert records_in((tmp_path / "none").read_bytes().splitlines()) == []
    assert not cluster.get(f"{prefix}/pyronym")
    assert run([PYRONYM, "import", file, "--to", cluster.url(prefix)]).status == 0
    assert cluster.get(f"{prefix}/pyronym") == '{"v":1,"program":"pyronym"}'


def test_an_etcd_that_is_not_there_is_told_at_once(file):
    done = run([PYRONYM, "import", file, "--to", "etcd://127.0.0.1:1/p"])
    assert done.status == 1
    assert "cannot reach etcd://127.0.0.1:1/p" in done.stderr
