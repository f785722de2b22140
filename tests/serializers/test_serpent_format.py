"""The serpent serializer."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyronym.errors import SecurityError, SerializeError
from pyronym.serializers.incoming import with_classes
from pyronym.serializers.serpent_format import SerpentFormat
from pyronym.serializers.serpent_reader import read_serpent
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

FORMAT = SerpentFormat(PYRO4)


def test_an_empty_set_is_written_as_an_empty_tuple():
    assert FORMAT.dumps({"tags": set()}) == b"# serpent utf-8 python3.2\n{'tags':()}"


def test_bytes_are_read_as_the_dict_as_which_they_travel():
    assert FORMAT.loads(FORMAT.dumps(b"ab")) == {"data": "YWI=", "encoding": "base64"}


def test_a_float_that_is_no_number_makes_the_way_and_back():
    value = FORMAT.loads(FORMAT.dumps(float("nan")))
    assert value != value


def test_objects_as_keys_cannot_be_written():
    with pytest.raises(SerializeError, match=r"^cannot write serpent: "):
        FORMAT.dumps({None: 1})
    with pytest.raises(SerializeError, match=r"^cannot write serpent: "):
        FORMAT.dumps({ValueError("x")})


@given(
    st.sampled_from(["Pyro4", "Pyro5", "Pyro6"]),
    st.text(max_size=8) | st.sampled_from(["object", "it's", "", "größe"]),
    st.text(max_size=8) | st.sampled_from(["host", "127.0.0.1", "::1", ""]),
    st.integers(-5, 2**40) | st.sampled_from(["01", "1.0", "None", "+1", "4444,"]),
    st.integers(0, 120),
    st.integers(0, 255),
)
@example("Pyro4", "object", "host", 4444, 200, 0)
def test_a_plain_uri_is_read_as_the_general_reader_reads_it(package, name, host, port, place, byte):
    written = bytearray(
        f"# serpent utf-8 python3.2\n{{'__class__':'{package}.core.URI',"
        f"'state':('PYRO',{name!r},None,{host!r},{port})}}",
        "utf-8",
        "surrogatepass",
    )
    if place < len(written):
        written[place] = byte
    data = bytes(written)

    def outcome(read):
        try:
            value = read(data)
        except (SerializeError, SecurityError) as problem:
            return type(problem), str(problem)
        return type(value), getattr(value, "__getstate__", lambda: value)()

    reader = SerpentFormat(PYRO4)
    assert outcome(reader.loads) == outcome(lambda data: with_classes(read_serpent(data), data))


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("args", [(), ("a",), ("a", 1), ["a"], (1.5,), (URI("PYRO:a@b:1"),)], ids=repr)
@pytest.mark.parametrize("kwargs", [{}, {"a": 1}])
def test_a_call_is_written_as_the_tuple_that_it_is(protocol, args, kwargs):
    form = SerpentFormat(protocol)
    assert form.dumps_call("o", "m", args, kwargs) == form.dumps(("o", "m", args, kwargs))


@pytest.mark.parametrize("kwargs", [{}, {"a": 1}])
def test_a_call_that_cannot_be_written_says_why(kwargs):
    with pytest.raises(SerializeError, match=r"^cannot write serpent: .*4300"):
        SerpentFormat(PYRO4).dumps_call("o", "m", (10**5000,), kwargs)
