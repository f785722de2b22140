"""URIs of remote objects."""

import copy
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym import uri
from pyronym.errors import PyroError
from pyronym.uri import URI, is_link_local, name_servers_at


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("PYRO:obj@host:4444", ("PYRO", "obj", None, "host", 4444)),
        ("pyro:obj@host:4444", ("PYRO", "obj", None, "host", 4444)),
        ("PYRO:a@b@host:4444", ("PYRO", "a", None, "b@host", 4444)),
        ("PYRO:obj@[::1]:4444", ("PYRO", "obj", None, "::1", 4444)),
        ("PYRO:obj@[fe80::1%eth0]:4444", ("PYRO", "obj", None, "fe80::1%eth0", 4444)),
        ("PYRO:obj@./u:/tmp/sock", ("PYRO", "obj", "/tmp/sock", None, None)),
        ("PYRONAME:lab.camera", ("PYRONAME", "lab.camera", None, None, None)),
        ("PYRONAME:lab.camera@host", ("PYRONAME", "lab.camera", None, "host", 9090)),
        ("PYRONAME:lab.camera@host:9999", ("PYRONAME", "lab.camera", None, "host", 9999)),
        ("PYRONAME:lab.camera@./u:ns.sock", ("PYRONAME", "lab.camera", "ns.sock", None, None)),
        ("PYROMETA:a,b@host", ("PYROMETA", {"a", "b"}, None, "host", 9090)),
        ("PYRONAME:a@ns1,ns2:1", ("PYRONAME", "a", None, "ns1:9090,ns2:1", None)),
        ("PYROMETA:a,b@[::1]:1, ns2", ("PYROMETA", {"a", "b"}, None, "[::1]:1,ns2:9090", None)),
        ("PYRONAME:a@./u:/tmp/s,ns2", ("PYRONAME", "a", None, "./u:/tmp/s,ns2:9090", None)),
        ("PYRO:obj@a,b:1", ("PYRO", "obj", None, "a,b", 1)),
        ("PYRO:größe.☃@host:1", ("PYRO", "größe.☃", None, "host", 1)),
    ],
)
def test_a_uri_has_parts(text, state):
    assert URI(text).__getstate__() == state


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "invalid uri"),
        ("nonsense", "invalid uri: 'nonsense'"),
        ("PYRO:obj", "invalid uri"),
        ("PYRO:@host:1", "invalid uri"),
        ("PYROX:obj@host:1", r"invalid uri \(protocol\)"),
        ("PYRO:obj@host", "invalid port in uri, port=None"),
        ("PYRO:obj@host:x", "invalid port in uri, port=x"),
        ("PYRO:obj@./u:", r"invalid uri \(location\)"),
        ("PYRO:obj@./u:a:b", r"invalid uri \(location\)"),
        ("PYRO:obj@[[::1]]:1", "invalid ipv6 address: enclosed in too many brackets"),
        ("PYRO:obj@[localhost]:1", "invalid ipv6 address: the part between brackets"),
        ("PYROMETA:a, b@host", "invalid uri"),
        ("PYRO:obj@[::1]x:1", "invalid ipv6 address: the part between brackets"),
        ("PYRO:o bj@host:1", "invalid uri"),
        ("PYRONAME:a@ns1,", r"invalid name servers: 'ns1,' \(expected host\[:port\],host\[:port\],...\)"),
        ("PYRONAME:a@ns1,ns2:x", "invalid port in uri, port=x"),
    ],
)
def test_what_is_no_uri_is_refused_with_the_reason(text, words):
    with pytest.raises(PyroError, match=words):
        URI(text)


