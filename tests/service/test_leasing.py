"""Leases, connections and watches of a name service. Time is a number that the test sets."""

from contextlib import suppress

import pytest

from pyronym.directory.record import Change, Lease, Record
from pyronym.errors import NamingError, SecurityError, StorageError
from pyronym.service import pyro5
from pyronym.service.expiry import RETRY_SECONDS
from pyronym.service.guard import Guard
from pyronym.service.leasing import PAUSE, Holder
from pyronym.service.nameservice import AT_ONCE, NameService
from pyronym.service.permissions import Client, parse_permissions
from pyronym.service.pipeline import waited_for
from pyronym.service.pyro5 import NameServer as Pyro5NameServer
from pyronym.service.requests import MANY_EVENTS
from pyronym.settings import Settings
from pyronym.storage.mapping import MappingStore
from pyronym.storage.sqlite import SqliteStore

URI = "PYRO:o@h:1"
GRACE = 5.0
NO_TAGS = frozenset()


class Time:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Sorry(MappingStore):
    """A storage that can be out of order."""

    broken = False

    def commit(self, changes):
        if self.broken:
            raise StorageError("the disk is full")
        super().commit(changes)


@pytest.fixture
def clock():
    return Time()


@pytest.fixture(params=["memory", "sql"])
def service(request, clock, tmp_path):
    storage = MappingStore({}) if request.param == "memory" else SqliteStore(str(tmp_path / "names"))
    service = served(storage, clock)
    yield service
    service.close()


def served(storage, clock, **settings):
    settings = Settings(ephemeral_grace=GRACE, **settings)
    return NameService(storage, settings, clock=clock, alarmed=False)


def done(outcome):
    return outcome.result(10) if hasattr(outcome, "result") else outcome


def register(service, name, seconds=None, holder=None, **options):
    lease = service.new_lease(seconds, holder) if seconds is not None or holder else None
    done(service.register(name, URI, NO_TAGS, lease=lease, **options))
    return lease


def renew(service, names, seconds=None, holder=None):
    names = names if isinstance(names, dict) else dict.fromkeys(names)
    return done(service.renew(names, seconds, holder or Holder(), lambda renewal: renewal))


def settle(service):
    """Let what is on its way arrive, or fail."""
    with suppress(StorageError):
        done(service.register("settled", URI, NO_TAGS))


def pass_time(service, clock, seconds):
    """Time passes as it does for a service whose alarm rings in time."""
    until = clock.now + seconds
    while (due := service.advance()) is not None and due <= until:
        clock.now = max(due, clock.now)
        service.advance()
        settle(service)
    clock.now = until


def test_a_record_goes_when_its_lease_was_not_renewed(service, clock):
    register(service, "leased", 10)
    register(service, "stays")
    pass_time(service, clock, 9.9)
    assert service.get("leased") is not None
    assert service.remaining("leased") == pytest.approx(0.1)
    pass_time(service, clock, 0.2)
    assert service.get("leased") is None
    assert service.get("stays") is not None
    assert service.remaining("leased") is None


def test_a_renewal_lets_it_count_anew(service, clock):
    register(service, "leased", 10)
    for _ in range(5):
        pass_time(service, clock, 8)
        assert renew(service, ["leased"]) == ([], [])
    assert service.get("leased") is not None
    pass_time(service, clock, 11)
    assert renew(service, ["leased"]) == (["leased"], [])


def test_a_renewal_of_a_certain_registration_leaves_others_alone(service, clock):
    first = register(service, "name", 10)
    second = register(service, "name", 10)
    register(service, "for good")
    pass_time(service, clock, 8)
    assert renew(service, {"name": first.id, "nobody": "x", "for good": None}) == (["nobody"], ["name", "for good"])
    assert renew(service, {"name": second.id}) == ([], [])
    pass_time(service, clock, 8)
    assert service.get("name") is not None


