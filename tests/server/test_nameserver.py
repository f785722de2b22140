"""The name server daemon, and the functions that start it."""

import threading

import pytest
from serving import connected, serving

from pyronym import URI, Proxy, locateNS, startNS
from pyronym.client.locate import locate
from pyronym.errors import BadPatternError, NameTakenError, NamingError, StorageError
from pyronym.naming import NameServerDaemon
from pyronym.rpc.exposed import exposed_members
from pyronym.server.daemon import Daemon
from pyronym.server.start import serve
from pyronym.service import pyro4, pyro5
from pyronym.service.requests import MANY_NAMES
from pyronym.settings import Settings
from pyronym.storage.sqlite import SqliteStore
from pyronym.uri import NAMESERVER_NAME
from pyronym.wire.message import PYRO4, PYRO5

WAIT = 10.0


@pytest.fixture
def running():
    """Start name servers in threads; all are shut down at the end."""
    started = []

    def start(*args, **kwargs):
        uri, daemon, responder = startNS(*args, **kwargs)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        started.append((daemon, responder, thread))
        return uri, daemon, responder

    yield start
    for daemon, responder, thread in started:
        daemon.shutdown()
        thread.join(WAIT)
        assert not thread.is_alive()
        if responder is not None:
            responder.close()


def test_a_name_server_knows_itself(running):
    uri, daemon, responder = running("127.0.0.1", 0)
    assert responder is None
    assert uri == daemon.uriFor(NAMESERVER_NAME) == URI(f"PYRO:Pyro.NameServer@{daemon.locationStr}")
    with Proxy(uri) as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME) == uri
        assert nameserver.count() == daemon.nameserver.count() == 1
        assert nameserver.remove(NAMESERVER_NAME) == 0
        assert nameserver.remove(regex=".*") == 0
        with pytest.raises(NameTakenError):
            nameserver.register(NAMESERVER_NAME, "PYRO:other@elsewhere:1")
        assert nameserver.lookup(NAMESERVER_NAME) == uri


@pytest.mark.parametrize(
    ("protocol", "tags"),
    [(4, ["class:Pyro4.naming.NameServer"]), (5, {"class:Pyro5.nameserver.NameServer"})],
)
def test_each_dialect_sees_the_tags_it_knows(running, protocol, tags):
    uri, _, _ = running("127.0.0.1", 0)
    with Proxy(uri, protocol=protocol) as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME, return_metadata=True) == (uri, tags)
        assert nameserver.list(return_metadata=True) == {NAMESERVER_NAME: (str(uri), tags)}


def test_bound_to_all_interfaces_it_gives_the_address_that_the_client_reached(running):
    uri, daemon, responder = running("0.0.0.0", 0, bchost="127.0.0.1", bcport=0)
    port = daemon.sock.getsockname()[1]
    assert uri.host == "0.0.0.0"
    assert responder is not None
    for host in ("127.0.0.1", "127.0.0.2"):
        with locateNS(host, port) as nameserver:
            assert str(nameserver.lookup(NAMESERVER_NAME)) == f"PYRO:Pyro.NameServer@{host}:{port}"
            assert nameserver.list() == {NAMESERVER_NAME: f"PYRO:Pyro.NameServer@{host}:{port}"}
            assert nameserver.list(prefix="Pyro") == nameserver.list()


def test_on_several_addresses_each_client_gets_the_one_it_reached(running):
    uri, daemon, responder = running("127.0.0.1,localhost:0,[::1]:0,127.0.0.3", 0)
    assert responder is None
    assert [place.host for place in daemon.places] == ["127.0.0.1", "localhost", "::1", "127.0.0.3"]
    assert uri.location == daemon.locationStr == daemon.places[0].location
    for place in daemon.places:
        with locateNS(place.address, place.port) as nameserver:
            assert str(nameserver.lookup(NAMESERVER_NAME)) == f"PYRO:Pyro.NameServer@{place.location}"
            nameserver.register(f"from {place.host}", "PYRO:a@h:1")
    assert daemon.nameserver.count() == 5


