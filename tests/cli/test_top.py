"""``pyronym top``: what is reckoned from two looks, and what people and programs see of a real name server."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from commanding import command
from processes import PYRONYM, NameServers, run
from pyronym.cli.activity import Calls, Look, activity, biggest, rows
from pyronym.client.locate import locateNS
from terminal import on_terminal

STORAGE = {"description": "sql:x", "trouble": None, "commits": 10, "total": 1.0}


def look(moment: float, **changes: Any) -> Look:
    status: Mapping[str, Any] = {
        "id": "a",
        "address": "ns1:9090",
        "version": "1",
        "uptime": 3725.0,
        "records": 3,
        "revision": 7,
        "leases": 0,
        "watches": 0,
        "storage": STORAGE,
        "stale_since": None,
        "stale_reason": None,
        "requests": [],
        "latencies": {},
    }
    return Look(moment, 0.001, {**status, **changes})


def asked(**counts: int) -> list[dict[str, Any]]:
    return [{"protocol": 48, "method": "lookup", "result": result, "count": count} for result, count in counts.items()]


def test_rates_are_what_is_more_than_before_in_each_second() -> None:
    before = look(100, requests=asked(ok=5), latencies={"lookup": {"calls": 5, "seconds": 1.0}}, offences={"idle": 3})
    now = look(
        102,
        requests=asked(ok=25, UnknownNameError=4),
        latencies={"lookup": {"calls": 15, "seconds": 1.5}},
        offences={"idle": 5, "forbidden": 0},
        storage={**STORAGE, "commits": 14, "total": 3.0},
    )
    found = activity(before, now)
    assert found.calls == [Calls("lookup", "Pyro4", 12.0, 2.0, 0.05)]
    assert (found.commits, found.commit_seconds, found.seconds) == (2.0, 0.5, 2)
    assert found.offences == {"idle": 2}


def test_the_first_look_and_one_at_another_process_have_no_rates() -> None:
    now = look(102, requests=asked(ok=25), offences={"idle": 5})
    for before in (None, look(100, id="b", requests=asked(ok=1))):
        found = activity(before, now)
        assert (found.calls, found.commits, found.offences, found.seconds) == ([], 0.0, {}, 0.0)


def test_what_is_wrong_is_alarming() -> None:
    wrong = {
        "slow": {"answers not read in time": 2},
        "storage": {**STORAGE, "trouble": {"reason": "disk full", "since": 0.0}},
        "stale_since": 1.0,
        "stale_reason": "etcd is away",
    }
    alarming = [row.cells for row in rows(activity(None, look(1, **wrong)), {}) if row.alarming]
    assert alarming == [
        ["slow clients", "2: answers not read in time"],
        ["storage", "stores no changes: disk full"],
        ["stale", "etcd is away"],
    ]
    assert not any(row.alarming for row in rows(activity(None, look(1)), {}))


def test_the_prefixes_of_most_names_come_first() -> None:
    names = ["a.1", "a.2", "b.1", "plain", *(f"p{number}.x" for number in range(10))]
    assert list(biggest(names).items())[:3] == [("a.", 2), ("b.", 1), ("p0.", 1)]
    assert len(biggest(names)) == 8


def test_programs_get_lines_or_json(serve: NameServers) -> None:
    server = serve()
    where = ["--ns", server.location, "--interval", "0.1"]
    with locateNS(server.location) as names, socket.create_connection(server.address):
        names.register("lab.camera", "PYRO:o@10.0.0.7:1", lease=60)
        cells = dict(line.split("\t") for line in run([PYRONYM, "top", *where]).stdout.splitlines())
        assert cells["name server"].startswith(f"{server.location}, pyronym ")
        assert (cells["leases"], cells["watchers"], cells["connections"]) == ("1", "0", "3")
        assert cells["names lab.*"] == "1"
        assert cells["status (Pyro4)"].endswith("/s")
        told = json.loads(run([PYRONYM, "top", "--json", *where]).stdout)
    assert told["prefixes"] == {"Pyro.": 1, "lab.": 1}
    assert told["status"]["records"] == 2
    assert {calls["method"] for calls in told["calls"]} >= {"status"}


def test_that_prefixes_of_too_many_names_are_not_counted_is_told(
    serve: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    where = ["--ns", server.location, "--interval", "0.1"]
    for most, told in ((2, {"Pyro.": 1}), (1, None)):
        monkeypatch.setattr("pyronym.cli.top.MOST_COUNTED", most)
        assert json.loads(command("top", "--json", *where).stdout)["prefixes"] == told
    assert "prefixes\tnot counted from 200,000 names on\n" in command("top", *where).stdout


def test_a_lost_name_server_is_shown_and_found_again(serve: NameServers) -> None:
    server = serve()
    options = ["--ns", server.location, "--interval", "0.1", "--timeout", "10"]
    with on_terminal(PYRONYM, "top", *options, columns=78, rows=30) as terminal:
        seen = terminal.wait_for("connected; Ctrl-C ends").end()
        server.process.kill()
        seen += terminal.wait_for("connection lost, looking for it again", since=seen).end()
        serve(port=server.port)
        terminal.wait_for("connected; Ctrl-C ends", since=seen)
        terminal.interrupt()
        assert terminal.wait() == 130
        assert terminal.raw.rstrip().endswith("\x1b[?25h\x1b[?1049l"), "the cursor and the screen are there again"


@pytest.mark.parametrize("columns", [12, 30])
def test_narrow_terminals_have_all_of_it(serve: NameServers, columns: int) -> None:
    with on_terminal(PYRONYM, "top", "--once", "--ns", serve().location, columns=columns) as terminal:
        assert terminal.wait() == 0
        assert max(map(len, terminal.text.splitlines())) <= columns
        assert "watchers" in terminal.text


def test_stock_name_servers_cannot_tell(serve_stock5: NameServers) -> None:
    done = run([PYRONYM, "top", "--ns", serve_stock5().location])
    assert done.status == 1
    assert "has no status (stock name servers do not; pyronym's do)" in done.stderr
