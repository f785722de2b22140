"""The shape of a call, and what all readers do at the end."""

import pytest

from pyronym.errors import SerializeError
from pyronym.serializers.incoming import call_parts, with_classes
from pyronym.uri import URI


def test_a_call_has_four_parts():
    assert call_parts(["object", "method", (1,), {"a": 2}]) == ("object", "method", (1,), {"a": 2})
    assert call_parts(("object", "method", [], None)) == ("object", "method", [], {})


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (5, "a int"),
        (("object", "method"), "2 values"),
        ((b"object", "method", (), {}), "a bytes as object id"),
        (("object", 1, (), {}), "a int as method"),
        (("object", "method", {}, {}), "a dict as arguments"),
        (("object", "method", (), ()), "a tuple as keyword arguments"),
        (("object", "method", (), {1: 2}), "a keyword argument whose name is no text"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(value, wrong):
    with pytest.raises(SerializeError) as caught:
        call_parts(value)
    assert str(caught.value) == (
        f"invalid call: {wrong} (expected an object id, a method, a list of arguments and a dict of keyword arguments)"
    )


def test_classes_are_recreated_where_the_payload_names_any():
    fields = {"__class__": "Pyro4.core.URI", "state": ["PYRO", "o", None, "h", 1]}
    assert with_classes([fields], b"...__class__...") == [URI("PYRO:o@h:1")]
    assert with_classes([fields], b"...") == [fields]
