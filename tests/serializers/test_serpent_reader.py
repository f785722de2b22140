"""The reader for serpent, compared with the library and with Python's own literals."""

import ast
import warnings

import pytest
import serpent
from comparing import form, plain_data
from hypothesis import assume, given
from hypothesis import strategies as st

from pyronym.errors import SerializeError
from pyronym.serializers import serpent_reader
from pyronym.serializers.bounds import FEW_KEYS, LIMITS, Budget
from pyronym.serializers.serpent_reader import read_serpent


@given(value=plain_data, indent=st.booleans(), bytes_repr=st.booleans())
def test_what_the_library_writes_is_read_as_the_library_reads_it(value, indent, bytes_repr):
    data = serpent.dumps(value, indent=indent, bytes_repr=bytes_repr)
    assert form(read_serpent(data)) == form(serpent.loads(data))


NUMBERS = ["0", "1", "-1", "00", "1.5", "1e5", ".5", "1.", "1e30000", "2j", "(1+2j)", "(1.0-2.5e3j)"]
TEXTS = ["'a'", '"b"', "b'c'", "''", "'''", "\\x41", "\\n", "\\u20ac", "\\7", "\\q", "ä", "a"]
PIECES = st.sampled_from([*"[](){},:'\"\\#\n \tb+-", "None", "True", "False", *NUMBERS, *TEXTS])


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=12))
def test_what_is_read_means_the_same_in_python(text):
    try:
        value = read_serpent(text.encode())
    except SerializeError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = ast.literal_eval(text.strip())
        except SyntaxError:
            assume(False)  # white space is of no importance here, but Python has rules for the start of a line
    assert form(value) == form(expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("# serpent utf-8 python3.2\n('a',)", ("a",)),
        ("  # a comment\r\n[1, # one\n 2]\n\n", [1, 2]),
        ("(1)", 1),
        ("(1,)", (1,)),
        ("()", ()),
        ("{}", {}),
        ("{1,}", {1}),
        ("{1:2,}", {1: 2}),
        ("[1,2,]", [1, 2]),
        ("-1e30000", float("-inf")),
        ("1E10", 1e10),
        ("+5", 5),
        ("1.", 1.0),
        ("(1.0-2.0j)", 1 - 2j),
        ("(1e30000+0.0j)", complex("inf+0j")),
        (r"'\'\"\\\a\b\f\n\r\t\v\0\x41\u20ac\U0001f600\101'", "'\"\\\a\b\f\n\r\t\v\0A€😀A"),
        (r"b'\x00\xff\'\n'", b"\x00\xff'\n"),
        ('"it\'s"', "it's"),
    ],
)
def test_literals_are_read(text, value):
    assert form(read_serpent(text.encode())) == form(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the end at character 0 (expected a value)"),
        ("# serpent", "the end"),
        ("[1", "the end at character 2 (expected ',' or ']')"),
        ("[1 2]", "'2' at character 4 (expected ',' or ']')"),
        ("(1]", "']' at character 3 (expected ',' or ')')"),
        ("[,]", "',' at character 2 (expected a value)"),
        ("{1:2,3}", "'}' at character 7 (expected ':')"),
        ("{1,2:3}", "':' at character 5 (expected ',' or '}')"),
        ("{1:2 3}", "'3' at character 6 (expected ',' or '}')"),
        ("{1 2}", "'2' at character 4 (expected ':', ',' or '}')"),
        ("{,}", "',' at character 2 (expected a value)"),
        ("{1:}", "'}' at character 4 (expected a value)"),
        ("1,2", "',' at character 2 (expected the end)"),
        ("'a' 'b'", "\"'b'\" at character 7 (expected the end)"),
        ("nil", "'n'"),
        ("Nonesense", "'s'"),
        ("__import__('os')", "'_'"),
        ("1_000", "'_'"),
        ("0x10", "'x'"),
        ("-None", "'-'"),
        ("'a", '"\'"'),
        ("'a\nb'", '"\'"'),
        ("'a\0b'", '"\'"'),
        (r"'\q'", r"unknown escape \q"),
        (r"'\x4'", r"unknown escape \x"),
        (r"'\U00110000'", "chr() arg not in range"),
        (r"'\U80000000'", "invalid serpent: "),
        (r"b'\u1234'", r"escape \u1234 in bytes"),
        ("b'ä'", "bytes with characters that are not ASCII"),
        ("9" * 5000, "4300"),
    ],
)
def test_what_is_no_literal_is_refused_and_told(text, complaint):
    with pytest.raises(SerializeError) as caught:
        read_serpent(text.encode())
    assert str(caught.value).startswith("invalid serpent: ")
    assert complaint in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(SerializeError, match=r"^invalid serpent: 'utf-8' codec"):
        read_serpent(b"'\xff'")


@pytest.mark.parametrize("text", ["[[]]", "{():()}", "{1:[]}", "((),)"])
def test_nesting_is_allowed_up_to_the_limit(text):
    levels = LIMITS.depth - 1
    assert read_serpent(("[" * levels + text + "]" * levels).encode())
    with pytest.raises(SerializeError, match="nested too deep"):
        read_serpent(("[" * (levels + 1) + text + "]" * (levels + 1)).encode())


@pytest.mark.parametrize("opening", ["[", "(", "{", "{1:", "-", "(1,", "'", "not ", "lambda:", "b'", "\\"])
def test_endless_nesting_is_refused_at_once(opening):
    with pytest.raises(SerializeError):
        read_serpent((opening * 1_000_000).encode())


@pytest.mark.parametrize("text", ["[" + "0," * 200 + "]", "{" + "0:0," * 200 + "}", "[" + "()," * 200 + "]"])
def test_too_many_elements_are_refused(text, monkeypatch):
    monkeypatch.setattr(serpent_reader, "Budget", lambda: Budget(200))
    with pytest.raises(SerializeError, match="too many elements"):
        read_serpent(text.encode())


@pytest.mark.parametrize("text", ["{[]}", "{[]:1}", "{{}}", "{1,{2}}", "{([],)}"])
def test_what_has_no_hash_is_refused_as_a_key(text):
    with pytest.raises(SerializeError, match="cannot be a key"):
        read_serpent(text.encode())


@pytest.mark.parametrize("form", ["{{{}}}", "{{{}:0}}"])
def test_numbers_of_equal_hash_are_refused_as_keys(form):
    separator = ":0," if ":" in form else ","
    keys = separator.join(str(place * (2**61 - 1)) for place in range(FEW_KEYS + 1))
    with pytest.raises(SerializeError, match="have the same hash"):
        read_serpent(form.format(keys).encode())
