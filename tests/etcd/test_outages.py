"""What a node does while etcd is away, and when it is back."""

import signal
import time

import pytest
from holding import hold
from relay import Relay

from etcd_cluster import running, wait_until
from processes import PYRONYM, NameServers, stopping
from pyronym.client.locate import locateNS
from pyronym.directory.record import EXPIRED, REGISTERED, REMOVED
from pyronym.errors import NamingError, StorageError, UnchangedError
from pyronym.service.leasing import Holder, Renewal
from pyronym.service.pipeline import waited_for

TAGS = frozenset()
URI = "PYRO:o@h:1"
WRITE_SECONDS = 2.0
"""Within which a change succeeds or fails, as the settings say by default."""
SCHEDULING = 0.5
"""That a machine with other work may add to it."""


def register(service, name, uri=URI, **more):
    return waited_for(service.register(name, uri, TAGS, **more))


def renew(service, name):
    return waited_for(service.renew({name: None}, None, Holder(), lambda renewal: renewal))


def is_stale(service):
    return service.status.stale_since is not None


def knows(service, name):
    wait_until(lambda: service.get(name) is not None, f"{name} is known")


def failing(service, name):
    """The error of a change, which comes in time."""
    began = time.monotonic()
    with pytest.raises(StorageError) as caught:
        register(service, name)
    assert time.monotonic() - began < WRITE_SECONDS + SCHEDULING
    return str(caught.value)


def test_a_killed_etcd_stops_changes_but_not_lookups_and_all_goes_on_when_it_is_back(fragile, node, caplog):
    a = node(fragile.url("p"))
    register(a, "before")
    (member,) = fragile.members
    member.kill()
    said = failing(a, "lost")  # unknown, if it was sent before the end of the connection was seen
    assert "nothing was changed" in said or "unknown whether it was changed" in said
    wait_until(lambda: is_stale(a), "it knows that it is stale")
    assert a.get("before").uri == URI
    assert a.get("lost") is None
    began = time.monotonic()
    assert "nothing was changed" in failing(a, "lost")
    assert time.monotonic() - began < SCHEDULING  # it is known to be away: nobody waits for it
    member.start()
    wait_until(lambda: not is_stale(a), "it is back")
    assert a.status.trouble is not None  # until a change succeeds
    register(a, "after")
    assert a.status.trouble is None
    said = [message.split(",")[0] for message in caplog.messages if message.startswith("etcd is ")]
    assert [words.split(" after")[0] for words in said] == ["etcd is away", "etcd is back"]


def test_a_change_whose_answer_is_lost_is_uncertain_and_shows_later(fragile, node):
    (member,) = fragile.members
    relay = Relay((member.host, member.client_port))
    try:
        a = node(f"etcd://{relay.location}/p")
        register(a, "before")
        relay.hold()
        assert "unknown whether it was changed" in failing(a, "perhaps")
        assert is_stale(a)
        assert "nothing was changed" in failing(a, "no")
        assert a.get("perhaps") is None
        relay.release()
        wait_until(lambda: not is_stale(a), "it is back")
        knows(a, "perhaps")
        assert a.get("no") is None
        register(a, "after")
    finally:
        relay.close()


def test_a_change_whose_connection_breaks_after_it_was_sent_is_uncertain_at_once(fragile, node):
    (member,) = fragile.members
    relay = Relay((member.host, member.client_port))
    try:
        a = node(f"etcd://{relay.location}/p", etcd_timeout=30.0)
        register(a, "before")
        relay.hold()
        began = time.monotonic()
        outcome = a.register("perhaps", URI, TAGS)
        wait_until(lambda: fragile.get("p/names/perhaps"), "etcd has it")
        relay.cut()
        with pytest.raises(StorageError, match="unknown whether it was changed"):
            waited_for(outcome)
        assert time.monotonic() - began < 10
        relay.release()
        knows(a, "perhaps")
    finally:
        relay.close()


def test_a_member_that_is_silent_when_it_is_to_be_followed_is_left(fragile, node):
    (member,) = fragile.members
    relay = Relay((member.host, member.client_port))
    try:
        a = node(f"etcd://{relay.location},{member.location}/p")
        relay.hold()
        a.node._storage._follower.begin_again()
        wait_until(lambda: a.node._storage._transport.endpoint.endswith(member.location), "the other way is taken")
        fragile.put("p/names/new", '{"v":1,"uri":"PYRO:o@h:1"}')
        knows(a, "new")
    finally:
        relay.close()


def test_a_frozen_etcd_stops_changes_but_not_lookups(fragile, node):
    a = node(fragile.url("p"))
    register(a, "before")
    fragile.members[0].signal(signal.SIGSTOP)
    assert "changed" in failing(a, "no")
    assert a.get("before").uri == URI
    assert is_stale(a)
    fragile.members[0].signal(signal.SIGCONT)
    wait_until(lambda: not is_stale(a), "it is back")
    register(a, "after")


def test_a_lease_is_not_renewed_that_etcd_may_end_before(fragile, node):
    a = node(fragile.url("p"))
    register(a, "name", lease=a.new_lease(15))
    assert renew(a, "name") == Renewal([], [])
    fragile.members[0].signal(signal.SIGSTOP)
    wait_until(lambda: is_stale(a), "it knows that it is stale")
    leases = a.node._storage._leases
    assert renew(a, "name") == Renewal([], [])  # etcd keeps it for 32 seconds
    clock = leases._clock
    leases._clock = lambda: clock() + 18
    with pytest.raises(UnchangedError, match="nothing was changed"):
        renew(a, "name")
    fragile.members[0].signal(signal.SIGCONT)
    wait_until(lambda: leases.outlives(a.get("name").lease), "etcd's lease counts anew")
    assert renew(a, "name") == Renewal([], [])