@pytest.mark.parametrize("wrong", [None, 12, b"PYRO:obj@host:1", ["PYRO:obj@host:1"]])
def test_only_texts_and_uris_are_uris(wrong):
    with pytest.raises(TypeError, match="uri must be a str or a URI"):
        URI(wrong)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("PYRO:obj@host:1", "host:1"),
        ("PYRO:obj@[::1]:1", "[::1]:1"),
        ("PYRO:obj@./u:/tmp/s", "./u:/tmp/s"),
        ("PYRONAME:obj", None),
        ("PYRONAME:obj@ns1:1,[::1]:2", "ns1:1,[::1]:2"),
    ],
)
def test_location_and_text_are_given_back(text, location):
    uri = URI(text)
    assert uri.location == location
    assert str(uri) == uri.asString() == text
    assert text in repr(uri)


def test_tags_are_written_in_one_order():
    assert str(URI("PYROMETA:b,a,c@h:1")) == "PYROMETA:a,b,c@h:1"


def test_uris_are_equal_by_their_parts():
    assert URI("PYRO:a@h:1") == URI("pyro:a@h:1")
    assert URI("PYRO:a@h:1") != URI("PYRO:a@h:2")
    assert URI("PYRO:a@h:1") != "PYRO:a@h:1"
    assert len({URI("PYROMETA:a,b@h:1"), URI("PYROMETA:b,a@h:1")}) == 1
    assert URI(URI("PYRO:a@h:1")) == URI("PYRO:a@h:1")


def test_uris_can_be_copied_and_pickled():
    uri = URI("PYROMETA:a,b@[::1]:1")
    assert copy.copy(uri) == uri
    assert pickle.loads(pickle.dumps(uri)) == uri


def test_unix_locations_are_told_apart():
    assert URI.isUnixsockLocation("./u:/tmp/s")
    assert not URI.isUnixsockLocation("localhost:9090")


@given(st.text())
def test_any_text_is_a_uri_or_refused(text):
    try:
        uri = URI(text)
    except PyroError:
        return
    assert URI(str(uri)) == uri


@given(st.text(st.characters(exclude_categories=["Z", "C"], exclude_characters="@"), min_size=1), st.integers(0, 65535))
def test_any_object_id_without_blanks_survives(object_id, port):
    uri = URI(f"PYRO:{object_id}@host:{port}")
    assert (uri.object, uri.port) == (object_id, port)


BACKTRACKING = re.compile(r"(?P<protocol>[Pp][Yy][Rr][Oo][a-zA-Z]*):(?P<object>\S+?)(?:@(?P<location>.+))?$")
"""What splits a URI in words that are easy to understand, and takes hours for a long one."""


@given(st.text(alphabet="@@@\n a:é\u2028", max_size=12).map("PYRO:".__add__))
def test_texts_are_split_at_the_first_at_sign_that_something_follows(text):
    slow, quick = BACKTRACKING.match(text), uri._URI.match(text)
    assert (slow and slow.groupdict()) == (quick and quick.groupdict())


def test_a_text_full_of_at_signs_is_refused_without_trying_them_all():
    with pytest.raises(PyroError, match="invalid uri") as caught:
        URI("PYRO:" + "@" * 1_000_000 + "\nx")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("locations", "found"),
    [
        ("ns1", ["ns1:9"]),
        ("ns1:1 , ns2", ["ns1:1", "ns2:9"]),
        ("::1,[::2],[::3]:3", ["[::1]:9", "[::2]:9", "[::3]:3"]),
        ("./u:/tmp/s,fe80::1%eth0", ["./u:/tmp/s", "[fe80::1%eth0]:9"]),
    ],
)
def test_locations_of_name_servers_are_taken_apart(locations, found):
    uris = name_servers_at(locations, 9)
    assert [str(uri) for uri in uris] == [f"PYRO:Pyro.NameServer@{location}" for location in found]


@pytest.mark.parametrize(
    ("host", "linked"),
    [
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", False),
        ("169.254.0.1", False),
        ("fe80", False),
        ("ns1:1,[fe80::1]:2", False),
        ("", False),
    ],
)
def test_some_addresses_need_an_interface(host, linked):
    assert is_link_local(host) is linked