def test_a_renewal_can_change_the_lease_for_good(service, clock):
    register(service, "name", 10)
    renew(service, ["name"], seconds=100)
    assert service.get("name").lease.seconds == 100
    pass_time(service, clock, 99)
    assert service.get("name") is not None
    pass_time(service, clock, 2)
    assert service.get("name") is None


def test_to_register_again_begins_another_lease_and_without_one_ends_it(service, clock):
    register(service, "name", 10)
    register(service, "name", 20)
    pass_time(service, clock, 15)
    assert service.get("name") is not None
    register(service, "name")
    pass_time(service, clock, 1000)
    assert service.get("name").lease is None


def test_a_lease_that_is_replaced_in_the_commit_that_begins_it_ends_nothing(clock, tmp_path):
    service = served(SqliteStore(str(tmp_path / "names")), clock)
    turn = []
    service.gather_by(turn.append)
    leases = [service.new_lease(10), None]
    outcomes = [service.register("name", URI, NO_TAGS, lease=lease) for lease in leases]
    turn[0]()
    for outcome in outcomes:
        done(outcome)
    assert service.health.times.commits == 1
    service.gather_by(lambda commit: commit())
    pass_time(service, clock, 1000)
    assert service.get("name").lease is None
    service.close()


def test_new_tags_do_not_touch_the_lease(service, clock):
    lease = register(service, "name", 10)
    done(service.set_metadata("name", frozenset({"t"})))
    assert service.get("name").lease == lease
    pass_time(service, clock, 11)
    assert service.get("name") is None


def test_an_ephemeral_record_goes_some_time_after_its_connection(service, clock):
    holder = Holder()
    register(service, "name", holder=holder)
    pass_time(service, clock, 1000)
    service.disconnect(holder)
    pass_time(service, clock, GRACE - 0.1)
    assert service.get("name") is not None
    pass_time(service, clock, 0.2)
    assert service.get("name") is None


def test_another_connection_can_take_an_ephemeral_record_over(service, clock):
    first, second = Holder(), Holder()
    lease = register(service, "name", holder=first)
    renew(service, {"name": lease.id}, holder=second)
    service.disconnect(first)
    pass_time(service, clock, 1000)
    assert service.get("name") is not None
    service.disconnect(second)
    renew(service, {"name": lease.id}, holder=first)
    pass_time(service, clock, 1000)
    assert service.get("name") is not None


def test_a_connection_that_ends_while_its_registration_is_on_its_way_counts_as_ended(service, clock):
    holder = Holder()
    lease = service.new_lease(None, holder)
    outcome = service.register("name", URI, NO_TAGS, lease=lease)
    service.disconnect(holder)
    done(outcome)
    pass_time(service, clock, GRACE + 1)
    assert service.get("name") is None


def test_what_a_connection_holds_is_forgotten_with_the_records(service):
    holder = Holder()
    for number in range(10):
        register(service, str(number), holder=holder)
    done(service.remove(["0", "1"]))
    register(service, "2")
    register(service, "3", 10)
    assert holder.names == {"4", "5", "6", "7", "8", "9"}
    service.disconnect(holder)
    assert holder.names == set()
    assert service._leasing._holders == service._leasing._connected == {}


def test_registrations_that_fail_leave_no_trace(clock):
    service = served(MappingStore({}), clock)
    holder = Holder()
    register(service, "taken")
    for _ in range(3):
        with pytest.raises(NamingError):
            register(service, "taken", holder=holder, safe=True)
    assert holder.names == set()
    assert service._leasing._holders == {}


def test_many_leases_that_end_at_once_are_removed_in_slices(service, clock):
    for number in range(AT_ONCE + 10):
        register(service, str(number), 10)
    clock.now += 20
    assert service.advance() <= clock.now  # there is more to do at once
    settle(service)
    assert service.count() == 10 + 1
    service.advance()
    settle(service)
    assert service.count() == 1


