"""Batches of registrations: they go into the storage together, and each call has the outcome that it has alone."""

import threading

import pytest
from holding import hold

from etcd_cluster import wait_until
from pyronym import Proxy, startNS
from pyronym.client.batch import batch
from pyronym.directory.record import Record
from pyronym.errors import NameTakenError, StorageError, UnknownNameError
from pyronym.service.pipeline import waited_for
from pyronym.storage.etcd.messages_pb2 import PutRequest
from pyronym.storage.etcd.transport import PUT
from pyronym.storage.sqlite import SqliteStore

URI = "PYRO:o@h:1"
OTHER = "PYRO:p@h:2"
WAIT = 20


@pytest.fixture(params=["memory", "sql", "etcd"])
def storage(request, tmp_path, cluster, prefix):
    return {"memory": "memory", "sql": f"sql:{tmp_path}/names.sqlite", "etcd": cluster.url(prefix)}[request.param]


@pytest.fixture
def daemon(storage):
    _, daemon, _ = startNS("127.0.0.1", 0, enableBroadcast=False, storage=storage)
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    yield daemon
    daemon.shutdown()
    thread.join(WAIT)
    assert not thread.is_alive()


@pytest.fixture
def ns(daemon):
    with Proxy(daemon.uriFor("Pyro.NameServer")) as ns:
        yield ns


def outcomes(calls):
    """What a batch has to say of each call, up to the first that failed: its result, or its error."""
    found = []
    results = calls()
    while True:
        try:
            found.append(next(results))
        except StopIteration:
            return found
        except Exception as problem:
            return [*found, problem]


@pytest.mark.parametrize("storage", ["sql", "etcd"], indirect=True)
@pytest.mark.parametrize(("count", "commits"), [(60, 1), (210, 3)])
def test_the_registrations_of_a_batch_wait_for_few_commits(daemon, ns, count, commits):
    before = daemon.nameserver.service.health.times
    calls = batch(ns)
    for number in range(count):
        calls.register(f"n{number}", URI, metadata=["x"] if number % 2 else None)
    assert outcomes(calls) == [None] * count
    after = daemon.nameserver.service.health.times
    assert after.commits - before.commits == commits
    assert after.changes - before.changes == count
    assert ns.lookup("n1", return_metadata=True)[1] == ["x"]
    assert ns.count() == count + 1


def test_later_calls_of_a_batch_see_what_earlier_ones_did(ns):
    calls = batch(ns)
    calls.register("a", URI)
    calls.lookup("a")
    calls.register("a", OTHER)
    calls.register("b", URI)
    calls.remove("b")
    calls.count()
    calls.lookup("a")
    assert [str(outcome) for outcome in outcomes(calls)] == ["None", URI, "None", "None", "1", "2", OTHER]


def test_of_two_registrations_of_a_name_in_a_batch_the_later_one_stays(ns):
    calls = batch(ns)
    for uri in (URI, OTHER):
        calls.register("a", uri)
    assert outcomes(calls) == [None, None]
    assert str(ns.lookup("a")) == OTHER


@pytest.mark.parametrize(
    ("name", "uri", "more", "error"),
    [
        ("new", "no uri", {}, Exception),
        ("taken", OTHER, {"safe": True}, NameTakenError),
        ("Pyro.NameServer", OTHER, {}, NameTakenError),
        ("new", OTHER, {"unheard_of": 1}, TypeError),
    ],
)
def test_a_batch_ends_with_the_registration_that_fails(ns, name, uri, more, error):
    ns.register("taken", URI)
    calls = batch(ns)
    calls.register("before", URI)
    calls.register(name, uri, **more)
    calls.register("after", URI)
    first, problem = outcomes(calls)
    assert first is None
    assert isinstance(problem, error)
    assert str(ns.lookup("before")) == str(ns.lookup("taken")) == URI
    with pytest.raises(UnknownNameError):
        ns.lookup("after")


@pytest.mark.parametrize("storage", ["sql"], indirect=True)
def test_a_batch_that_the_storage_fails_with_is_not_tried_again(ns, monkeypatch):
    tried = []

    def fail(self, changes):
        tried.append(len(changes))
        raise StorageError("the disk is full")

    monkeypatch.setattr(SqliteStore, "commit", fail)
    calls = batch(ns)
    for name in "abc":
        calls.register(name, URI)
    (problem,) = outcomes(calls)
    assert "the disk is full" in str(problem)
    assert tried == [3]
    assert ns.count() == 1


@pytest.mark.parametrize("storage", ["etcd"], indirect=True)
def test_a_batch_ends_with_the_registration_that_the_storage_refuses(daemon, ns, prefix):
    shared = daemon.nameserver.service.node._storage
    foreign = PutRequest(key=f"{prefix}/names/b".encode(), value=b"?")
    shared._transport.call(PUT, foreign, WAIT)
    wait_until(lambda: "b" in shared._contents.unreadable, "the node has heard of it")
    calls = batch(ns)
    for name in "abc":
        calls.register(name, URI)
    first, problem = outcomes(calls)
    assert first is None
    assert "under 'b' there is a value that this program cannot read" in str(problem)
    assert str(ns.lookup("a")) == URI
    with pytest.raises(UnknownNameError):
        ns.lookup("c")


def test_registrations_that_another_node_was_faster_with_are_made_all_the_same(cluster, prefix, node):
    a, b = node(cluster.url(prefix)), node(cluster.url(prefix))
    waited_for(a.register("n0", OTHER, frozenset()))  # now it follows
    release = hold(a.node._storage._follower)
    waited_for(b.register("n5", OTHER, frozenset()))
    outcome = a.register_all([Record(f"n{number}", URI) for number in range(10)])
    release()
    assert waited_for(outcome) is True
    assert {a.get(f"n{number}").uri for number in range(10)} == {URI}
    wait_until(lambda: b.count() == 10 and b.get("n5").uri == URI, "the other one knows")


def test_registrations_are_made_one_by_one_while_another_change_of_a_name_is_on_its_way(cluster, prefix, node):
    service = node(cluster.url(prefix))
    waited_for(service.register("a", OTHER, frozenset()))  # now it follows
    release = hold(service.node._storage._follower)
    first = service.register("a", OTHER, frozenset(["x"]))
    assert service.register_all([Record("a", URI), Record("b", URI)]) is False
    release()
    waited_for(first)
    assert (service.get("a").metadata, service.get("b")) == (frozenset(["x"]), None)
