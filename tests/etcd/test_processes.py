"""Nodes as they are run: processes, with proxies and the commands."""

import pytest

from etcd_cluster import wait_until
from processes import PYRONYM, run
from pyronym.client.locate import NameServerProxy, locateNS

URI = "PYRO:o@h:1"


@pytest.fixture
def nodes(serve, cluster, prefix):
    return [serve(storage=cluster.url(prefix)) for _ in range(2)]


def all_known(nodes):
    def know_each_other():
        for node in nodes:
            with locateNS(node.location) as name_server:
                if len(name_server.nodes()) != len(nodes):
                    return False
        return True

    wait_until(know_each_other, "the nodes know each other")


def test_whoever_finds_one_node_goes_on_at_another_when_it_dies(nodes):
    one, two = nodes
    all_known(nodes)
    with locateNS(one.location) as name_server:
        assert isinstance(name_server, NameServerProxy)
        name_server.register("lab.camera", URI)
        assert str(name_server.lookup("Pyro.NameServer").location) == one.location
        one.process.kill()
        wait_until(lambda: str(name_server.lookup("lab.camera")) == URI, "the other one answers")
        assert str(name_server.lookup("Pyro.NameServer").location) == two.location


def test_a_name_server_without_others_is_no_cluster(serve):
    server = serve()
    with locateNS(server.location) as name_server:
        assert not isinstance(name_server, NameServerProxy)
        (only,) = name_server.nodes()
    assert (only["address"], only["self"], only["state"]) == (server.location, True, "ok")
    done = run([PYRONYM, "nodes", "--ns", server.location])
    assert (done.status, done.stdout.count("\n")) == (0, 1)


def test_the_command_shows_all_nodes_and_which_do_not_answer(nodes):
    one, two = nodes
    all_known(nodes)
    done = run([PYRONYM, "nodes", "--ns", one.location])
    assert done.status == 0, done.stderr
    states = dict(row.split("\t")[:2] for row in done.stdout.splitlines())
    assert states == {one.location: "ok", two.location: "ok"}
    two.process.kill()
    done = run([PYRONYM, "nodes", "--ns", one.location])
    assert done.status == 1
    assert f"{two.location}\tno answer (NameServerNotFoundError)" in done.stdout
    one.process.wait_for_line("URI")  # it is still there


@pytest.mark.parametrize("protocol", [4, 5])
def test_nodes_are_told_in_both_dialects(nodes, protocol):
    all_known(nodes)
    with locateNS(nodes[0].location) as found:
        found._pyroRelease()
        found._pyroProtocol = protocol
        assert [node["self"] for node in found.nodes()] == [True, False]


def test_an_outage_is_told_in_nodes(fragile, serve):
    server = serve(storage=fragile.url("p"))
    with locateNS(server.location) as name_server:
        fragile.members[0].kill()
        wait_until(lambda: name_server.nodes()[0]["state"] == "stale", "it is stale")
        done = run([PYRONYM, "nodes", "--ns", server.location])
        assert done.status == 1
        assert "stale for" in done.stdout
    server.process.wait_for_line("etcd is away, lookups go on")
