"""Objects and the dicts as which they travel."""

import pytest

from pyronym.errors import NamingError, SecurityError, SerializeError, UnknownNameError
from pyronym.serializers.classes import (
    BatchFailure,
    RemoteReference,
    class_dict,
    recreate_classes,
    reference_of,
)
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

PLACE = URI("PYRO:obj@localhost:1234")
STATE = ("PYRO", "obj", None, "localhost", 1234)
REFERENCE = RemoteReference(
    PLACE, frozenset(["once"]), frozenset(["b", "a"]), frozenset(["attribute"]), b"key", ["hand"], "json"
)
MODULE = __name__


class Point:
    def __init__(self):
        self.x = 1


class Slotted:
    __slots__ = ("unset", "x")

    def __init__(self):
        self.x = 1


class OneSlot:
    __slots__ = "x"  # allowed, and met in the wild

    def __init__(self):
        self.x = 1


class OwnState(Point):
    def __getstate__(self):
        return {"y": 2}


class OwnTuple(Point):
    def __getstate__(self):
        return (1, 2)


class StandIn:
    """Like a proxy: asks a remote object for attributes that it does not have."""

    def _pyroReference(self):
        return REFERENCE

    def __getattr__(self, name):
        raise AssertionError(f"{name} was looked for in the remote object")


def test_uris_travel_with_their_state():
    assert class_dict(PLACE, PYRO4) == {"__class__": "Pyro4.core.URI", "state": STATE}
    assert class_dict(PLACE, PYRO5) == {"__class__": "Pyro5.core.URI", "state": STATE}


def test_exceptions_travel_with_arguments_and_attributes():
    assert class_dict(UnknownNameError("x"), PYRO5) == {
        "__class__": "Pyro5.errors.NamingError",
        "__exception__": True,
        "args": ("unknown name: x",),
        "attributes": {},
    }


def test_failures_of_a_batch_travel_in_the_peers_wrapper():
    inner = class_dict(ValueError("x"), PYRO4)
    failure = BatchFailure(ValueError("x"))
    assert class_dict(failure, PYRO4) == {"__class__": "Pyro4.futures._ExceptionWrapper", "exception": inner}
    assert class_dict(failure, PYRO5) == {"__class__": "Pyro5.core._ExceptionWrapper", "exception": inner}


def test_references_travel_as_the_peers_proxies():
    members = (("once",), ("a", "b"), ("attribute",))
    assert class_dict(REFERENCE, PYRO4) == {
        "__class__": "Pyro4.core.Proxy",
        "state": ("PYRO:obj@localhost:1234", *members, 0.0, "b64:a2V5", ["hand"], 0, "json"),
    }
    assert class_dict(REFERENCE, PYRO5) == {
        "__class__": "Pyro5.client.Proxy",
        "state": ("PYRO:obj@localhost:1234", *members, ["hand"], "json"),
    }


def test_an_object_may_say_as_which_reference_it_travels():
    assert reference_of(StandIn()) is REFERENCE
    assert class_dict(StandIn(), PYRO4) == class_dict(REFERENCE, PYRO4)
    assert reference_of(StandIn) is None
    assert reference_of("text") is None


def test_the_key_of_a_reference_is_not_shown():
    assert "key" not in repr(REFERENCE)


@pytest.mark.parametrize(
    ("value", "attributes"),
    [(Point(), {"x": 1}), (Slotted(), {"x": 1}), (OneSlot(), {"x": 1}), (OwnState(), {"y": 2}), (OwnTuple(), {"x": 1})],
    ids=lambda value: type(value).__name__,
)
def test_other_objects_travel_with_their_attributes(value, attributes):
    assert class_dict(value, PYRO4) == {**attributes, "__class__": f"{MODULE}.{type(value).__name__}"}


def test_the_daemon_of_a_registered_object_does_not_travel():
    value = Point()
    value._pyroDaemon = object()
    assert class_dict(value, PYRO4) == {"x": 1, "_pyroDaemon": None, "__class__": f"{MODULE}.Point"}
    assert value._pyroDaemon is not None


@pytest.mark.parametrize("value", [pytest.param(object(), id="object"), len, int, Point, b"bytes"], ids=repr)
def test_what_has_no_attributes_cannot_travel(value):
    with pytest.raises(SerializeError, match=r"^don't know how to serialize class <class '"):
        class_dict(value, PYRO4)


