"""The serpent serializer."""

import pytest

from pyronym.errors import SerializeError
from pyronym.serializers.serpent_format import SerpentFormat
from pyronym.wire.message import PYRO4

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