def test_what_happened_meanwhile_is_known_afterwards_even_if_etcd_has_forgotten_how(fragile, node):
    a = node(fragile.url("p"))
    since = a.status.revision
    for name in ("stays", "goes", "changes"):
        register(a, name)
    register(a, "leased", lease=a.new_lease(100))
    register(a, "revived", lease=a.new_lease(100))
    kinds = {}
    a.subscribe(lambda events: kinds.update({event.record.name: event.kind for event in events}))
    release = hold(a.node._storage._follower)
    fragile.delete("p/names/goes")
    fragile.delete("p/names/leased")
    fragile.put("p/names/changes", '{"v":1,"uri":"PYRO:other@h:1"}')
    fragile.put("p/names/new", '{"v":1,"uri":"PYRO:o@h:1"}')
    revision = fragile.ask("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    fragile.ask("/v3/kv/compaction", {"revision": revision, "physical": True})
    release()
    knows(a, "new")
    wait_until(lambda: len(kinds) == 4, "all differences are told")
    assert kinds == {"goes": REMOVED, "leased": EXPIRED, "changes": "updated", "new": REGISTERED}
    assert a.get("changes").uri == "PYRO:other@h:1"
    news = a.watch("", since, 0, lambda news: news)
    assert not news.reset
    wait_until(lambda: not is_stale(a), "all is well")


def test_records_of_a_killed_node_go_with_its_lease_unless_they_were_renewed_elsewhere(cluster, prefix):
    """The record's leases are of 60 and of 1 second: only the latter can end while this waits."""
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        one, two = (servers(storage=cluster.url(prefix), env={"PYRO_EPHEMERAL_GRACE": "1"}) for _ in range(2))
        with locateNS(one.location) as first, locateNS(two.location) as second:
            first.register("lab.short", URI, lease=1)
            first.register("lab.held", URI, ephemeral=True)
            first.register("lab.renewed", URI, lease=5)
            first.register("lab.stays", URI)
            wait_until(lambda: second.count() == 5, "the other one knows")
            one.process.kill()
            assert second.renew("lab.renewed") == {"unknown": [], "taken": []}
            since = second.watch()["revision"]
            began = time.monotonic()
            gone = {}
            while len(gone) < 2:
                second.renew("lab.renewed")
                news = second.watch("lab.", since=since, timeout=1)
                since = news["revision"]
                gone |= {change["name"]: change["kind"] for change in news["changes"]}
                assert time.monotonic() - began < 20
            assert gone["lab.short"] == gone["lab.held"] == EXPIRED
            assert sorted(second.list("lab.")) == ["lab.renewed", "lab.stays"]
            wait_until(lambda: len(second.nodes()) == 1, "its node is not listed any more")


def test_a_node_whose_etcd_lease_has_ended_takes_new_leases(fragile, node):
    a = node(fragile.url("p"))
    register(a, "name", lease=a.new_lease(5))
    for granted in fragile.ask("/v3/lease/leases", {})["leases"]:
        assert fragile.ask("/v3/lease/revoke", {"ID": granted["ID"]})
    wait_until(lambda: a.get("name") is None, "it is gone with its lease")
    register(a, "name", lease=a.new_lease(5))
    assert fragile.get("p/names/name")


def test_more_names_than_fit_into_an_answer_are_told_together_if_they_went_together(fragile, node):
    a = node(fragile.url("p"))
    lease = a.new_lease(100)
    for outcome in [a.register(f"n{number}", URI, TAGS, lease=lease) for number in range(1100)]:
        waited_for(outcome)
    since = a.status.revision
    (longer,) = [
        granted["ID"]
        for granted in fragile.ask("/v3/lease/leases", {})["leases"]
        if int(fragile.ask("/v3/lease/timetolive", {"ID": granted["ID"]})["grantedTTL"]) > 100
    ]
    assert fragile.ask("/v3/lease/revoke", {"ID": longer})
    wait_until(lambda: a.count() == 0, "they are gone")
    news = a.watch("", since, 0, lambda news: news)
    assert len(news.events) == 1100
    assert {event.kind for event in news.events} == {EXPIRED}
    assert {event.revision for event in news.events} == {news.revision}


def test_a_member_that_dies_is_replaced_by_another_one(tmp_path, node):
    with running(tmp_path, 3) as cluster:
        a = node(cluster.url("p"))
        register(a, "before")
        cluster.members[0].kill()

        def writes():
            try:
                register(a, "after")
            except StorageError:
                return False
            return True

        began = time.monotonic()
        wait_until(writes, "it can be written again")
        assert time.monotonic() - began < 5
        cluster.members[1].signal(signal.SIGSTOP)  # no quorum is left
        wait_until(lambda: is_stale(a), "it knows that it is stale")
        assert a.get("after") is not None
        assert "changed" in failing(a, "no")
        cluster.members[1].signal(signal.SIGCONT)
        wait_until(lambda: not is_stale(a), "it is back")
        wait_until(writes, "it can be written again")


def test_an_etcd_without_space_says_what_to_do(tmp_path, node):
    with running(tmp_path, 1, ["--quota-backend-bytes", str(1024 * 1024)]) as cluster:
        a = node(cluster.url("p"))
        big = f"PYRO:{'o' * 100_000}@h:1"
        outcomes = [a.register(f"n{number}", big, TAGS) for number in range(100)]
        with pytest.raises(NamingError, match=r"nothing was changed in etcd://.*space exceeded.*alarm disarm"):
            waited_for(outcomes[-1])
        assert a.status.trouble is not None
        assert not is_stale(a)
        assert a.get("n0").uri == big