def test_on_one_address_and_on_all_clients_of_the_latter_get_the_one_they_reached(running):
    _, daemon, _ = running("127.0.0.1,0.0.0.0:0", 0, enableBroadcast=False)
    everywhere = daemon.places[1].port
    with locateNS("127.0.0.5", everywhere) as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME).location == f"127.0.0.5:{everywhere}"


def test_all_interfaces_of_both_ip_versions_can_have_one_port(running):
    with NameServerDaemon("127.0.0.1", 0) as unused:
        port = unused.places[0].port
    _, _, responder = running(["::", "0.0.0.0"], port, bcport=0)
    for host in ("127.0.0.2", "::1"):
        with locateNS(host, port) as nameserver:
            assert nameserver.lookup(NAMESERVER_NAME).host == host
    responder.runInThread()
    for version, host in ((4, "127.0.0.7"), (4, "::1"), (6, "::1")):
        settings = Settings(prefer_ip_version=version, broadcast_addrs=(host,), ns_host="nowhere.invalid")
        with locate(port=responder.getPort(), settings=settings) as nameserver:
            assert nameserver._pyroUri.host == host
            assert nameserver._pyroUri.port == port


def test_beyond_a_nat_the_first_address_is_told_and_inside_each_its_own(running):
    uri, daemon, _ = running(["127.0.0.1", "127.0.0.2"], 0, nathost="outer.example", natport=777)
    told = []
    for place in daemon.places:
        with locateNS(place.address, place.port) as nameserver:
            told.append(nameserver.lookup(NAMESERVER_NAME).location)
    assert told == [uri.location, daemon.places[1].location] == ["outer.example:777", daemon.places[1].location]


def test_when_one_of_the_addresses_cannot_be_had_none_is_kept(tmp_path):
    with NameServerDaemon("127.0.0.1", 0) as taken:
        port = taken.places[0].port
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            NameServerDaemon(["127.0.0.2", "127.0.0.1"], port, storage=f"sql:{tmp_path}/names")
        with NameServerDaemon("127.0.0.2", port, storage=f"sql:{tmp_path}/names"):
            pass


def test_a_server_is_protected_when_all_its_addresses_are():
    with NameServerDaemon("127.0.0.1,::1", 0) as near, NameServerDaemon("127.0.0.1:0,0.0.0.0:0") as far:
        assert (near.is_protected, far.is_protected) == (True, False)


def test_on_the_loopback_interface_there_is_no_broadcast(running):
    uri, _, responder = running("::1", 0)
    assert responder is None
    with locateNS("::1", uri.port) as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME) == uri


def test_on_a_unix_socket(running, tmp_path):
    uri, _, responder = running(unixsocket=str(tmp_path / "ns.sock"))
    assert responder is None
    with locateNS(f"./u:{tmp_path}/ns.sock") as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME) == uri


def test_behind_a_nat_it_gives_the_outer_address(running):
    uri, daemon, _ = running("127.0.0.1", 0, nathost="outer.example", natport=777)
    assert str(uri) == "PYRO:Pyro.NameServer@outer.example:777"
    with Proxy(daemon.uriFor(NAMESERVER_NAME, nat=False)) as nameserver:
        assert nameserver.lookup(NAMESERVER_NAME) == uri


def test_registrations_that_the_loop_reads_together_are_committed_together(running, tmp_path, monkeypatch):
    commits = []
    commit = SqliteStore.commit

    def watched(self, changes):
        commits.append([change.name for change in changes])
        commit(self, changes)

    monkeypatch.setattr(SqliteStore, "commit", watched)
    _, daemon, _ = running("127.0.0.1", 0, storage=f"sql:{tmp_path}/names")
    clients = [connected(daemon, NAMESERVER_NAME, protocol=PYRO4) for _ in range(5)]
    commits.clear()
    held, may_go_on = threading.Event(), threading.Event()

    def hold():
        held.set()
        may_go_on.wait(WAIT)

    daemon._loop.post(hold)
    assert held.wait(WAIT)
    for number, client in enumerate(clients):
        client.send("register", f"n{number}", "PYRO:o@h:1")
    may_go_on.set()
    for client in clients:
        with client:
            assert client.value(client.receive()) is None
    assert list(map(sorted, commits)) == [["n0", "n1", "n2", "n3", "n4"]]


