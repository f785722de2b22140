"""``pyronym bench``: a short one, of each kind of name server; what it leaves there: nothing."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from processes import PYRONYM, NameServers, Process, run, stopping
from pyronym.cli import bench
from pyronym.client.locate import locateNS

SHORT = ["--seconds", "0.2", "--connections", "3"]


@pytest.mark.parametrize("kind", ["pyronym", "stock Pyro4", "stock Pyro5"])
def test_lookups_and_registrations_are_counted_and_nothing_stays(
    kind: str, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers
) -> None:
    server = {"pyronym": serve, "stock Pyro4": serve_stock4, "stock Pyro5": serve_stock5}[kind]()
    done = run([PYRONYM, "bench", "--register", "--json", "--ns", server.location, *SHORT])
    assert (done.status, done.stderr) == (0, "")
    lookup, register = json.loads(done.stdout)
    assert (lookup["what"], register["what"]) == ("lookup", "register")
    for one in (lookup, register):
        assert one["connections"] == 3
        assert one["seconds"] >= 0.2
        assert one["calls"] >= 3
        assert one["rate"] == pytest.approx(one["calls"] / one["seconds"])
        assert 0 < one["min"] <= one["median"] <= one["p99"] <= one["max"]
    with locateNS(server.location) as names:
        assert set(names.list()) == {"Pyro.NameServer"}


def test_its_table_says_how_much_it_is_worth(serve: NameServers) -> None:
    done = run([PYRONYM, "bench", "--ns", serve().location, *SHORT])
    assert done.status == 0
    assert done.stdout.startswith("lookup\t3\t0.")
    assert done.stdout.count("\n") == 1
    assert done.stderr.startswith("a quick figure: one Python program asks")


def test_an_interrupted_one_takes_its_names_away(serve: NameServers) -> None:
    server = serve()
    process = Process([PYRONYM, "bench", "--register", "--seconds", "4", "-c", "1", "--ns", server.location])
    with stopping([process]), locateNS(server.location) as names:
        revision = names.watch("pyronym.bench.")["revision"]
        while not names.watch("pyronym.bench.", since=revision, timeout=20.0)["changes"]:
            pass
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert set(names.list()) == {"Pyro.NameServer"}


def test_one_that_is_interrupted_while_it_begins_waits_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = threading.Semaphore(0), threading.Event()
    start = bench._Asker.start

    def interrupted(asker: bench._Asker) -> None:
        start(asker)
        assert asked.acquire(timeout=20)
        threading.Timer(0.1, answer.set).start()
        raise KeyboardInterrupt

    def ask() -> None:
        asked.release()
        answer.wait(20)

    monkeypatch.setattr(bench._Asker, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench._measure("register", [ask, ask], 60)
    assert answer.is_set()
    assert not asked.acquire(blocking=False)


def test_a_name_server_that_is_lost_ends_it_in_one_line(serve: NameServers) -> None:
    server = serve()
    process = Process([PYRONYM, "bench", "--seconds", "60", "--ns", server.location, "--timeout", "20"])
    with stopping([process]), locateNS(server.location) as names:
        lookups = 0
        while lookups < 10:
            lookups = sum(one["count"] for one in names.status()["requests"] if one["method"] == "lookup")
        server.process.kill()
        assert process.wait() == 3
    assert process.output.startswith("pyronym: error: ")
    assert process.output.count("\n") == 0


def test_longer_ones_are_refused() -> None:
    for option in (["--seconds", "61"], ["--connections", "65"]):
        done = run([PYRONYM, "bench", *option])
        assert (done.status, done.stderr.count("\n")) == (2, 1)
