"""The marshal serializer."""

import marshal

import pytest

from pyronym.errors import SerializeError
from pyronym.serializers.marshal_format import MarshalFormat
from pyronym.uri import URI
from pyronym.wire.message import PYRO5

FORMAT = MarshalFormat(PYRO5)


def test_objects_inside_of_containers_are_written():
    fields = {"__class__": "Pyro5.core.URI", "state": ("PYRO", "o", None, "h", 1)}
    assert marshal.loads(FORMAT.dumps((URI("PYRO:o@h:1"), {"a": URI("PYRO:o@h:1")}))) == (fields, {"a": fields})


def test_the_version_is_one_that_all_peers_read():
    assert FORMAT.dumps("text")[1:] == b"\x04text"  # older ones write the size as four bytes


def test_shared_values_that_are_huge_together_are_refused():
    value: object = ("ha",)
    for _ in range(60):
        value = (value, value)
    with pytest.raises(SerializeError, match="too many elements"):
        FORMAT.loads(marshal.dumps(value, 4))


def test_objects_as_keys_cannot_be_written():
    with pytest.raises(SerializeError, match=r"^cannot write marshal data: unhashable"):
        FORMAT.dumps({URI("PYRO:o@h:1"): 1})


def test_arguments_are_written_as_a_list_like_the_stock_clients():
    assert marshal.loads(FORMAT.dumps_call("o", "m", (1,), {"a": 2})) == ("o", "m", [1], {"a": 2})