@pytest.mark.parametrize("whose", ["its own", "those of a daemon that its loop drives"])
def test_when_clients_leave_the_program_can_remove_names_in_the_thread_of_the_loop(tmp_path, whose):
    removed, has_removed = [], threading.Event()

    def remove(client):
        removed.append(daemon.nameserver.remove("x"))
        has_removed.set()

    daemon = NameServerDaemon("127.0.0.1", 0, storage=f"sql:{tmp_path}/names")
    with serving(daemon), Daemon("127.0.0.1") as other:
        daemon.combine(other)
        left = daemon if whose == "its own" else other
        left.clientDisconnect = remove
        daemon.nameserver.register("x", "PYRO:o@h:1")
        connected(left).sock.close()
        in_time = has_removed.wait(WAIT)
        daemon.nameserver.close()  # a loop that waits for a change goes on with this
        assert in_time
    assert removed == [1]


@pytest.mark.parametrize("kind", ["sql", "dbm"])
def test_records_outlive_the_daemon(running, tmp_path, kind):
    storage = f"{kind}:{tmp_path}/names"
    _, first, _ = running("127.0.0.1", 0, storage=storage)
    first.nameserver.register("a", "PYRO:a@h:1", metadata=["x"])
    first.shutdown()
    uri, second, _ = running("127.0.0.1", 0, storage=storage)
    assert second.nameserver.lookup("a", return_metadata=True) == (URI("PYRO:a@h:1"), ["x"])
    assert second.nameserver.lookup(NAMESERVER_NAME) == uri


