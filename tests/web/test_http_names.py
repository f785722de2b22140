"""Names by HTTP, with a real client and a real server, which Pyro clients use at the same time."""

import socket
from urllib.parse import urlsplit

import pytest

from http_client import Http
from pyronym.client.locate import locateNS

NAMES = [
    *("lab.camera", "a b", "a/b", "/", "//", "a/../b", "../..", ".", "..", "...", "", "=", "==", "=x", "a=b", "?x#y&z"),
    *("%", "%2F", "100%25", "größe", "\U0001f600", "a+b", "\n", "a\nb", "a\n", "\x00", "x" * 4096, "\U0001f600" * 4096),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_every_name_can_be_put_found_tagged_and_deleted_and_is_the_one_of_the_wire(shared, name):
    server, http = shared
    created = http.put(name, "PYRO:o@h:1", tags=["b", "a"])
    assert (created.status, created.json["name"], created.json["tags"]) == (201, name, ["a", "b"])
    with locateNS(*server.address) as ns:
        assert str(ns.lookup(name)) == "PYRO:o@h:1"
        ns.register(name, "PYRO:p@h:2", metadata=["c"])
    found = http.name("GET", name)
    assert (found.status, found.json["uri"], found.json["tags"]) == (200, "PYRO:p@h:2", ["c"])
    assert http.put(name, "PYRO:q@h:3").status == 200
    assert http.name("PATCH", name, {"tags": ["d"]}).json["tags"] == ["d"]
    assert [record["name"] for record in http.get("/api/v1/names", tag="d").json["names"]] == [name]
    assert http.name("DELETE", name).status == 204
    assert http.name("GET", name).problem == (404, f"unknown name: {name}")
    assert http.name("DELETE", name).problem[0] == 404


def test_of_two_who_edit_one_record_the_second_gets_the_conflict(http: Http):
    http.put("a")
    first = http.name("GET", "a").etag
    assert http.name("GET", "a", if_none_match=first).status == 304
    edited = http.name("PUT", "a", {"uri": "PYRO:first@h:1"}, if_match=first)
    assert (edited.status, edited.etag != first) == (200, True)
    for method, body in (("PUT", {"uri": "PYRO:second@h:1"}), ("PATCH", {"tags": ["x"]}), ("DELETE", None)):
        status, words = http.name(method, "a", body, if_match=first).problem
        assert (status, "'a' has changed meanwhile" in words) == (412, True)
    assert http.name("GET", "a").json["uri"] == "PYRO:first@h:1"
    assert http.name("PATCH", "a", {"tags": ["x"]}, if_match=f'"other", {edited.etag}').status == 200
    assert http.name("DELETE", "a", if_match="*").status == 204
    assert http.name("PUT", "a", {"uri": "PYRO:o@h:1"}, if_match="*").problem[0] == 412
    assert http.name("GET", "a").status == 404


def test_a_new_name_can_be_demanded(http: Http):
    wanted = {"uri": "PYRO:o@h:1"}
    assert http.name("PUT", "a", wanted, if_none_match="*").status == 201
    status, words = http.name("PUT", "a", {"uri": "PYRO:p@h:1"}, if_none_match="*").problem
    assert (status, words) == (412, "there is a record of 'a' (leave If-None-Match away to replace it)")
    etag = http.name("GET", "a").etag
    assert http.name("PUT", "a", wanted, if_none_match=etag).problem[0] == 412
    assert http.name("PUT", "a", wanted, if_none_match='"other"').status == 200


def test_tags_are_edited_without_harm_to_the_lease_of_the_program_that_renews_it(both):
    server, http = both
    with locateNS(*server.address) as ns:
        granted = ns.register("a", "PYRO:o@h:1", lease=60)
        http.name("PATCH", "a", {"tags": ["x"]}, if_match=http.name("GET", "a").etag)
        assert ns.renew({"a": granted["id"]}) == {"unknown": [], "taken": []}
    lease = http.name("GET", "a").json["lease"]
    assert (lease["id"], lease["seconds"], lease["ephemeral"]) == (granted["id"], 60, False)
    assert 0 < lease["left"] <= 60


def test_a_name_can_be_put_with_a_lease(http: Http):
    assert http.put("a", lease=30).json["lease"]["seconds"] == 30
    assert http.put("a").json["lease"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"uri": "nope"}, "invalid uri: 'nope' (expected PYRO:object@location"),
        ({}, "body.uri: Field required"),
        ({"uri": "PYRO:o@h:1", "tags": "x"}, "body.tags: Input should be a valid list"),
        ({"uri": "PYRO:o@h:1", "lease": 0}, "body.lease: Input should be greater than or equal to 0.1"),
        ({"uri": "PYRO:o@h:1", "tag": []}, "body.tag: Extra inputs are not permitted"),
        ({"uri": "PYRO:o@h:1", "tags": ["x" * 5000]}, "a metadata tag is too long: 5000 characters"),
        ({"uri": "PYRO:o@h:1", "tags": ["\ud800"]}, "Unicode"),
        ([], "body: Input should be a valid dictionary"),
    ],
)
def test_what_cannot_be_registered_is_told_and_changes_nothing(shared, body, words):
    _, http = shared
    status, detail = http.name("PUT", "bad", body).problem
    assert (status, words in detail) == (422, True), detail
    assert http.name("GET", "bad").status == 404


