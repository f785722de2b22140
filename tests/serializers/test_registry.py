"""What holds for all serializers of both protocols."""

from __future__ import annotations

import json
import marshal
from types import SimpleNamespace

import pytest
import stock_payloads
from comparing import form, without_tuples_and_sets
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import NamingError, SecurityError, SerializeError, UnknownNameError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.registry import serializer_by_id, serializer_by_name, serializer_id
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

NAMES = {PYRO4: "pyro4", PYRO5: "pyro5"}
SERIALIZERS = {
    PYRO4: {1: "serpent", 2: "json", 3: "marshal", 4: "pickle", 5: "dill", 6: "msgpack", 7: "cloudpickle"},
    PYRO5: {1: "serpent", 2: "marshal", 3: "json", 4: "msgpack"},
}
ALL = [(protocol, name) for protocol, names in SERIALIZERS.items() for name in names.values()]
WITH_STOCK_PAYLOADS = [(protocol, name) for protocol, name in ALL if name in ("serpent", "json", "marshal", "msgpack")]
DIFFERENT = [case for case in ALL if case[1] not in ("dill", "cloudpickle")]

STOCK = json.loads(stock_payloads.FILE.read_text())


def our_values(protocol):
    key = b"key" if protocol == PYRO4 else None
    reference = RemoteReference(
        URI("PYRO:obj@localhost:1234"),
        oneway=frozenset(["once"]),
        methods=frozenset(["method"]),
        attributes=frozenset(["attribute"]),
        hmac_key=key,
    )
    return stock_payloads.values(
        SimpleNamespace(URI=URI, NamingError=NamingError, Failure=BatchFailure, proxy=reference)
    )


def stock_bytes(protocol, name):
    return {what: bytes.fromhex(data) for what, data in STOCK[NAMES[protocol]][name].items()}


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_each_protocol_has_its_own_numbers(protocol):
    for number, name in SERIALIZERS[protocol].items():
        assert serializer_by_id(protocol, number).name == name
        assert serializer_id(protocol, name) == number
        assert serializer_by_name(protocol, name) is serializer_by_id(protocol, number)


def test_an_unknown_number_or_name_is_refused_with_the_known_ones():
    with pytest.raises(SerializeError, match=r"no serializer available for id 9 \(available: 1 serpent, 2 marshal"):
        serializer_by_id(PYRO5, 9)
    with pytest.raises(SerializeError, match="serializer 'pickle' is unknown or not available"):
        serializer_by_name(PYRO5, "pickle")
    with pytest.raises(SerializeError, match="serializer 'yaml' is unknown or not available"):
        serializer_id(PYRO4, "yaml")


@pytest.mark.parametrize(("protocol", "name"), [case for case in WITH_STOCK_PAYLOADS if case[1] != "marshal"])
def test_values_are_written_byte_for_byte_as_by_the_stock_peer(protocol, name):
    serializer = serializer_by_name(protocol, name)
    values = our_values(protocol)
    calls = {f"call {what}": call for what, call in stock_payloads.CALLS.items()}
    for what, data in stock_bytes(protocol, name).items():
        written = serializer.dumps_call(*calls[what]) if what in calls else serializer.dumps(values[what])
        assert written == data, what


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_marshal_data_stands_for_the_same_as_that_of_the_stock_peer(protocol):
    # The bytes differ between two runs of the stock peer, by what the interpreter happens to share.
    serializer = serializer_by_name(protocol, "marshal")
    values = our_values(protocol)
    calls = {f"call {what}": call for what, call in stock_payloads.CALLS.items()}
    for what, data in stock_bytes(protocol, "marshal").items():
        written = serializer.dumps_call(*calls[what]) if what in calls else serializer.dumps(values[what])
        assert marshal.loads(written) == marshal.loads(data), what


@pytest.mark.parametrize(("protocol", "name"), WITH_STOCK_PAYLOADS)
def test_what_the_stock_peer_writes_is_read_as_the_same_values(protocol, name):
    serializer = serializer_by_name(protocol, name)
    values = our_values(protocol)
    # Travelling changes these in the stock peers, too: serpent knows no bytes and no empty sets.
    values["uri with no tags"] = (URI("PYRO:obj@localhost:1234"), () if name == "serpent" else set())
    values["bytes"] = [{"data": "", "encoding": "base64"}, {"data": "AP8=", "encoding": "base64"}]
    if name in ("marshal", "msgpack"):
        values["bytes"] = [b"", b"\x00\xff"]
    for what, data in stock_bytes(protocol, name).items():
        if what.startswith("call "):
            continue
        value = values[what] if name in ("serpent", "marshal") else without_tuples_and_sets(values[what])
        assert form(serializer.loads(data)) == form(value), what


@pytest.mark.parametrize(("protocol", "name"), WITH_STOCK_PAYLOADS)
def test_the_calls_of_stock_clients_are_read(protocol, name):
    serializer = serializer_by_name(protocol, name)
    for what, call in stock_payloads.CALLS.items():
        expected = list(call) if name in ("serpent", "marshal") else without_tuples_and_sets(call)
        parts = list(serializer.loads_call(stock_bytes(protocol, name)[f"call {what}"]))
        parts[2], expected[2] = list(parts[2]), list(expected[2])
        assert form(parts) == form(expected)