def test_leases_survive_a_restart_and_count_from_then_on(clock, tmp_path):
    path = str(tmp_path / "names")
    service = served(SqliteStore(path), clock)
    lease = register(service, "leased", 10)
    register(service, "held", holder=Holder())
    register(service, "stays")
    service.close()
    clock.now += 1_000_000  # the name server was down for long
    service = served(SqliteStore(path), clock)
    pass_time(service, clock, GRACE - 0.1)
    assert {name for name in ("leased", "held", "stays") if service.get(name)} == {"leased", "held", "stays"}
    pass_time(service, clock, 0.2)
    assert service.get("held") is None
    assert renew(service, {"leased": lease.id}) == ([], [])
    pass_time(service, clock, 10.1)
    assert service.get("leased") is None
    assert service.get("stays") is not None
    service.close()


def test_a_name_server_that_was_paused_expires_nobody_for_that(service, clock):
    register(service, "leased", 10)
    clock.now += 5
    service.advance(late=PAUSE / 2)  # not worth mentioning
    clock.now += 500
    service.advance(late=500.0)
    settle(service)
    assert service.get("leased") is not None
    assert service.remaining("leased") == pytest.approx(5)


def test_a_record_that_cannot_be_removed_is_removed_later(clock):
    storage = Sorry({})
    service = served(storage, clock)
    register(service, "leased", 10)
    storage.broken = True
    pass_time(service, clock, 11)
    assert service.get("leased") is not None
    storage.broken = False
    pass_time(service, clock, RETRY_SECONDS)
    assert service.get("leased") is None


def test_what_has_expired_is_noted(service, clock):
    noted = []
    service.expiry.note = lambda changes, error: noted.append(([change.name for change in changes], error))
    register(service, "leased", 10)
    pass_time(service, clock, 11)
    settle(service)
    assert noted == [(["leased"], None)]


# Watching


def watched(service, prefix="", since=None, timeout=0.0, **options):
    return service.watch(prefix, since, timeout, lambda news: news, **options)


def told(news):
    return [(event.kind, event.record.name) for event in news.events]


def test_a_watcher_hears_of_all_that_came_after_its_revision(service, clock):
    start = watched(service).revision
    register(service, "a", 10)
    done(service.register("b", URI, NO_TAGS))
    done(service.set_metadata("b", frozenset({"t"})))
    done(service.remove(["b"]))
    pass_time(service, clock, 11)
    settle(service)
    news = watched(service, since=start)
    assert told(news)[:4] == [("registered", "a"), ("registered", "b"), ("updated", "b"), ("removed", "b")]
    assert ("expired", "a") in told(news)
    assert not news.reset
    assert told(watched(service, since=news.revision)) == []
    assert told(watched(service, "a", since=start)) == [("registered", "a"), ("expired", "a")]


def test_a_watcher_waits_until_something_happens_that_concerns_it(service):
    start = watched(service).revision
    waiting = watched(service, "lab.", start, 30)
    called = []
    waiting.add_done_callback(called.append)
    done(service.register("other", URI, NO_TAGS))
    done(service.register("la", URI, NO_TAGS))
    assert not waiting.done()
    done(service.register("lab.camera", URI, NO_TAGS))
    settle(service)
    assert waiting.done()
    assert called == [waiting]
    assert told(waiting.result()) == [("registered", "lab.camera")]
    assert len(service._feed._watches) == 0


def test_a_watcher_hears_nothing_when_its_time_is_over(service, clock):
    start = watched(service).revision
    waiting = watched(service, "", start, 30)
    pass_time_without_changes(service, clock, 29.9)
    assert not waiting.done()
    pass_time_without_changes(service, clock, 0.2)
    assert waiting.result(0) == (start, [], False)


def pass_time_without_changes(service, clock, seconds):
    clock.now += seconds
    service.advance()


def test_who_has_missed_too_much_is_told_to_begin_anew(clock):
    service = served(MappingStore({}), clock, max_history=10)
    start = watched(service).revision
    for number in range(30):
        register(service, str(number))
    assert watched(service, since=start).reset
    assert watched(service, since=service._directory.revision + 1).reset, "that is a revision of another server"
    assert told(watched(service, since=service._directory.revision - 5)) == [
        ("registered", str(n)) for n in range(25, 30)
    ]


