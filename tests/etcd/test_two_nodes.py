"""What two nodes with one etcd are for each other: as if they were one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from holding import hold

from etcd_cluster import wait_until
from pyronym.directory.record import EXPIRED, REGISTERED, REMOVED, UPDATED
from pyronym.errors import LimitError, NameTakenError, SecurityError, StorageError, UnchangedError, UnknownNameError
from pyronym.service.leasing import Holder, Renewal
from pyronym.service.permissions import OPEN, Client, parse_permissions
from pyronym.service.pipeline import waited_for
from pyronym.storage.etcd.transport import Transport

TAGS = frozenset(["x"])
URI = "PYRO:o@h:1"
OTHER = "PYRO:p@h:2"


@pytest.fixture
def two(cluster, prefix, node):
    return node(cluster.url(prefix)), node(cluster.url(prefix))


def register(service, name, uri=URI, **more):
    return waited_for(service.register(name, uri, TAGS, **more))


def knows(service, name, uri=URI):
    def found():
        record = service.get(name)
        return record is not None and record.uri == uri

    return wait_until(found, f"{name} is known")


def renew(service, *names, seconds=None, holder=None):
    return waited_for(service.renew(dict.fromkeys(names), seconds, holder or Holder(), lambda renewal: renewal))


def test_nodes_that_begin_together_do_not_take_each_other_for_strangers(cluster, prefix, node, monkeypatch):
    call = Transport.call

    def overtaken(self, *args, **more):
        """The other one begins when this one has found that the prefix is nobody's yet."""
        monkeypatch.setattr(Transport, "call", call)
        answer = call(self, *args, **more)
        assert not answer.kvs
        register(node(cluster.url(prefix)), "lab.camera")
        return answer

    monkeypatch.setattr(Transport, "call", overtaken)
    knows(node(cluster.url(prefix)), "lab.camera")


def test_what_one_registers_and_removes_the_other_finds_and_loses(two):
    a, b = two
    register(a, "lab.camera")
    knows(b, "lab.camera")
    assert b.get("lab.camera") == a.get("lab.camera")
    assert waited_for(b.remove(["lab.camera", "nobody"])) == 1
    wait_until(lambda: a.get("lab.camera") is None, "it is gone")


def test_a_node_reads_its_own_writes_at_once(two):
    for service in two:
        for number in range(50):
            register(service, "name", f"PYRO:o{number}@h:1")
            assert service.get("name").uri == f"PYRO:o{number}@h:1"
            waited_for(service.set_metadata("name", frozenset([str(number)])))
            assert service.get("name").metadata == {str(number)}
            assert waited_for(service.remove(["name"])) == 1
            assert service.get("name") is None


@pytest.mark.parametrize("_", range(5))
def test_of_many_safe_registrations_exactly_one_wins(two, _):
    barrier = threading.Barrier(16)

    def attempt(number):
        barrier.wait()
        try:
            register(two[number % 2], "name", f"PYRO:o{number}@h:1", safe=True)
        except NameTakenError:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        (winner,) = [number for number in pool.map(attempt, range(16)) if number is not None]
    for service in two:
        knows(service, "name", f"PYRO:o{winner}@h:1")


def test_only_the_loser_of_a_batch_fails(two):
    a, b = two
    register(a, "taken")
    outcomes = [b.register(f"n{number}", URI, TAGS, safe=True) for number in range(300)]
    outcomes.append(b.register("new", URI, TAGS, safe=True))
    with pytest.raises(NameTakenError, match="taken"):
        register(b, "taken", safe=True)
    assert [waited_for(outcome) for outcome in outcomes] == [None] * 301
    assert b.count() == 302


def test_tags_are_set_on_the_record_that_there_is_then(two):
    """Both change one record again and again; a change that was decided on an older one is decided anew."""
    a, b = two
    register(a, "name")
    knows(b, "name")

    def set_tags(service, tag):
        for number in range(20):
            waited_for(service.set_metadata("name", frozenset([f"{tag}{number}"])))

    def set_uri(service):
        for number in range(20):
            register(service, "name", f"PYRO:o{number}@h:1")

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(set_tags, a, "a"), pool.submit(set_uri, b)]
        for job in jobs:
            job.result()
    wait_until(lambda: a.get("name") == b.get("name"), "both know the same")
    assert a.get("name").uri == "PYRO:o19@h:1"  # no older URI came back with a tag