def test_a_name_that_is_too_long_is_refused(shared):
    _, http = shared
    assert http.put("x" * 4097).problem[0] == 422


def test_the_name_server_itself_cannot_be_changed(both):
    server, http = both
    own = "Pyro.NameServer"
    assert http.put(own).problem == (409, f"name already registered: {own}")
    assert http.name("DELETE", own).problem[0] == 403
    assert http.name("PATCH", own, {"tags": []}).problem[0] == 403
    assert http.name("GET", own).json["uri"] == server.uri


def test_all_names_come_page_by_page_in_order_each_way_and_as_filtered(http: Http):
    for number in range(25):
        http.put(f"n.{number:02}", f"PYRO:o@h:{100 - number}", tags=["even" if number % 2 == 0 else "odd", "all"])
    names = [f"n.{number:02}" for number in range(25)]
    for query, expected in (
        ({"prefix": "n."}, names),
        ({"prefix": "n.", "sort": "-name"}, names[::-1]),
        ({"prefix": "n.", "sort": "uri"}, sorted(names, key=_uri)),
        ({"prefix": "n.", "sort": "-uri"}, sorted(names, key=_uri, reverse=True)),
        ({"tag": ["even", "all"]}, names[::2]),
        ({"any_tag": ["odd", "none"]}, names[1::2]),
        ({"regex": r"n\.1\d", "tag": ["odd"]}, names[11:20:2]),
        ({"regex": r"n\.1\d", "prefix": "n.11", "sort": "-name"}, ["n.11"]),
        ({"prefix": "nothing"}, []),
    ):
        found, cursor, pages = [], None, 0
        while True:
            answer = http.get("/api/v1/names", limit=7, **query, **({"cursor": cursor} if cursor else {})).json
            found += [record["name"] for record in answer["names"]]
            assert answer["total"] == len(expected)
            cursor, pages = answer["next"], pages + 1
            if cursor is None:
                break
        assert found == expected, query
        assert pages == max(1, -(-len(expected) // 7))


def _uri(name: str) -> str:
    return f"PYRO:o@h:{100 - int(name[2:])}"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"limit": 0}, 422, "query.limit: Input should be greater than or equal to 1"),
        ({"limit": 1001}, 422, "query.limit: Input should be less than or equal to 1000"),
        ({"sort": "size"}, 422, "query.sort: Input should be 'name', '-name', 'uri' or '-uri'"),
        ({"cursor": "x"}, 400, "invalid cursor: 'x' (expected `next` of a page, with the same sort)"),
        ({"cursor": "W10="}, 400, "invalid cursor"),
        ({"regex": "("}, 400, "invalid regex"),
        ({"regex": "(a+)+$"}, 200, ""),
    ],
)
def test_wrong_queries_are_told(shared, query, status, words):
    _, http = shared
    answer = http.get("/api/v1/names", **query)
    assert answer.status == status
    if words:
        assert words in answer.problem[1]


@pytest.mark.parametrize(
    "path", ["/api/v1/names/%ff", "/api/v1/names/%", "/api/v1/names?prefix=%c3", "/api/v1/names/%zz"]
)
def test_what_is_no_percent_encoded_utf_8_is_told(shared, path):
    place = urlsplit(shared[1].url)
    with socket.create_connection((place.hostname, place.port), 20) as sock:  # clients would correct it
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"not percent-encoded UTF-8" in answer


def test_unknown_paths_and_methods_are_told_with_where_to_look(shared):
    _, http = shared
    assert http.get("/nowhere").problem == (404, "GET '/nowhere': Not Found (see /api/v1/docs)")
    answer = http("POST", "/api/v1/names", {})
    assert answer.problem[0] == 405
    assert answer.headers["Allow"] == "GET"
    assert http("POST", "/api/v1/names/a", {}).headers["Allow"] == "DELETE, GET, PATCH, PUT"
