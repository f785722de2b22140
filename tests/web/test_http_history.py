"""What a node remembers of who has changed what."""

from __future__ import annotations

import time

import pytest

from http_client import Http
from processes import NameServer, NameServers
from pyronym.client.proxy import Proxy


def history(http: Http, name: str) -> list[dict[str, object]]:
    answer = http.get(f"/api/v1/history/{name}")
    assert answer.status == 200, answer.text
    return answer.json


def test_changes_on_the_wire_and_by_http_are_told_with_who_where_and_when(both: tuple[NameServer, Http]):
    server, http = both
    before = time.time()
    with Proxy(server.uri) as proxy:
        proxy.register("lab.camera", "PYRO:camera@h:1")
    http.name("PATCH", "lab.camera", {"tags": ["b", "a"]})
    http.name("DELETE", "lab.camera")
    removed, tagged, registered = history(http, "lab.camera")
    assert [change["what"] for change in (registered, tagged, removed)] == ["register", "set_metadata", "remove"]
    for change in (registered, tagged, removed):
        assert change["who"] == "net:127.0.0.1"
        assert str(change["address"]).startswith("127.0.0.1:")
        assert before <= float(str(change["time"])) <= time.time()
    assert (registered["uri"], tagged["tags"], removed["uri"]) == ("PYRO:camera@h:1", ["a", "b"], None)


def test_it_is_told_that_a_lease_has_ended_by_nobody(both: tuple[NameServer, Http]):
    _, http = both
    with http.events(prefix="short") as events:
        next(events)
        http.put("short", lease=1)
        assert [next(events)["event"], next(events)["event"]] == ["registered", "expired"]
    expired, registered = history(http, "short")
    assert (expired["what"], expired["address"]) == ("expire", None)
    assert registered["what"] == "register"


def test_the_audit_log_is_written_all_the_same(serve: NameServers, tmp_path):
    audit = tmp_path / "audit.log"
    server = serve("--http", ":0", "--audit-log", str(audit))
    http = Http(server)
    http.put("kept")
    assert [change["what"] for change in history(http, "kept")] == ["register"]
    server.process.terminate()
    assert '"name": "kept"' in audit.read_text()


@pytest.mark.parametrize("name", ["nobody", "=.."])
def test_a_name_without_changes_has_no_history(http: Http, name: str):
    assert history(http, name) == []


def test_who_may_not_read_a_name_is_not_told_its_history(serve: NameServers, tmp_path):
    rules = tmp_path / "permissions.toml"
    rules.write_text('[[rule]]\nwho = ["anyone"]\nmay = ["read", "register"]\nnames = ["open."]\n')
    http = Http(serve("--http", ":0", "--permissions", str(rules)))
    http.put("open.a")
    assert len(history(http, "open.a")) == 1
    assert http.get("/api/v1/history/secret.a").problem[0] == 403