def test_a_removal_counts_only_what_it_removed(two):
    a, b = two
    for _ in range(10):
        for number in range(20):
            register(a, f"n{number}")
        knows(b, "n19")
        barrier = threading.Barrier(2)

        def remove(service, barrier=barrier):
            barrier.wait()
            return waited_for(service.remove_prefix("n"))

        with ThreadPoolExecutor(2) as pool:
            assert sum(pool.map(remove, two)) == 20
        wait_until(lambda: b.count() == a.count() == 0, "nothing is left")


def test_a_removal_that_another_node_was_faster_with_is_not_noted(cluster, prefix, node):
    a, late = node(cluster.url(prefix)), node(cluster.url(prefix))
    for name in ("theirs", "ours"):
        register(a, name)
        knows(late, name)
    noted = []

    def note(changes, error):
        noted.extend((change.name, error) for change in changes)

    release = hold(late.node._storage._follower)
    try:
        assert waited_for(a.remove(["theirs"])) == 1
        outcome = late.remove(["theirs", "ours"], note=note)
    finally:
        release()
    assert waited_for(outcome) == 1
    assert noted == [("ours", None)]


def test_a_name_that_could_not_be_registered_does_not_count_for_its_client(cluster, prefix, node):
    service = node(cluster.url(prefix), max_names_per_client=1)
    grant = OPEN.grant(Client(None, None, None, "10.0.0.1"))
    for _ in range(2):
        with pytest.raises(StorageError, match="surrogate"):
            register(service, "half\ud800", grant=grant)
        with pytest.raises(StorageError, match="surrogate"):
            register(service, "name", "PYRO:\udfff@h:1", grant=grant)
    register(service, "fits", grant=grant)
    with pytest.raises(LimitError, match=r"10\.0\.0\.1 has registered 1 "):
        register(service, "more", grant=grant)


def test_many_names_are_removed_in_several_transactions(two):
    a, b = two
    outcomes = [a.register(f"n{number}", URI, TAGS) for number in range(500)]
    for outcome in outcomes:
        waited_for(outcome)
    assert waited_for(a.remove_prefix("n")) == 500
    wait_until(lambda: b.count() == 0, "they are gone")


def test_tags_of_a_name_that_another_node_has_removed_cannot_be_set(two):
    a, b = two
    register(a, "name")
    knows(b, "name")
    a.remove(["name"])
    wait_until(lambda: b.get("name") is None, "it is gone")
    with pytest.raises(UnknownNameError):
        waited_for(b.set_metadata("name", TAGS))


def grants():
    permissions = parse_permissions({"ownership": True, "rule": [{"who": ["anyone"], "may": ["register", "renew"]}]})
    return [permissions.grant(Client(None, name, None, None)) for name in ("lab", "office")]


def test_one_of_two_owners_gets_the_name(two):
    lab, office = grants()
    barrier = threading.Barrier(2)

    def attempt(service, grant):
        barrier.wait()
        try:
            register(service, "name", grant=grant)
        except SecurityError:
            return None
        return grant.owner

    with ThreadPoolExecutor(2) as pool:
        owners = list(pool.map(attempt, two, (lab, office)))
    (winner,) = [owner for owner in owners if owner is not None]
    for service in two:
        knows(service, "name")
        assert service.get("name").owner == winner


def test_if_one_of_several_names_may_not_be_renewed_none_is(two):
    lab, office = grants()
    a, _ = two
    register(a, "ours", lease=a.new_lease(600.0), grant=lab)
    register(a, "theirs", lease=a.new_lease(600.0), grant=office)
    with pytest.raises(SecurityError, match="may not renew 'theirs'"):
        a.renew({"ours": None, "theirs": None}, 900.0, Holder(), lambda renewal: renewal, grant=lab)
    register(a, "later")  # what was on its way before is done when this is
    assert a.get("ours").lease.seconds == 600.0


# Leases


def test_the_node_that_registered_counts_the_lease_and_says_that_it_expired(two):
    a, b = two
    kinds = []
    b.subscribe(lambda events: kinds.extend(event.kind for event in events))
    register(a, "name", lease=a.new_lease(0.2))
    wait_until(lambda: EXPIRED in kinds, "it expired")
    assert kinds == [REGISTERED, EXPIRED]
    wait_until(lambda: a.get("name") is None, "the other node has heard of it, too")