def test_objects_are_recreated_at_any_depth():
    uri = {"__class__": "Pyro4.core.URI", "state": list(STATE)}
    problem = {
        "__class__": "builtins.ValueError",
        "__exception__": True,
        "args": [uri, [uri]],
        "attributes": {"at": uri},
    }
    value = recreate_classes({"a": [uri, (uri, {1})], "b": {"c": problem}})
    assert value["a"] == [PLACE, (PLACE, {1})]
    assert value["b"]["c"].args == (PLACE, [PLACE])
    assert value["b"]["c"].at == PLACE


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_what_was_written_is_recreated(protocol):
    no_key = RemoteReference(PLACE, methods=frozenset(["a"]))
    for value in (PLACE, URI("PYROMETA:a,b@./u:s"), URI("PYRONAME:x"), no_key):
        assert recreate_classes(class_dict(value, protocol)) == value
    failure = recreate_classes(class_dict(BatchFailure(NamingError("x")), protocol))
    assert isinstance(failure, BatchFailure)
    assert isinstance(failure.exception, NamingError)


def test_the_key_of_a_reference_travels_to_pyro4_only():
    assert recreate_classes(class_dict(REFERENCE, PYRO4)) == REFERENCE
    assert recreate_classes(class_dict(REFERENCE, PYRO5)).hmac_key is None


def test_the_shorter_state_of_older_proxies_is_read():
    state = ("PYRO:obj@localhost:1234", (), ("a",), (), 0.0, None, "hello", 0)
    assert recreate_classes({"__class__": "Pyro4.core.Proxy", "state": state}) == RemoteReference(
        PLACE, methods=frozenset(["a"])
    )


def test_tags_of_a_uri_become_a_set_again():
    state = ["PYROMETA", ["a", "b"], None, None, None]
    assert recreate_classes({"__class__": "Pyro5.core.URI", "state": state}) == URI("PYROMETA:a,b")


def test_serpents_form_of_a_float_that_is_no_number_is_read():
    value = recreate_classes({"__class__": "float", "value": "nan"})
    assert value != value


@pytest.mark.parametrize(
    "name", ["os.system", "Point", "float", "Pyro4.core.Daemon", "Pyro4.errors.Unknown", "x" * 10**6]
)
def test_other_classes_are_refused(name):
    with pytest.raises(SerializeError) as caught:
        recreate_classes([{"__class__": name}])
    assert str(caught.value) == f"unsupported serialized class: {name[:100]}"


@pytest.mark.parametrize("name", ["__main__.Evil", "builtins.__import__", "x.__class__"])
def test_names_with_double_underscores_are_refused(name):
    with pytest.raises(SecurityError) as caught:
        recreate_classes({"__class__": name})
    assert str(caught.value) == f"refused to deserialize types with double underscores in their name: {name}"


@pytest.mark.parametrize("name", [None, 5, ["os.system"], b"Pyro4.core.URI"])
def test_a_class_without_a_name_is_refused(name):
    with pytest.raises(SerializeError, match="expected the name of a class"):
        recreate_classes({"__class__": name})


@pytest.mark.parametrize(
    "state",
    [
        None,
        "PYRO:o@h:1",
        [],
        STATE[:4],
        (*STATE, 1),
        ("HTTP", "o", None, "h", 1),
        ("PYRO", None, None, "h", 1),
        ("PYRO", {"o"}, None, "h", 1),
        ("PYRO", "o", 5, "h", 1),
        ("PYRO", "o", None, ["h"], 1),
        ("PYRO", "o", None, "h", "1"),
        ("PYRO", "o", None, "h", True),
        ("PYROMETA", "tags", None, None, None),
        ("PYROMETA", ["a", 1], None, None, None),
        ({}, "o", None, "h", 1),
    ],
    ids=repr,
)
def test_an_impossible_state_of_a_uri_is_refused(state):
    with pytest.raises(SerializeError, match="invalid"):
        recreate_classes({"__class__": "Pyro4.core.URI", "state": state})


@pytest.mark.parametrize(
    "change",
    [
        {0: "no uri"},
        {0: None},
        {1: "once"},
        {2: [1]},
        {3: None},
        {5: "key"},
        {5: "b64:?"},
        {5: 7},
        {8: 5},
        {9: "one too many"},
    ],
    ids=repr,
)
def test_an_impossible_state_of_a_proxy_is_refused(change):
    state = dict(enumerate(class_dict(REFERENCE, PYRO4)["state"])) | change
    with pytest.raises(SerializeError, match="invalid"):
        recreate_classes({"__class__": "Pyro4.core.Proxy", "state": list(state.values())})


@pytest.mark.parametrize("inner", [None, "x", ["x"], {"__class__": "Pyro4.core.URI", "state": STATE}], ids=repr)
def test_a_wrapper_without_an_exception_is_refused(inner):
    with pytest.raises(SerializeError, match="invalid exception wrapper"):
        recreate_classes({"__class__": "Pyro4.futures._ExceptionWrapper", "exception": inner})
