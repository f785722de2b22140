"""The msgpack serializer."""

import datetime
import struct

import msgpack
import pytest
from comparing import depth, form, names, without_tuples_and_sets
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import SerializeError
from pyronym.serializers import msgpack_format
from pyronym.serializers.bounds import LIMITS, Budget
from pyronym.serializers.msgpack_format import MsgpackFormat
from pyronym.wire.message import PYRO4

FORMAT = MsgpackFormat(PYRO4)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates(),
    lambda children: st.lists(children) | st.lists(children).map(tuple) | st.dictionaries(names, children),
    max_leaves=10,
)


@given(values)
def test_values_make_the_way_and_back(value):
    assert form(FORMAT.loads(FORMAT.dumps(value))) == form(without_tuples_and_sets(value))


def test_moments_and_large_integers_travel_as_extensions():
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5)
    assert FORMAT.loads(FORMAT.dumps([moment, 2**70])) == [moment, 2**70]
    assert FORMAT.dumps(2**70) == b"\xc7\x16\x311180591620717411303424"


def test_a_moment_in_a_time_zone_cannot_be_written():
    with pytest.raises(SerializeError, match="msgpack cannot serialize datetime with timezone info"):
        FORMAT.dumps(datetime.datetime.now(datetime.UTC))


def test_sets_are_written_in_order():
    assert FORMAT.dumps({"b", "a"}) == b"\x92\xa1a\xa1b"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x92\x01",
        b"\x01\x01",
        b"\xa2\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x81\x01\x02",
        b"\x81\x90\x02",
        b"\x91" * 100_000,
        b"\xd4\xffx",
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_is_no_msgpack_is_refused(data):
    with pytest.raises(SerializeError, match=r"^invalid msgpack: "):
        FORMAT.loads(data)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (0x30, b"x"),
        (0x31, b"1x"),
        (0x31, b"9" * 5000),
        (0x32, b"x"),
        (0x32, struct.pack("<d", float("nan"))),
        (0x32, struct.pack("<d", 1e300)),
        (0x33, b"\xff" * 8),
        (0x33, b"\x7f" * 20),
        (0x34, b""),
    ],
)
def test_a_broken_extension_is_refused(code, data):
    with pytest.raises(SerializeError, match=r"^invalid (msgpack extension|ext code)"):
        FORMAT.loads(msgpack.packb(msgpack.ExtType(code, data)))


@pytest.mark.parametrize(
    "opening",
    [
        b"\x91",
        b"\xdc\0\1",
        b"\xdd\0\0\0\1",
        b"\x81\xa1a",
        b"\xde\0\1\xa1a",
        b"\xdf\0\0\0\1\xa1a",
    ],
    ids=repr,
)
def test_nesting_is_limited(opening):
    assert FORMAT.loads(opening * LIMITS.depth + b"\x90")
    with pytest.raises(SerializeError, match="nested too deep"):
        FORMAT.loads(opening * (LIMITS.depth + 1) + b"\x01")


def test_a_map_with_too_many_elements_is_refused(monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    monkeypatch.setattr(msgpack_format, "Budget", lambda: Budget(200))
    with pytest.raises(SerializeError, match="too many elements"):
        FORMAT.loads(msgpack.packb({f"{number:03}": None for number in range(101)}))


@given(values, st.integers(0, 3))
def test_the_depth_is_checked_wherever_it_might_be_too_large(value, max_depth):
    data = FORMAT.dumps(value)
    with pytest.MonkeyPatch.context() as patch:
        checked = []
        patch.setattr(LIMITS, "depth", max_depth)
        patch.setattr(msgpack_format, "check_bounds", checked.append)
        value = FORMAT.loads(data)
    if depth(value) > max_depth:
        assert len(checked) == 1


@pytest.mark.parametrize("element", [b"\xc0", b"\x90", b"\x80"], ids=["null", "array", "map"])
def test_too_many_elements_are_refused_while_they_are_built(element, monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    monkeypatch.setattr(msgpack_format, "Budget", lambda: Budget(200))
    monkeypatch.setattr(msgpack_format, "check_bounds", lambda *_: pytest.fail("all of them are built"))
    monkeypatch.setattr(msgpack_format, "with_classes", lambda *_: pytest.fail("all of them are built"))
    with pytest.raises(SerializeError, match="too many elements"):
        FORMAT.loads(b"\x92" + 2 * (b"\xdd" + struct.pack(">I", 150) + element * 150))


def test_an_array_that_is_too_long_is_refused_before_it_is_built(monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    monkeypatch.setattr(msgpack_format, "_counter", lambda: lambda _: pytest.fail("it is built"))
    with pytest.raises(SerializeError, match="300 exceeds max_array_len"):
        FORMAT.loads(b"\xdd" + struct.pack(">I", 300) + b"\1" * 300)