def test_renewing_at_the_node_that_counts_writes_nothing(two):
    a, _ = two
    register(a, "name", lease=a.new_lease(30))
    before = a.status.revision
    assert renew(a, "name") == Renewal([], [])
    register(a, "other")
    assert a.status.revision == before + 1


def test_a_renewal_at_another_node_moves_the_lease_there(two, cluster, prefix):
    a, b = two
    register(a, "name", lease=a.new_lease(0.5))
    knows(b, "name")
    assert renew(b, "name", "nobody") == Renewal(["nobody"], [])
    assert b.get("name").lease.node == b.node.id
    assert f'"node":"{b.node.id}"' in cluster.get(f"{prefix}/names/name")
    wait_until(lambda: a.remaining("name") is None, "the first one counts no more")
    assert renew(b, "name", seconds=60) == Renewal([], [])
    assert b.remaining("name") > 50


def test_removing_a_leased_record_is_no_expiry_for_others(two):
    a, b = two
    kinds = []
    b.subscribe(lambda events: kinds.extend(event.kind for event in events))
    register(a, "name", lease=a.new_lease(60))
    waited_for(a.remove(["name"]))
    wait_until(lambda: len(kinds) == 2, "both are told")
    assert kinds == [REGISTERED, REMOVED]


def test_an_ephemeral_record_is_held_by_the_connection_that_renewed_it_at_another_node(cluster, prefix, node):
    a = node(cluster.url(prefix), ephemeral_grace=0.2)
    b = node(cluster.url(prefix), ephemeral_grace=0.2)
    first, second = Holder(), Holder()
    register(a, "name", lease=a.new_lease(None, first))
    knows(b, "name")
    assert renew(b, "name", holder=second) == Renewal([], [])
    a.disconnect(first)
    assert b.remaining("name") is None  # as long as the second one is there
    b.disconnect(second)
    wait_until(lambda: a.get("name") is None, "it goes with the second one")


# Watching


def test_a_watcher_moves_to_another_node_and_misses_nothing(two):
    a, b = two
    since = waited_for(a.watch("", None, 0, lambda news: news)).revision
    register(a, "first")
    news = a.watch("", since, 0, lambda news: news)
    assert [event.kind for event in news.events] == [REGISTERED]
    for number in range(10):
        register(a, "first", f"PYRO:o{number}@h:1")
    seen = []
    while len(seen) < 10:
        watch = b.watch("", news.revision, 10, lambda news: news)
        news = waited_for(watch)
        assert not news.reset
        seen += news.events
    assert [event.record.uri for event in seen] == [f"PYRO:o{number}@h:1" for number in range(10)]
    assert {event.kind for event in seen} == {UPDATED}


def test_a_watcher_who_knows_more_than_the_node_waits_until_that_knows_it_too(two):
    a, _ = two
    ahead = a.status.revision + 2
    watch = a.watch("", ahead, 10, lambda news: news)
    for name in ("one", "two"):
        register(a, name)
        assert not watch.done()
    register(a, "three")
    news = waited_for(watch)
    assert [event.record.name for event in news.events] == ["three"]
    assert not news.reset


def test_a_watcher_from_the_future_is_reset_when_nothing_comes(two):
    news = two[0].watch("", 10**15, 0, lambda news: news)
    assert news.reset


def test_events_of_one_transaction_share_a_revision_and_are_told_together(two):
    a, b = two
    since = b.status.revision
    outcomes = [a.register(f"n{number:03}", URI, TAGS) for number in range(100)]
    for outcome in outcomes:
        waited_for(outcome)
    knows(b, "n099")
    news = b.watch("", since, 0, lambda news: news)
    assert [event.record.name for event in news.events] == [f"n{number:03}" for number in range(100)]
    assert len({event.revision for event in news.events}) < 100


# What others have put there


