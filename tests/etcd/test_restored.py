"""A cluster whose data are an older copy: nodes that know more must not go on as if nothing had happened."""

import shutil
from pathlib import Path

import pytest

from etcd_cluster import Cluster, running, wait_until
from pyronym.errors import StorageError
from pyronym.service.pipeline import waited_for

TAGS = frozenset()
URI = "PYRO:o@h:1"


def register(service, name):
    return waited_for(service.register(name, URI, TAGS))


def stop(cluster: Cluster) -> None:
    for member in cluster.members:
        member.kill()


def restored(cluster: Cluster, copy: Path) -> None:
    """Have it go on with the data of the copy."""
    stop(cluster)
    for member in cluster.members:
        shutil.rmtree(member.folder)
        shutil.copytree(copy / member.name, member.folder)
    cluster.start()


def copied(cluster: Cluster, copy: Path) -> None:
    stop(cluster)
    for member in cluster.members:
        shutil.copytree(member.folder, copy / member.name)
    cluster.start()


def test_one_member_with_other_data_than_the_rest_is_left_and_the_node_is_well_again(tmp_path, node, caplog):
    folders = tmp_path / "good", tmp_path / "wrong"
    for folder in folders:
        folder.mkdir()
    with running(folders[0], 1) as good, running(folders[1], 1) as wrong:
        a = node(f"etcd://{good.members[0].location},{wrong.members[0].location}/p")
        for number in range(5):
            register(a, f"n{number}")
        transport = a.node._storage._transport
        transport.leave(transport.endpoint)
        wait_until(lambda: f"{wrong.members[0].location} answers at revision 1" in caplog.text, "it is told")
        wait_until(lambda: a.status.stale_since is None, "it is well again")
        register(a, "after")
        assert good.get("p/names/after")
        assert not wrong.get("p/names/after")


def test_nodes_of_a_restored_etcd_stay_stale_and_say_that_they_must_be_restarted(tmp_path, node):
    with running(tmp_path, 3) as cluster:
        a = node(cluster.url("p"))
        register(a, "before")
        copied(cluster, tmp_path / "copy")
        wait_until(lambda: a.status.stale_since is None, "it is well again")
        for number in range(5):
            register(a, f"lost-{number}")
        restored(cluster, tmp_path / "copy")
        wait_until(lambda: "went back" in (a.status.stale_reason or ""), "it knows that etcd went back")
        b = node(cluster.url("p"))
        assert b.get("lost-0") is None
        for number in range(30):
            register(b, f"new-{number}")
        assert b.status.revision > a.status.revision  # so that nobody can see any more that it went back
        wait_until(lambda: len(b.nodes()) == 1, "the other one does not keep its key alive")
        assert a.status.stale_since is not None
        assert a.get("lost-0").uri == URI
        assert a.get("new-0") is None
        with pytest.raises(StorageError, match=r"nothing was changed.*went back.*restart this node"):
            register(a, "no")
