"""Changes as server-sent events."""

import socket
from contextlib import ExitStack

import pytest

from http_client import Http, http_server
from processes import NameServers
from pyronym.client.locate import locateNS
from pyronym.web import events
from pyronym.web.events import MOST_STREAMS


def told(event):
    return event["event"], event["data"]["name"], int(event["id"]) == event["data"]["revision"]


def test_changes_by_http_and_on_the_wire_are_told_in_order(both):
    server, http = both
    with http.events(prefix="lab.") as stream, locateNS(*server.address) as ns:
        opened = next(stream)
        assert (opened["event"], int(opened["id"])) == ("open", opened["data"]["revision"])
        http.put("other")
        http.put("lab.a", tags=["x"])
        ns.register("lab.a", "PYRO:p@h:2")
        ns.register("lab.b", "PYRO:p@h:2", lease=0.1)
        first = next(stream)
        assert first["data"] | {"revision": 0} == {
            "kind": "registered", "name": "lab.a", "uri": "PYRO:o@h:1", "tags": ["x"], "revision": 0,
        }  # fmt: skip
        assert [told(first), *(told(next(stream)) for _ in range(3))] == [
            ("registered", "lab.a", True),
            ("updated", "lab.a", True),
            ("registered", "lab.b", True),
            ("expired", "lab.b", True),
        ]
        http.name("DELETE", "lab.a")
        assert told(next(stream)) == ("removed", "lab.a", True)


def test_a_stream_on_which_nothing_happens_beats_and_goes_on(monkeypatch):
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    with http_server() as (daemon, place), socket.create_connection(place, 20) as client:
        client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heard = b""
        while heard.count(b": nothing else\nid: ") < 3:
            piece = client.recv(65536)
            assert piece, heard
            heard += piece
        daemon.nameserver.register("a", "PYRO:o@h:1")
        while b"event: registered" not in heard:
            piece = client.recv(65536)
            assert piece, heard
            heard += piece


@pytest.mark.parametrize("by_header", [True, False])
def test_a_client_that_was_away_hears_what_it_has_missed(http: Http, by_header):
    with http.events() as stream:
        revision = next(stream)["id"]
    http.put("a")
    http.put("b")
    how = {"headers": {"Last-Event-ID": revision}} if by_header else {"since": revision}
    with http.events(**how) as stream:
        assert next(stream)["event"] == "open"
        a, b = next(stream), next(stream)
        assert (told(a)[1], told(b)[1]) == ("a", "b")
    with http.events(headers={"Last-Event-ID": a["id"]}, since=0) as stream:
        assert next(stream)["event"] == "open"
        assert next(stream) == b


def test_a_client_that_has_missed_too_much_is_told_to_begin_anew(serve: NameServers):
    http = Http(serve("--http", ":0", env={"PYRO_MAX_HISTORY": "5"}))
    with http.events() as stream:
        revision = next(stream)["id"]
    for number in range(20):
        http.put(f"n{number}")
    with http.events(since=revision) as stream:
        assert next(stream)["event"] == "open"
        reset = next(stream)
        assert (reset["event"], int(reset["id"])) == ("reset", int(revision) + 20)
        http.put("new")
        assert told(next(stream)) == ("registered", "new", True)


def test_lists_say_from_which_revision_to_follow(http: Http):
    http.put("a")
    revision = http.get("/api/v1/names").json["revision"]
    http.put("b")
    with http.events(since=revision) as stream:
        assert [next(stream)["event"], told(next(stream))[1]] == ["open", "b"]


@pytest.mark.parametrize("wrong", ["x", "-1", "1" * 20, "²"])
def test_a_wrong_last_event_id_is_told(shared, wrong):
    _, http = shared
    status, words = http.get(
        "/api/v1/events", headers={"Last-Event-ID": wrong.encode("utf-8").decode("latin-1")}
    ).problem
    assert (status, words.startswith("invalid Last-Event-ID")) == (400, True)


def test_streams_are_limited_and_those_that_end_make_room(http: Http):
    with ExitStack() as stack:
        for _ in range(MOST_STREAMS):
            assert next(stack.enter_context(http.events()))["event"] == "open"
        status, words = http.get("/api/v1/events").problem
        assert (status, words.startswith("too many streams: 100 are open")) == (503, True)
        assert http.get("/api/v1/status").json["watches"] <= MOST_STREAMS
    http.put("a")  # whoever is gone is noticed at the latest when there is something to tell
    deadline = 200
    while http.get("/api/v1/status").json["watches"] and deadline:
        http.put("a")
        deadline -= 1
    with http.events() as stream:
        assert next(stream)["event"] == "open"


def test_the_server_ends_although_there_are_streams(serve: NameServers):
    server = serve("--http", ":0")
    http = Http(server)
    with http.events() as stream:
        next(stream)
        assert server.process.terminate() == 0
        assert list(stream) == []
    assert "Traceback" not in server.process.output
    assert "Cancel" not in server.process.output