def test_a_value_that_is_not_ours_is_reported_once_skipped_and_never_overwritten(cluster, prefix, node, caplog):
    a = node(cluster.url(prefix))
    for name, value in {
        "broken": "not json",
        "list": "[1]",
        "deep": "[" * 100_000,
        "newer": '{"v":2,"uri":"PYRO:o@h:1"}',
        "no uri": '{"v":1}',
        "wrong tags": '{"v":1,"uri":"PYRO:o@h:1","tags":"x"}',
        "Pyro.NameServer": '{"v":1,"uri":"PYRO:o@h:1"}',
    }.items():
        cluster.put(f"{prefix}/names/{name}", value)
    cluster.put(f"{prefix}/names/good", '{ "v": 1, "uri": "PYRO:o@h:1" , "unknown": 1}')
    knows(a, "good")
    assert [record.name for record in a.everything()] == ["good"]
    assert sum("'newer'" in message and "version 2" in message for message in caplog.messages) == 1
    for safe in (False, True):
        with pytest.raises(StorageError, match=r"'broken'.*cannot read.*etcdctl"):
            register(a, "broken", safe=safe)
    assert cluster.get(f"{prefix}/names/broken") == "not json"
    cluster.delete(f"{prefix}/names/broken")
    register(a, "good2")
    register(a, "broken", safe=True)


def test_a_value_that_this_node_has_not_heard_of_is_not_overwritten_either(cluster, prefix, node):
    a = node(cluster.url(prefix))
    register(a, "name")
    release = hold(a.node._storage._follower)
    cluster.put(f"{prefix}/names/name", "newer")
    cluster.put(f"{prefix}/names/fresh", "newer")
    outcomes = [a.register(name, OTHER, TAGS) for name in ("name", "fresh", "other")]
    release()
    for outcome in outcomes[:2]:
        with pytest.raises(StorageError, match="cannot read"):
            waited_for(outcome)
    waited_for(outcomes[2])
    assert [cluster.get(f"{prefix}/names/{name}") for name in ("name", "fresh")] == ["newer", "newer"]


def test_who_is_outrun_by_what_this_node_has_not_heard_of_changes_nothing(cluster, prefix, node):
    a, late = node(cluster.url(prefix)), node(cluster.url(prefix), etcd_timeout=3.0)
    register(late, "other")  # it follows
    release = hold(late.node._storage._follower)
    try:
        register(a, "name")
        faster = r"nothing was changed in etcd://.*another node was faster, and this one"
        with pytest.raises(UnchangedError, match=faster):
            register(late, "name", OTHER, safe=True)
        assert URI in cluster.get(f"{prefix}/names/name")
    finally:
        release()


def test_many_who_register_one_name_at_once_all_succeed(two):
    outcomes = [two[number % 2].register("name", f"PYRO:o{number}@h:1", TAGS) for number in range(200)]
    for outcome in outcomes:
        waited_for(outcome)
    wait_until(lambda: two[0].get("name") == two[1].get("name"), "both know the same")


def test_values_are_readable_json(two, cluster, prefix):
    register(two[0], "lab/ü☃")
    assert cluster.get(f"{prefix}/names/lab/ü☃") == '{"v":1,"uri":"PYRO:o@h:1","tags":["x"]}'
    register(two[0], "", OTHER)
    assert cluster.get(f"{prefix}/names/") == '{"v":1,"uri":"PYRO:p@h:2","tags":["x"]}'


def test_a_node_that_starts_knows_what_there_is(two, cluster, prefix, node):
    for number in range(30):
        register(two[0], f"n{number}", lease=two[0].new_lease(60) if number % 2 else None)
    third = node(cluster.url(prefix))
    assert third.everything() == sorted(two[0].everything())
    assert third.status.revision >= two[0].status.revision


# Nodes


def test_nodes_know_each_other_and_none_has_the_others_name_server(two):
    a, b = two
    a.adopt("PYRO:Pyro.NameServer@127.0.0.1:1111", TAGS)
    b.adopt("PYRO:Pyro.NameServer@0.0.0.0:2222", TAGS)
    wait_until(lambda: len(a.nodes()) == len(b.nodes()) == 2, "they know each other")
    mine, other = a.nodes()
    assert (mine["address"], mine["self"], mine["state"]) == ("127.0.0.1:1111", True, "ok")
    assert (other["address"], other["self"], other["state"]) == ("127.0.0.1:2222", False, "up")
    assert [service.get("Pyro.NameServer").uri[-4:] for service in two] == ["1111", "2222"]
    with pytest.raises(NameTakenError):
        register(a, "Pyro.NameServer")
    b.close()
    wait_until(lambda: len(a.nodes()) == 1, "it has said good-bye")