@pytest.mark.parametrize(("protocol", "name"), ALL)
def test_every_value_makes_the_way_and_back_where_the_stock_peer_fails_too(protocol, name):
    # The stock peers cannot write objects inside of containers with marshal, nor empty frozensets with json or msgpack.
    serializer = serializer_by_name(protocol, name)
    uri = URI("PYRO:obj@localhost:1234")
    assert serializer.loads(serializer.dumps((uri, frozenset()))) in [(uri, frozenset()), [uri, []], (uri, ())]
    for what, value in our_values(protocol).items():
        if what == "complex" and name == "json":
            continue
        if what == "bytes" and name in ("json", "serpent"):
            continue
        if name == "serpent" and what == "uri with no tags":
            continue
        if name in ("json", "msgpack"):
            value = without_tuples_and_sets(value)
        assert form(serializer.loads(serializer.dumps(value))) == form(value), what


@pytest.mark.parametrize(("protocol", "name"), ALL)
def test_calls_make_the_way_and_back(protocol, name):
    serializer = serializer_by_name(protocol, name)
    uri = URI("PYRO:obj@localhost:1234")
    data = serializer.dumps_call("object", "method", (1, uri), {"key": [uri]})
    object_id, method, args, kwargs = serializer.loads_call(data)
    assert (object_id, method, list(args), kwargs) == ("object", "method", [1, uri], {"key": [uri]})


@pytest.mark.parametrize(("protocol", "name"), [case for case in DIFFERENT if case[1] != "pickle"])
def test_the_other_protocols_class_names_are_read_as_well(protocol, name):
    other = PYRO5 if protocol == PYRO4 else PYRO4
    uri = URI("PYRO:obj@localhost:1234")
    written = serializer_by_name(other, name).dumps([uri, NamingError("x"), BatchFailure(ValueError("y"))])
    read = serializer_by_name(protocol, name).loads(written)
    assert form(read) == form([uri, NamingError("x"), BatchFailure(ValueError("y"))])


@pytest.mark.parametrize(("protocol", "name"), ALL)
def test_a_naming_error_comes_back_as_the_subclass_that_its_words_tell(protocol, name):
    serializer = serializer_by_name(protocol, name)
    problem = serializer.loads(serializer.dumps(UnknownNameError("lab.camera")))
    assert type(problem) is UnknownNameError
    assert problem.name == "lab.camera"


@pytest.mark.parametrize(("protocol", "name"), [case for case in DIFFERENT if case[1] != "json"])
@pytest.mark.parametrize(
    "value",
    [
        "no call",
        ("object", "method", ()),
        ("object", "method", (), {}, None),
        (1, "method", (), {}),
        ("object", None, (), {}),
        ("object", "method", "arguments", {}),
        ("object", "method", (), ["kwargs"]),
    ],
    ids=repr,
)
def test_what_is_no_call_is_refused(protocol, name, value):
    serializer = serializer_by_name(protocol, name)
    with pytest.raises(SerializeError, match=r"^invalid call: "):
        serializer.loads_call(serializer.dumps(value))


@pytest.mark.parametrize(("protocol", "name"), [case for case in DIFFERENT if case[1] != "json"])
def test_in_a_batch_there_may_be_none_instead_of_keyword_arguments(protocol, name):
    serializer = serializer_by_name(protocol, name)
    data = serializer.dumps(("object", "<batch>", [("count", (), {})], None))
    assert serializer.loads_call(data)[3] == {}


@pytest.mark.parametrize(("protocol", "name"), DIFFERENT)
@given(data=st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(protocol, name, data):
    _read_or_refuse(serializer_by_name(protocol, name), data)


@st.composite
def damaged(draw, originals):
    """A real payload with a few bytes changed, inserted, taken out or moved."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 6)))
        piece = draw(st.binary(max_size=6) | st.sampled_from([bytes(data[start : start + 30]), b"\xff\xff\xff\x7f"]))
        data[start:end] = piece
    return bytes(data)


@pytest.mark.parametrize(("protocol", "name"), DIFFERENT)
@given(data=st.data())
def test_damaged_payloads_are_read_or_refused(protocol, name, data):
    if name == "pickle":
        originals = [bytes.fromhex(payload) for payload in STOCK["pickles"].values()]
    else:
        originals = list(stock_bytes(protocol, name).values())
    _read_or_refuse(serializer_by_name(protocol, name), data.draw(damaged(originals)))


def _read_or_refuse(serializer, data):
    for read in (serializer.loads, serializer.loads_call):
        try:
            value = read(data)
        except (SerializeError, SecurityError):
            continue
        repr(value)  # whatever was read can be looked at


@pytest.mark.parametrize(("protocol", "name"), DIFFERENT)
def test_what_cannot_be_written_is_refused(protocol, name):
    serializer = serializer_by_name(protocol, name)
    endless: list[object] = []
    endless.append(endless)
    for value in (len, object(), endless, [print], {"a": (lambda: None).__code__}):
        with pytest.raises(SerializeError):
            serializer.dumps(value)