def test_revisions_of_an_earlier_run_are_older_than_what_is_known(clock):
    earlier = served(MappingStore({}), clock)
    register(earlier, "a")
    revision = watched(earlier).revision
    later = served(MappingStore({}), clock)
    assert watched(later, since=revision).reset


def test_a_long_answer_is_cut_and_goes_on_from_there(service, monkeypatch):
    monkeypatch.setattr("pyronym.service.feed.MOST_EVENTS", 3)
    start = watched(service).revision
    done(service.register("0", URI, NO_TAGS))
    for number in range(1, 7):
        done(service.register(str(number), URI, NO_TAGS))
    names = []
    for _ in range(3):
        news = watched(service, since=start)
        names += [name for _, name in told(news)]
        start = news.revision
    assert names == ["0", "1", "2", "3", "4", "5", "6"]


def test_a_watcher_sees_only_what_it_may(service):
    permissions = parse_permissions(
        {"rule": [{"who": ["anyone"], "may": ["read"], "names": ["open."]}, {"who": ["key:all"], "may": ["admin"]}]}
    )
    guard = Guard(service, permissions.grant(Client()), "here", None)
    start = watched(service).revision
    waiting = guard.watch("", start, 30, lambda news: news)
    done(service.register("secret.a", URI, NO_TAGS))
    settle(service)
    assert not waiting.done()
    done(service.register("open.a", URI, NO_TAGS))
    settle(service)
    assert told(waiting.result(10)) == [("registered", "open.a")]


def test_only_those_who_may_renew_do(service):
    permissions = parse_permissions(
        {"ownership": True, "rule": [{"who": ["key:a", "key:b"], "may": ["register", "renew"], "names": ["lab."]}]}
    )
    lines = []
    mine, others = (Guard(service, permissions.grant(Client(key_name=key)), "here", lines.append) for key in "ab")
    lease = service.new_lease(10)
    done(mine.register("lab.a", URI, NO_TAGS, lease=lease))
    with pytest.raises(SecurityError, match=r"key:b may not renew 'lab\.a'"):
        others.renew({"lab.a": None}, None, Holder(), lambda renewal: renewal)
    with pytest.raises(SecurityError, match="key:a may not renew 'else'"):
        mine.renew({"lab.a": None, "else": None}, None, Holder(), lambda renewal: renewal)
    assert done(mine.renew({"lab.a": lease.id}, None, Holder(), lambda renewal: renewal)) == ([], [])
    assert [(line["what"], line["outcome"]) for line in lines] == [
        ("register", "done"),
        ("renew", "denied"),
        ("renew", "denied"),
    ]


def test_a_client_may_have_only_so_many_watches_waiting(clock):
    service = served(MappingStore({}), clock, max_watches=2)
    start = watched(service).revision
    first = watched(service, "a", start, 30, client="10.0.0.1")
    watched(service, "b", start, 30, client="10.0.0.1")
    with pytest.raises(NamingError, match=r"too many watches: 2 of 10\.0\.0\.1 are waiting \(MAX_WATCHES\)"):
        watched(service, "c", start, 30, client="10.0.0.1")
    watched(service, "c", start, 30, client="10.0.0.2")
    service.discard(first)
    watched(service, "c", start, 30, client="10.0.0.1")


def test_when_the_service_ends_nobody_waits_any_more(clock):
    service = served(MappingStore({}), clock)
    start = watched(service).revision
    waiting = [watched(service, prefix, start, 30) for prefix in ("", "a", "b")]
    service.end_watches()
    assert [watch.result(0) for watch in waiting] == [(start, [], False)] * 3
    assert watched(service, "", start, 30) == (start, [], False)


def test_a_watch_that_is_discarded_leaves_nothing(clock):
    service = served(MappingStore({}), clock)
    start = watched(service).revision
    for _ in range(10_000):
        service.discard(watched(service, "prefix", start, 30, client="h"))
    watches = service._feed._watches
    assert len(watches) == 0
    assert not watches._by_prefix
    assert not watches._by_client
    assert not watches._lengths
    assert len(watches._ends._heap) < 100


