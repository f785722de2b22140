"""Leases and watches as stock programs use them, through their own proxies, in every serializer."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from asking import SERIALIZERS, ask

import pyronym
from processes import NameServer, NameServers

EACH = [(4, name) for name in SERIALIZERS[4]] + [(5, name) for name in SERIALIZERS[5]]


@pytest.fixture
def server(serve: NameServers) -> NameServer:
    return serve()


@pytest.mark.parametrize(("kind", "serializer"), EACH)
def test_a_stock_proxy_has_all_of_it(
    kind: int, serializer: str, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    tags = "['t']" if kind == 4 or serializer in ("json", "msgpack") else "{'t'}"
    answers = ask(
        stock4_python if kind == 4 else stock5_python,
        server.uri,
        "start = ns.watch()['revision']",
        "leased = ns.register('lab.leased', 'PYRO:o@h:1', lease=0.5, metadata=['t'])",
        "(leased['name'], leased['lease'], leased['ephemeral'])",
        "held = ns.register('held', 'PYRO:o@h:1', ephemeral=True)",
        "(held['lease'], held['ephemeral'])",
        "ns.leases('held') == {'held': {'seconds': None, 'ephemeral': True, 'left': None}}",
        "ns.renew({'lab.leased': leased['id'], 'held': 'of another'}) == {'unknown': [], 'taken': ['held']}",
        "ns.renew(['nobody'], lease=3) == {'unknown': ['nobody'], 'taken': []}",
        "unique = ns.register_unique('lab.unique.', 'PYRO:o@h:1')",
        "unique.startswith('lab.unique.') and len(unique) > 20",
        "news = ns.watch('lab.', start)",
        "[(change['kind'], change['name'] == unique) for change in news['changes']]",
        f"news['changes'][0]['metadata'] == {tags} and news['changes'][0]['uri']",
        "later = ns.watch('lab.', since=news['revision'], timeout=20)",
        "[(change['kind'], change['name']) for change in later['changes']]",
        "ns.watch('', later['revision'] + 1)['reset']",
        serializer=serializer,
    )
    shown = [answer for answer in answers if answer != "None"]
    assert shown == [
        "('lab.leased', 0.5, False)",
        "(None, True)",
        "True",
        "True",
        "True",
        "True",
        "[('registered', False), ('registered', True)]",
        "'PYRO:o@h:1'",
        "[('expired', 'lab.leased')]",
        "True",
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "ns.register('a', 'PYRO:o@h:1', lease=-1)",
            "ValueError: invalid lease: -1 (expected 0.1 to 31622400 ",
        ),
        ("ns.register('a', 'PYRO:o@h:1', lease=float('nan'))", "ValueError: invalid lease: nan"),
        ("ns.register('a', 'PYRO:o@h:1', lease='1')", "TypeError: lease must be a number of seconds or None, not str"),
        (
            "ns.register('a', 'PYRO:o@h:1', lease=True)",
            "TypeError: lease must be a number of seconds or None, not ",
        ),
        ("ns.renew(7)", "TypeError: names should be a collection of str, or a dict, not int"),
        ("ns.renew([7])", "TypeError: name must be a str, not int"),
        ("ns.renew({'a': 7})", "TypeError: the id of a registration must be a str, not 7"),
        ("ns.register_unique('lab.', 'no uri')", "PyroError: invalid uri"),
        ("ns.watch(since=-1)", "ValueError: invalid since: -1 (expected a revision, 0 or more)"),
        ("ns.watch(since='1')", "TypeError: since must be a revision (a whole number) or None, not str"),
        ("ns.watch(timeout=-1)", "ValueError: invalid timeout: -1 (expected a number of seconds, 0 or more)"),
        ("ns.watch(prefix=1)", "TypeError: prefix must be a str, not int"),
    ],
)
def test_bad_arguments_are_told_what_is_wrong(
    line: str, error: str, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    for python in (stock4_python, stock5_python):
        (answer,) = ask(python, server.uri, line)
        kind, _, words = error.partition(": ")
        assert kind in answer
        assert words in answer


def test_ephemeral_records_go_with_the_process_that_registered_them(serve: NameServers, stock4_python: Path) -> None:
    server = serve(env={"PYRO_EPHEMERAL_GRACE": "0.3"})
    with pyronym.Proxy(server.uri) as ns:
        start = ns.watch()["revision"]
        # The stock program ends as soon as it has asked.
        ask(stock4_python, server.uri, "ns.register('held', 'PYRO:o@h:1', ephemeral=True)")
        kinds = []
        while len(kinds) < 2:
            news = ns.watch("held", start, 20)
            assert news["changes"], "the record is still there"
            kinds += [change["kind"] for change in news["changes"]]
            start = news["revision"]
        assert kinds == ["registered", "expired"]


def test_leases_outlive_kill_9_and_are_counted_from_the_restart(serve: NameServers, tmp_path: Path) -> None:
    storage = f"sql:{tmp_path / 'names.sqlite'}"
    server = serve("-s", storage)
    with pyronym.Proxy(server.uri) as ns:
        lease_id = ns.register("leased", "PYRO:o@h:1", lease=1.5)["id"]
        ns.register("long", "PYRO:o@h:1", lease=100)
    server.process.signal(signal.SIGKILL)
    server.process.wait()
    server = serve("-s", storage)
    with pyronym.Proxy(server.uri) as ns:
        assert ns.renew({"leased": lease_id, "long": "of another"}) == {"unknown": [], "taken": ["long"]}
        start = ns.watch()["revision"]
        assert [change["kind"] for change in ns.watch("leased", start, 20)["changes"]] == ["expired"]
        assert str(ns.lookup("long")) == "PYRO:o@h:1"


def test_a_watch_is_answered_when_the_name_server_ends(serve: NameServers) -> None:
    server = serve()
    asking = threading.Event()
    answers = []

    def watch() -> None:
        with pyronym.Proxy(server.uri) as ns:
            start = ns.watch()["revision"]
            asking.set()
            answers.append(ns.watch("", start, 60)["changes"])

    thread = threading.Thread(target=watch)
    thread.start()
    assert asking.wait(10)
    with pyronym.Proxy(server.uri) as ns:
        ns.ping()
    assert server.process.terminate() == 0
    thread.join(20)
    assert not thread.is_alive()
    assert answers in ([[]], []), "it was answered, or refused because it came too late"


def test_thousands_who_wait_are_told_of_one_change_and_hold_up_nobody(server: NameServer) -> None:
    with pyronym.Proxy(server.uri) as ns:
        start = ns.watch()["revision"]
        watchers = [pyronym.Proxy(server.uri) for _ in range(500)]
        told: list[int] = []
        lock = threading.Lock()
        ready = threading.Barrier(len(watchers) + 1)

        def watch(proxy: pyronym.Proxy) -> None:
            with proxy:
                proxy.ping()
                ready.wait(30)
                news = proxy.watch("lab.", start, 30)
            with lock:
                told.append(len(news["changes"]))

        threads = [threading.Thread(target=watch, args=(proxy,)) for proxy in watchers]
        for thread in threads:
            thread.start()
        ready.wait(30)
        ns.register("lab.camera", "PYRO:o@h:1")
        for thread in threads:
            thread.join(30)
        assert told == [1] * len(watchers)