def test_an_address_that_cannot_be_had_leaves_the_storage_closed(tmp_path):
    with NameServerDaemon("127.0.0.1", 0) as daemon:
        port = daemon.sock.getsockname()[1]
        for _ in range(2):
            with pytest.raises(OSError, match=str(port)):
                NameServerDaemon("127.0.0.1", port, storage=f"sql:{tmp_path}/names.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["names.sqlite"]  # no journal that is still open


@pytest.mark.parametrize("storage", ["sql:", "dbm:", "memory:x", "redis:x", "sql"])
def test_unknown_storages_are_refused_with_those_that_there_are(storage):
    with pytest.raises(
        ValueError,
        match=r"invalid storage type '.*' \(expected memory, sql:FILE, dbm:FILE or etcd://HOST:PORT/PREFIX\)",
    ):
        NameServerDaemon("127.0.0.1", 0, storage=storage)


def test_a_storage_that_cannot_be_used_is_a_naming_error(tmp_path):
    with pytest.raises(StorageError, match="missing"):
        NameServerDaemon("127.0.0.1", 0, storage=f"sql:{tmp_path}/missing/names.sqlite")
    assert issubclass(StorageError, NamingError)


def test_two_servers_in_one_process_differ_in_their_settings():
    small = Settings(max_message_size=2000)
    with NameServerDaemon("127.0.0.1", 0, settings=small) as one, NameServerDaemon("127.0.0.1", 0) as other:
        one.combine(other)
        thread = threading.Thread(target=one.requestLoop)
        thread.start()
        name = "n" * 4000
        with Proxy(other.uriFor(NAMESERVER_NAME)) as nameserver:
            nameserver.register(name, "PYRO:a@h:1")
        with Proxy(one.uriFor(NAMESERVER_NAME)) as nameserver, pytest.raises(Exception, match="max message size"):
            nameserver.register(name, "PYRO:a@h:1")
        one.shutdown()
        thread.join(WAIT)


@pytest.mark.parametrize(("protocol", "dialect"), [(PYRO4, pyro4), (PYRO5, pyro5)])
def test_what_is_not_exposed_cannot_be_called_even_where_all_that_is_public_can(protocol, dialect):
    public = {name for name in dir(dialect.NameServer) if not name.startswith("_")}
    hidden = public - exposed_members(dialect.NameServer).methods
    assert "disconnected" in hidden
    with serving(NameServerDaemon("127.0.0.1", 0, settings=Settings(require_expose=False))) as daemon:
        for name in hidden:
            with connected(daemon, NAMESERVER_NAME, protocol=protocol) as client, pytest.raises(AttributeError):
                client.call(name)


MANY = 2500
assert MANY > MANY_NAMES


@pytest.mark.parametrize("protocol", [4, 5])
def test_with_many_names_what_looks_through_them_leaves_the_loop(running, protocol):
    uri, daemon, _ = running("127.0.0.1", 0)
    for number in range(MANY):
        tags = ["rare"] if number % 100 == 0 else None
        daemon.nameserver.register(f"n{number:05}", f"PYRO:o{number}@h:1", metadata=tags)
    asked_on = set()
    everything = daemon.nameserver.service.everything
    daemon.nameserver.service.everything = lambda: (asked_on.add(threading.current_thread().name), everything())[1]
    with Proxy(uri, protocol=protocol) as nameserver:
        assert len(nameserver.list()) == MANY + 1
        assert asked_on == {"pyronym worker"}
        assert list(nameserver.list(prefix="n0000")) == [f"n0000{digit}" for digit in range(10)]
        assert next(iter(nameserver.list(regex="n0.*7$", return_metadata=True).values()))[0] == "PYRO:o7@h:1"
        search = nameserver.list if protocol == 4 else nameserver.yplookup
        assert len(search(**{"metadata_all" if protocol == 4 else "meta_all": ["rare"]})) == 25
        batch = nameserver._pyroBatch()
        batch.count()
        batch.list(prefix="n00001")
        batch.list(regex="(")
        results = batch()
        assert next(results) == MANY + 1
        assert next(results) == {"n00001": "PYRO:o1@h:1"}
        with pytest.raises(BadPatternError):
            next(results)
        assert nameserver.remove(prefix="n0000") == 10
        assert nameserver.remove(regex="n") == MANY - 10
        assert nameserver.count() == 1


def test_a_reply_may_be_larger_than_what_may_be_sent_here():
    with NameServerDaemon("127.0.0.1", 0, settings=Settings(max_message_size=3000)) as daemon:
        for number in range(100):
            daemon.nameserver.register(f"name {number}", f"PYRO:object{number}@a.rather.long.host.name.example:4444")
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        with Proxy(daemon.uriFor(NAMESERVER_NAME)) as nameserver:
            assert len(nameserver.list()) == 101
        daemon.shutdown()
        thread.join(WAIT)


def test_a_large_call_is_read_beside_the_loop(running):
    uri, _, _ = running("127.0.0.1", 0)
    tags = [f"tag {number} of " + "many " * 20 for number in range(900)]
    with Proxy(uri) as nameserver:
        nameserver.register("many tags", "PYRO:o@h:1", metadata=tags)
        assert nameserver.lookup("many tags", return_metadata=True)[1] == sorted(tags)
        with pytest.raises(TypeError, match="name must be a str"):
            nameserver.lookup(tags)


class Lines(list):
    """A text stream that keeps its lines and can be waited on."""

    def __init__(self):
        super().__init__()
        self.ready = threading.Event()

    def write(self, text):
        self.append(text)

    def flush(self):
        self.ready.set()


def test_serve_says_where_it_runs_and_when_it_ends(tmp_path):
    storage = f"sql:{tmp_path}/names.sqlite"
    with NameServerDaemon("127.0.0.1", 0, storage=storage) as daemon:
        daemon.nameserver.register("a", "PYRO:a@h:1")
    uri, daemon, responder = startNS("127.0.0.1,localhost", 0, storage=storage)
    out = Lines()
    thread = threading.Thread(target=serve, args=(uri, daemon, responder), kwargs={"out": out})
    thread.start()
    assert out.ready.wait(WAIT)
    daemon.shutdown()
    thread.join(WAIT)
    assert "".join(out).splitlines() == [
        "Not starting broadcast server for localhost.",
        "Persistent store contains 2 existing registrations.",
        f"NS running on {uri.location} (127.0.0.1)",
        f"NS running on localhost:{daemon.places[1].port} (127.0.0.1)",
        "Warning: HMAC key not set. Anyone can connect to this server!",
        f"URI = {uri}",
        f"another URI = PYRO:Pyro.NameServer@localhost:{daemon.places[1].port}",
        "NS shut down.",
    ]
