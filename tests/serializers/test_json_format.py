"""The json serializer."""

import pytest
from comparing import depth, elements, form, names, without_tuples_and_sets
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import SerializeError
from pyronym.serializers import json_format
from pyronym.serializers.bounds import LIMITS
from pyronym.serializers.json_format import JsonFormat
from pyronym.wire.message import PYRO4

FORMAT = JsonFormat(PYRO4)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(names, children) | st.sets(st.integers() | st.text()),
    max_leaves=10,
)


@given(values)
def test_values_make_the_way_and_back(value):
    read = FORMAT.loads(FORMAT.dumps(value))
    if isinstance(value, set):
        read, value = set(read), set(value)
    if not _has_set(value):
        assert form(read) == form(without_tuples_and_sets(value))


def _has_set(value):
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, set) or (isinstance(value, list) and any(map(_has_set, value)))


def test_sets_are_written_in_order():
    assert FORMAT.dumps({"c", "ä", "a"}) == '["a", "c", "ä"]'.encode()


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"nil", b"{1: 2}", b"\xff", b"[1] 2", "[1]".encode("utf-16"), b'"\\ud8"', b"9" * 5000, b"[" * 100_000],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(SerializeError, match=r"^invalid json: "):
        FORMAT.loads(data)


@pytest.mark.parametrize("value", [b"bytes", {(1, 2): 3}, "\ud800"], ids=repr)
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(SerializeError):
        FORMAT.dumps(value)


def test_nesting_is_limited():
    assert FORMAT.loads(b"[" * LIMITS.depth + b"]" * LIMITS.depth)
    with pytest.raises(SerializeError, match="nested too deep"):
        FORMAT.loads(b"[" * (LIMITS.depth + 2) + b"]" * (LIMITS.depth + 2))


@given(values, st.integers(0, 3), st.integers(0, 20))
def test_bounds_are_checked_wherever_they_might_be_exceeded(value, max_depth, max_elements):
    data = FORMAT.dumps(value)
    value = FORMAT.loads(data)
    with pytest.MonkeyPatch.context() as patch:
        checked = []
        patch.setattr(LIMITS, "depth", max_depth)
        patch.setattr(LIMITS, "elements", max_elements)
        patch.setattr(json_format, "_count_elements", lambda _: None)
        patch.setattr(json_format, "check_bounds", checked.append)
        FORMAT.loads(data)
    if depth(value) > max_depth or elements(value) > max_elements:
        assert len(checked) == 1


@pytest.mark.parametrize("element", [b"0", b"[]", b'{"a":0}'])
def test_too_many_elements_are_refused_before_they_are_built(element, monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    monkeypatch.setattr(json_format, "_DECODER", None)  # they would be built by it
    with pytest.raises(SerializeError, match="too many elements"):
        FORMAT.loads(b"[" + (element + b",") * 401 + b"0]")


def test_commas_in_a_long_text_are_no_elements(monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    text = '[{,",\\' * 200
    assert FORMAT.loads(FORMAT.dumps([text])) == [text]


@pytest.mark.parametrize(
    "call",
    [[], {}, {"object": "o", "method": "m", "params": []}, {"object": 1, "method": "m", "params": [], "kwargs": {}}],
)
def test_what_is_no_call_is_refused(call):
    with pytest.raises(SerializeError, match=r"^invalid call: "):
        FORMAT.loads_call(FORMAT.dumps(call))


def test_white_space_around_a_value_is_allowed():
    assert FORMAT.loads(b" \t\r\n[1, 2 ]\n ") == [1, 2]


def test_keyword_arguments_may_be_null():
    assert FORMAT.loads_call(b'{"object": "o", "method": "<batch>", "params": [], "kwargs": null}')[3] == {}


def test_a_text_without_end_is_refused_in_reasonable_time(monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 200)
    with pytest.raises(SerializeError, match="invalid json"):
        FORMAT.loads(b'"\\' * 500_000)


@pytest.mark.parametrize(
    "data", [b'{"a": [1, -2.5, null, true, "x\\n\\u00e9", {}]}', b"[" * 300, b"[1,", b"1e999", b'"\\ud800"']
)
def test_large_payloads_are_read_alike_by_the_reader_that_lets_others_run(data, monkeypatch):
    def outcome():
        try:
            return FORMAT.loads(data)
        except SerializeError as problem:
            return str(problem)[:12]

    monkeypatch.setattr(json_format, "_MUCH", 10**9)
    quick = outcome()
    monkeypatch.setattr(json_format, "_MUCH", 0)
    assert outcome() == quick