def test_who_has_waited_looks_through_nothing_that_does_not_concern_it(clock):
    service = served(MappingStore({}), clock)
    start = watched(service).revision
    told_of, overdue = watched(service, "lab.", start, 30), watched(service, "quiet.", start, 30)
    for number in range(500):
        register(service, f"other.{number}")
    register(service, "lab.camera")
    assert told(told_of.result(0)) == [("registered", "lab.camera")]
    pass_time_without_changes(service, clock, 31)
    revision = service._directory.revision
    assert overdue.result(0) == (revision, [], False)
    assert [service.missed_since(watch.since) for watch in (told_of, overdue)] == [1, 0]
    assert service.missed_since(start) == 501


def test_long_answers_to_watchers_are_made_in_a_worker_thread(clock):
    service = served(MappingStore({}), clock)
    client = Pyro5NameServer(service)
    start = client.watch()["revision"]
    waiting = client.watch(since=start)
    names = [f"lab.{number}" for number in range(MANY_EVENTS + 1)]
    for name in names:
        register(service, name)
    for long in (waiting.result(0), client.watch(since=start).do()):
        assert [change["name"] for change in long.do()["changes"]] == names
    few = client.watch(since=service._directory.revision - MANY_EVENTS)
    assert [change["name"] for change in few["changes"]] == names[1:]


def test_a_client_that_leaves_while_a_worker_looks_through_what_it_missed_does_not_wait(clock):
    service = served(MappingStore({}), clock)
    client = Pyro5NameServer(service)
    start = client.watch()["revision"]
    for number in range(MANY_EVENTS + 1):
        register(service, f"other.{number}")
    work = client.watch("lab.", start)
    client.disconnected()
    work.do()
    assert len(service._feed._watches) == 0


def test_programs_can_be_told_of_all_changes(service, clock):
    heard = []
    service.subscribe(heard.extend)
    register(service, "a", 10)
    pass_time(service, clock, 11)
    settle(service)
    service.unsubscribe(heard.extend)
    subscribed = [(event.kind, event.record.name) for event in heard]
    assert subscribed[:1] == [("registered", "a")]
    assert ("expired", "a") in subscribed


def test_a_subscriber_that_fails_harms_nobody(service, caplog):
    heard = []
    service.subscribe(lambda events: 1 / 0)
    service.subscribe(heard.extend)
    done(service.register("a", URI, NO_TAGS))
    settle(service)
    assert [event.record.name for event in heard] == ["a", "settled"]
    assert "a subscriber to changes failed" in caplog.text


def test_records_keep_their_leases_in_a_directory_that_shares_tags(service):
    lease = Lease("id", 10.0)
    done(service.register("a", URI, frozenset({"t"})))
    done(service.register("b", URI, frozenset({"t"}), lease=lease))
    assert service.get("b") == Record("b", URI, frozenset({"t"}), None, lease)
    assert Change("b", service.get("b")).record.lease is lease


def test_leases_are_told_as_far_as_one_may_read_them(service, clock):
    for name, seconds, holder in (("lab.a", 10.0, None), ("lab.b", None, Holder()), ("other", 20.0, None)):
        waited_for(service.register(name, URI, NO_TAGS, lease=service.new_lease(seconds, holder)))
    waited_for(service.register("lab.c", URI, NO_TAGS))
    clock.now += 4
    everybody = pyro5.NameServer(service)
    assert everybody.leases("lab.") == {
        "lab.a": {"seconds": 10.0, "ephemeral": False, "left": 6.0},
        "lab.b": {"seconds": None, "ephemeral": True, "left": None},
    }
    permissions = parse_permissions({"rule": [{"who": ["anyone"], "may": ["read"], "names": ["other"]}]})
    grant = permissions.grant(Client())
    assert pyro5.NameServer(Guard(service, grant, "a", None)).leases() == {
        "other": {"seconds": 20.0, "ephemeral": False, "left": 16.0}
    }
