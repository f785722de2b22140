"""The reader for marshal data, compared with Python's own on data that Python wrote."""

import marshal

import pytest
from comparing import form, plain_data
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import SerializeError
from pyronym.serializers import marshal_reader
from pyronym.serializers.bounds import LIMITS, MAX_INTEGER_BITS, Budget
from pyronym.serializers.marshal_reader import read_marshal


@given(value=plain_data, version=st.integers(0, 4))
def test_what_python_writes_is_read_as_python_reads_it(value, version):
    data = marshal.dumps(value, version)
    assert form(read_marshal(data)) == form(marshal.loads(data))


@pytest.mark.parametrize("version", range(5))
@pytest.mark.parametrize(
    "value",
    [
        {"text": ["ascii", "ä€😀", "\ud800", "x" * 300, "ä" * 300], "bytes": [b"", b"\xff" * 300, bytearray(b"y")]},
        [0, 1, -1, 2**31, -(2**31), 2**31 - 1, 2**15, 2**30, -(2**63), 2**1000, -(2 ** (MAX_INTEGER_BITS - 15))],
        [0.1, -0.0, 1e300, float("inf"), 1 + 2j, complex("-inf-0j")],
        [(), [], {}, set(), frozenset(), tuple(range(300)), frozenset([(1, frozenset([2]))])],
        [None, True, False],
    ],
    ids=["texts", "integers", "floats", "containers", "constants"],
)
def test_every_type_is_read_in_every_version(value, version):
    data = marshal.dumps(value, version)
    assert form(read_marshal(data)) == form(marshal.loads(data))


@pytest.mark.parametrize("version", [3, 4])
def test_values_that_occur_several_times_are_read(version):
    text, numbers, number = "x" * 50, [1, 2**40], 2**40
    key = (text, number)
    value = [text, numbers, {text: numbers, key: {"a": numbers}}, {key, number}, frozenset([key]), [numbers, numbers]]
    data = marshal.dumps(value, version)
    assert b"r" in data
    assert read_marshal(data) == value


def test_the_long_form_of_a_64_bit_integer_is_read():
    assert read_marshal(b"I" + (-5).to_bytes(8, "little", signed=True)) == -5


TEXT = b"\xda\x01a"
"""A text that is remembered as number 0."""


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is cut off"),
        (b"i\x00", "4 bytes announced, 1 are left"),
        (b"NN", "1 bytes after the value"),
        (b"z", "it is cut off"),
        (b"z\x02a", "a text of 2 bytes is cut off"),
        (b"s\xff\xff\xff\x7f", "2147483647 bytes announced"),
        (b"s\xff\xff\xff\xff", "-1 bytes announced"),
        (b"[\xff\xff\xff\x7f", "2147483647 elements announced"),
        (b"[\xff\xff\xff\xff", "-1 elements announced"),
        (b"(\xff\xff\xff\x7f", "elements announced"),
        (b"<\xff\xff\xff\x7f", "elements announced"),
        (b")\xff", "255 elements announced"),
        (b"{N", "it is cut off"),
        (b"{N0", "type '0' is not plain data"),
        (b"l\xff\xff\xff\x7f", "integer of more than"),
        (b"l\x01\x00\x00\x80", "integer of more than"),
        (b"l\x01\x00\x00\x00\xff\xff", "digit out of range"),
        (b"f\x01x", "could not convert"),
        (b"a\x01\x00\x00\x00\xff", "'ascii' codec"),
        (b"u\x01\x00\x00\x00\xff", "'utf-8' codec"),
        (b"0", "type '0' is not plain data"),
        (b"r\x00\x00\x00\x00", "a reference to value 0, which is not complete"),
        (b")\x02" + TEXT + b"r\x01\x00\x00\x00", "a reference to value 1"),
        (b")\x02" + TEXT + b"r\xff\xff\xff\xff", "a reference to value -1"),
        (b"\xdb\x01\x00\x00\x00r\x00\x00\x00\x00", "a reference to value 0, which is not complete"),
        (b"\xa9\x01r\x00\x00\x00\x00", "a reference to value 0, which is not complete"),
        (b"<\x01\x00\x00\x00[\x00\x00\x00\x00", "a list cannot be a key"),
        (b"{[\x00\x00\x00\x00N0", "a list cannot be a key"),
        (b"S", "type 'S' is not plain data"),
        (b".", "type '.' is not plain data"),
        (marshal.dumps(compile("1", "", "eval")), "type 'c' is not plain data"),
    ],
    ids=repr,
)
def test_what_is_no_plain_data_is_refused_and_told(data, complaint):
    with pytest.raises(SerializeError) as caught:
        read_marshal(data)
    assert complaint in str(caught.value)


def test_nesting_is_limited():
    assert read_marshal(b")\x01" * LIMITS.depth + b"N")
    with pytest.raises(SerializeError, match="nested too deep"):
        read_marshal(b")\x01" * 1_000_000 + b"N")


@pytest.mark.parametrize("element", [b"N", b"{0", b"<\0\0\0\0", b"r\0\0\0\0"])
def test_too_many_elements_are_refused(element, monkeypatch):
    monkeypatch.setattr(marshal_reader, "Budget", lambda: Budget(200))
    with pytest.raises(SerializeError, match="too many elements"):
        read_marshal(b"[\xc9\0\0\0" + TEXT + element * 200)


def test_a_dict_with_too_many_elements_is_refused(monkeypatch):
    monkeypatch.setattr(marshal_reader, "Budget", lambda: Budget(200))
    pairs = b"".join(b"z\x04%04dN" % number for number in range(101))
    assert read_marshal(b"{" + pairs[:-7] + b"0")
    with pytest.raises(SerializeError, match="too many elements"):
        read_marshal(b"{" + pairs + b"0")


def test_billion_laughs_as_a_key_are_refused_before_they_are_hashed():
    # Each tuple contains the one before twice, by reference; the outermost is the key of a dict.
    levels = 60
    data = b"\xa9\x02" * levels + TEXT + TEXT
    for level in reversed(range(1, levels)):
        data += b"r" + level.to_bytes(4, "little")
    with pytest.raises(SerializeError, match="too many elements"):
        read_marshal(b"{" + data + b"N0")
