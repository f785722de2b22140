"""Clients with permissions get the same on both roads, and what they may not see stays unseen."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_straight_road import EACH, Host, answers, batch, connected, request

from pyronym.directory.record import Record
from pyronym.errors import SecurityError, StorageError
from pyronym.service.guard import Guard
from pyronym.service.nameservice import NameService
from pyronym.service.permissions import Client, parse_permissions
from pyronym.settings import Settings
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.wire.message import PYRO4, PYRO5

ALL = ["read", "register", "renew", "remove"]
DOCUMENTS = {
    "reads all": {"rule": [{"who": ["anyone"], "may": ["read"]}]},
    "does all": {"rule": [{"who": ["anyone"], "may": ALL}]},
    "reads some": {"rule": [{"who": ["anyone"], "may": ["read"], "names": ["lab"]}]},
    "writes some": {"rule": [{"who": ["anyone"], "may": ALL, "names": ["lab", "n"]}]},
    "others": {"rule": [{"who": ["key:other"], "may": ["admin"]}]},
    "owners": {"ownership": True, "rule": [{"who": ["anyone"], "may": ALL}]},
}


def guarded(monkeypatch, document, log):
    """Let the servers of `connected` have permissions and an audit log."""
    make = Host.__init__

    def with_permissions(self, settings, storage=None):
        make(self, settings, storage)
        self._hosted.permissions = parse_permissions(document)
        self._hosted.audit = log.append

    monkeypatch.setattr(Host, "__init__", with_permissions)


def both_roads(data, protocol):
    found = []
    for settings in (Settings(), Settings(straight_road=False)):
        session = connected(protocol, settings)
        found.append((*answers(session, data, protocol), session._host.nameserver.list(return_metadata=True)))
    return found


@EACH
@pytest.mark.parametrize("document", DOCUMENTS)
def test_both_roads_allow_and_refuse_the_same(monkeypatch, protocol, serializer, document):
    log = []
    guarded(monkeypatch, DOCUMENTS[document], log)
    names = ["lab.camera", "lab motor", "a", "nobody", "Pyro.NameServer"]
    requests = [request(protocol, serializer, "lookup", name) for name in names]
    requests += [request(protocol, serializer, "register", name, "PYRO:x@host:1") for name in (*names, "lab.new")]
    requests += [request(protocol, serializer, "register", "lab.camera", "PYRO:x@host:1", True)]
    requests += [batch(protocol, serializer, *(("lookup", (name,), {}) for name in pair)) for pair in (names[:2], "an")]
    requests += [
        batch(protocol, serializer, *(("register", (name, "PYRO:x@host:1"), {}) for name in pair))
        for pair in (("lab.new", "lab.other"), ("lab.new", "a", "lab.other"))
    ]
    for data in (*requests, b"".join(requests)):
        log.clear()
        (straight, taken, after), (general, _, after_general) = both_roads(data, protocol)
        assert straight == general
        assert after == after_general
        assert log[: len(log) // 2] == log[len(log) // 2 :], "both wrote down the same"
        if document == "reads all" and data in requests[:3]:
            assert taken == (serializer != "pickle")


def service_with(*records):
    service = NameService(MappingStore(MemoryStorage()))
    for record in records:
        service.register(record.name, record.uri, record.metadata)
    return service


def guard_of(service, document, client=Client(key_name="me"), log=None):  # noqa: B008  # it cannot be changed
    return Guard(service, parse_permissions(document).grant(client), "host:1", log)


@given(st.lists(st.text("ab.", max_size=4), unique=True), st.text("ab.", max_size=3), st.sampled_from(["a", "a.", "b"]))
def test_searches_show_what_may_be_read(names, prefix, readable):
    service = service_with(*(Record(name, "PYRO:x@host:1", frozenset({"t"})) for name in names))
    guard = guard_of(service, {"rule": [{"who": ["anyone"], "may": ["read"], "names": [readable]}]})
    visible = {name for name in names if name.startswith(readable)}
    shown = [guard.everything(), guard.with_all(frozenset("t")), guard.with_any(frozenset("t"))]
    assert [{record.name for record in found} for found in shown] == [visible] * 3
    assert {record.name for record in guard.with_prefix(prefix)} == {n for n in visible if n.startswith(prefix)}
    for name in names:
        assert (guard.straight_get(name) is not None) == (name in visible)
        if name not in visible:
            with pytest.raises(SecurityError):
                guard.get(name)


def test_a_removal_that_meets_one_foreign_name_removes_none():
    service = service_with()
    document = {"ownership": True, "rule": [{"who": ["anyone"], "may": ALL}]}
    log = []
    me, other = guard_of(service, document, log=log.append), guard_of(service, document, Client(key_name="other"))
    me.register("a.1", "PYRO:x@host:1", frozenset())
    other.register("a.2", "PYRO:x@host:1", frozenset())
    with pytest.raises(SecurityError):
        me.remove_prefix("a.")
    assert service.count() == 2
    assert log[-1]["outcome"] == "denied"
    assert other.remove_prefix("a.2") == 1
    assert me.remove_prefix("a.") == 1


def test_a_change_that_the_storage_refuses_is_written_down_as_failed():
    class Broken(MemoryStorage):
        def __setitem__(self, name, value):
            raise OSError("the disk is full")

    log = []
    guard = guard_of(NameService(MappingStore(Broken())), DOCUMENTS["does all"], log=log.append)
    with pytest.raises(StorageError):
        guard.register("a", "PYRO:x@host:1", frozenset("t"))
    assert "the disk is full" in log[0].pop("why")
    assert log == [
        {"who": "key:me", "from": "host:1", "what": "register", "outcome": "failed", "name": "a",
         "uri": "PYRO:x@host:1", "tags": ["t"]},
    ]  # fmt: skip


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_lookups_of_a_server_without_permissions_meet_no_guard(protocol):
    session = connected(protocol, Settings())
    requests = session._straight._find.__self__
    assert requests._get == partial(session._host.nameserver.service.get).func
    assert requests is session._host._hosted._requests[protocol]
