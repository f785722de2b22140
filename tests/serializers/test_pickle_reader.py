"""The reader for pickles: everything real peers send, and nothing else."""

import json
import pickle
import struct
from types import SimpleNamespace

import pytest
import stock_payloads
from comparing import form, plain_data
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import NamingError, SecurityError, SerializeError
from pyronym.serializers import pickle_reader
from pyronym.serializers.bounds import FEW_KEYS, LIMITS, Budget, Keys
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.pickle_reader import read_pickle
from pyronym.uri import URI

STOCK = {what: bytes.fromhex(data) for what, data in json.loads(stock_payloads.FILE.read_text())["pickles"].items()}
PLACE = URI("PYRO:obj@localhost:1234")


def call(data):
    return read_pickle(data, is_answer=False)


def answer(data):
    return read_pickle(data, is_answer=True)


def expected_values():
    reference = RemoteReference(
        PLACE, frozenset(["once"]), frozenset(["method"]), frozenset(["attribute"]), b"key", "hello", None
    )
    peer = SimpleNamespace(URI=URI, NamingError=NamingError, Failure=BatchFailure, proxy=reference)
    return stock_payloads.values(peer) | {
        "call": ("Pyro.NameServer", "register", ("n", PLACE), {"metadata": {"a"}, "safe": True}),
        "plain": {
            "set": {1},
            "frozenset": frozenset([1]),
            "bytes": [b"", b"\x00\xff"],
            "bytearray": bytearray(b"\xff"),
            "c": 1j,
        },
        "batch of failures": [BatchFailure(ValueError("x")), BatchFailure(NamingError("y"))],
    }


@pytest.mark.parametrize("module", ["pickle", "dill", "cloudpickle"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_that_stock_peers_pickle_is_read(module, protocol):
    for what, value in expected_values().items():
        assert form(answer(STOCK[f"{module} {protocol} {what}"])) == form(value), what
    problem = answer(STOCK[f"{module} {protocol} missing file"])
    assert (type(problem), problem.filename) == (FileNotFoundError, "name")


def test_proxies_that_were_made_for_returned_objects_are_read():
    # What `object.__reduce__` gives, which Pyro4 writes for an object that travels as a proxy.
    state = STOCK["pickle 2 proxy"].removeprefix(b"\x80\x02cPyro4.core\nProxy\nq\x00)\x81q\x01")
    made = b"\x80\x02ccopy_reg\n_reconstructor\ncPyro4.core\nProxy\nc__builtin__\nobject\nN\x87R"
    assert answer(made + state) == expected_values()["proxy"]
    with pytest.raises(SecurityError, match=r"refused to unpickle copy_reg\._reconstructor"):
        call(made + state)


@pytest.mark.parametrize("module", ["pickle", "dill", "cloudpickle"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calls_may_contain_plain_data_and_uris_only(module, protocol):
    for what in ("call", "plain", "uris", "meta uri", "nested", "scalars", "connect"):
        assert form(call(STOCK[f"{module} {protocol} {what}"])) == form(expected_values()[what]), what
    for what in ("proxy", "value error", "naming error", "batch results", "missing file"):
        with pytest.raises(SecurityError, match=r"^refused to unpickle "):
            call(STOCK[f"{module} {protocol} {what}"])


@given(value=plain_data, protocol=st.integers(2, 5))
def test_plain_data_is_read_as_python_reads_it(value, protocol):
    data = pickle.dumps(value, protocol)
    assert form(call(data)) == form(pickle.loads(data))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_large_and_shared_values_are_read(protocol):
    shared = ["x" * 300, "ä" * 100, b"y" * 300, bytearray(b"z" * 300), 2**2000, -(2**2000)]
    value = [shared, shared, {"a": shared}, list(range(3000)), dict.fromkeys(range(3000)), set(range(3000)), (1,) * 300]
    assert call(pickle.dumps(value, protocol)) == value


def test_the_pickle_of_a_python_2_client_is_read():
    # cPickle of Python 2.7 with protocol 2: ("Pyro.NameServer", u"register", ["n", URI], {"safe": True, "big": 2**40})
    data = (
        b"\x80\x02(U\x0fPyro.NameServerq\x01X\x08\x00\x00\x00registerq\x02]q\x03(U\x01nq\x04cPyro4.core\nURI\nq\x05)\x81q\x06"
        b"(U\x04PYROq\x07U\x03objq\x08NU\tlocalhostq\tM\xd2\x04tq\nbe}q\x0b(U\x04safeq\x0c\x88U\x03bigq\rI1099511627776\n"
        b"U\x03setq\x0ec__builtin__\nset\nq\x0f]q\x10K\x01a\x85q\x11Rq\x12ut."
    )
    assert call(data) == ("Pyro.NameServer", "register", ["n", PLACE], {"safe": True, "big": 2**40, "set": {1}})


def test_exceptions_of_python_2_are_read():
    data = (
        b"\x80\x02cexceptions\nKeyError\nq\x01U\x01aq\x02\x85q\x03Rq\x04}q\x05U\x0e_pyroTracebackq\x06]q\x07U\x01lasb."
    )
    assert form(answer(data)) == form(_with_traceback(KeyError("a"), ["l"]))


def _with_traceback(problem, lines):
    problem._pyroTraceback = lines
    return problem


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"c__builtin__\nbytearray\n)R.", bytearray()),
        (b"c__builtin__\nbytearray\nX\x02\x00\x00\x00\xc3\xbfX\x07\x00\x00\x00latin-1\x86R.", bytearray(b"\xff")),
        (b"c__builtin__\nbytes\n)R.", b""),
        (b"c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xbfX\x06\x00\x00\x00latin1\x86R.", b"\xff"),
        (b"c__builtin__\nset\n]\x85R.", set()),
    ],
    ids=repr,
)
def test_the_ways_of_older_protocols_to_make_plain_data_are_understood(content, value):
    assert form(call(b"\x80\x02" + content)) == form(value)


@pytest.mark.parametrize(("line", "value"), [(b"00", False), (b"01", True), (b"-5", -5), (b"0", 0)])
def test_numbers_in_text_are_read(line, value):
    assert form(call(b"\x80\x02I" + line + b"\n.")) == form(value)


def test_a_real_exploit_is_refused():
    class Exploit:
        def __reduce__(self):
            return eval, ("1/0",)

    for protocol in range(2, 6):
        with pytest.raises(SecurityError, match="eval"):
            call(pickle.dumps([Exploit()], protocol))


URI_EMPTY = b"cPyro4.core\nURI\n)\x81"
URI_STATE = b"(U\x04PYROU\x01oNU\x01hK\x01t"
NAMING_ERROR = b"cPyro4.errors\nNamingError\n"
RECONSTRUCTOR, OBJECT, PROXY = b"ccopyreg\n_reconstructor\n", b"cbuiltins\nobject\n", b"cPyro4.core\nProxy\n"
WRAPPER_EMPTY = b"cPyro4.futures\n_ExceptionWrapper\n)\x81"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is cut off"),
        (b"N", "it is cut off"),
        (b".", "nothing is left on the stack"),
        (b"NN.", "more than one value"),
        (b"(N.", "more than one value"),
        (b"N.N", "more than one value"),
        (b"\x80\x02N.", "is not needed for plain data"),
        (b"(dN.", "is not needed for plain data"),
        (b"P1\n.", "is not needed for plain data"),
        (b"\x82\x01.", "is not needed for plain data"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", "a frame of 18446744073709551615 bytes announced"),
        (b"X\xff\xff\xff\xff.", "4294967295 bytes announced"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "18446744073709551615 bytes announced"),
        (b"T\xff\xff\xff\xff.", "4294967295 bytes announced"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", "bytes announced"),
        (b"\x8b\xff\xff\xff\x7f.", "integer of more than"),
        (b"\x8b\xff\xff\xff\xff.", "integer of more than"),
        (b"\x8a\x05.", "5 bytes announced"),
        (b"G\x00.", "8 bytes announced"),
        (b"I12", "a line without end"),
        (b"I1_0\n.", "a number that is none"),
        (b"I\n.", "a number that is none"),
        (b"I" + b"9" * 5000 + b"\n.", "4300"),
        (b"U\x01\xff.", "'ascii' codec"),
        (b"X\x01\x00\x00\x00\xff.", "'utf-8' codec"),
        (b"\x85.", "nothing is left on the stack"),
        (b"N\x86.", "nothing is left on the stack"),
        (b"N(\x85.", "nothing is left on the stack"),
        (b"t.", "a mark is missing"),
        (b"e.", "a mark is missing"),
        (b"(Ne.", "no list to put something into"),
        (b"Na.", "no list to put something into"),
        (b")Na.", "no list to put something into"),
        (b"}(Nu.", "a key of a dict without its value"),
        (b"](NNu.", "no dict to put something into"),
        (b"}NNNs.", "no dict to put something into"),
        (b"](N\x90.", "no set to put something into"),
        (b"}]Ns.", "a list cannot be a key"),
        (b"\x8f(]\x90.", "a list cannot be a key"),
        (b"(]\x91.", "a list cannot be a key"),
        (b"q\x01.", "nothing is there to remember"),
        (b"\x94.", "nothing is there to remember"),
        (b"h\x01.", "nothing is remembered as 1"),
        (b"Nr\xff\xff\xff\x7f0.", "is not needed for plain data"),
        (b"j\xff\xff\xff\x7f.", "nothing is remembered as 2147483647"),
        (b"NN\x93.", "the name of a global is no text"),
        (b"c\xff\nx\n.", "'utf-8' codec"),
        (b"N)R.", "something is called that cannot be"),
        (URI_EMPTY[:-2] + b")R.", "something is called that cannot be"),
        (b"c__builtin__\nset\n]R.", "something is called that cannot be"),
        (b"c__builtin__\nset\n)\x81.", "an instance is made of something that has none"),
        (b"N)\x81.", "an instance is made of something that has none"),
        (b"cPyro4.core\nURI\nN\x85\x81.", "an instance is made with arguments"),
        (RECONSTRUCTOR + b"N" + OBJECT + b"N\x87R.", "an instance is made of something that has none"),
        (RECONSTRUCTOR + OBJECT + OBJECT + b"N\x87R.", "an instance is made of something that has none"),
        (RECONSTRUCTOR + PROXY + OBJECT + b"]\x87R.", "an instance is made of something else than its class"),
        (RECONSTRUCTOR + PROXY + PROXY + b"N\x87R.", "an instance is made of something else than its class"),
        (RECONSTRUCTOR + PROXY + OBJECT + b"N\x87R.", "an object did not get its state"),
        (OBJECT + b")R.", "something is called that cannot be"),
        (OBJECT + b".", "builtins.object is used as a value"),
        (b"c__builtin__\nset\n.", "builtins.set is used as a value"),
        (b"](c__builtin__\nset\ne.", "builtins.set is used as a value"),
        (b"c__builtin__\nset\nN\x85R.", "a set is made of something else than a list"),
        (b"c__builtin__\nset\n]N\x86R.", "a set is made of something else than a list"),
        (b"c__builtin__\nset\n](]e\x85R.", "a list cannot be a key"),
        (b"c__builtin__\nset\n](" + URI_EMPTY + b"e\x85R.", "a URI cannot be a key"),
        (b"c__builtin__\nset\n)R.", "a set is made of something else than a list"),
        (b"c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "bytes are made of something else"),
        (b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "a bytearray is made of something else"),
        (b"c__builtin__\ncomplex\nU\x011\x85R.", "a complex number is made of something else"),
        (b"c_codecs\nencode\nU\x01xU\x04rot1\x86R.", "bytes are made of something else"),
        (b"c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacU\x06latin1\x86R.", "'latin-1' codec"),
        (b"cdill._dill\n_load_type\n)R.", "a type without a name"),
        (b"cdill._dill\n_load_type\nN\x85R.", "the name of a global is no text"),
        (URI_EMPTY + b".", "an object did not get its state"),
        (URI_EMPTY + b"0N.", "is not needed for plain data"),
        (URI_EMPTY + b"Nb.", "invalid state of a URI"),
        (URI_EMPTY + b"}b.", "invalid state of a URI"),
        (URI_EMPTY + URI_STATE + b"b" + URI_STATE + b"b.", "a state for something that needs none"),
        (b"]" + URI_STATE + b"b.", "a state for something that needs none"),
        (b"Nb.", "a state for something that needs none"),
        (b"b.", "nothing is left on the stack"),
        (NAMING_ERROR + b")\x81.", "an instance is made of something that has none"),
        (NAMING_ERROR + b")RNb]b.", "invalid attributes of an exception"),
        (WRAPPER_EMPTY + b"Nb.", "invalid exception wrapper"),
        (WRAPPER_EMPTY + b"}U\x09exceptionNsb.", "invalid exception wrapper"),
        (WRAPPER_EMPTY + b".", "an object did not get its state"),
        (b"cPyro4.core\nProxy\n)\x81.", "an object did not get its state"),
        (b"cPyro4.core\nProxy\n)\x81)b.", "the state of a proxy is not one"),
        (b"cPyro4.core\nProxy\n)\x81(NNNNNNNNtb.", "invalid"),
    ],
    ids=repr,
)
def test_what_no_pickler_writes_is_refused_and_told(content, complaint):
    with pytest.raises(SerializeError) as caught:
        answer(b"\x80\x02" + content)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x80", b"N.", b"\x80\x00N.", b"\x80\x01N.", b"\x80\x06N.", b"(dp0\n."])
def test_other_protocols_are_refused(data):
    with pytest.raises(SerializeError, match="does not start like one of protocol 2, 3, 4 or 5"):
        call(data)


def test_a_truncated_pickle_is_refused():
    for data in STOCK.values():
        for size in {len(data) - 1, len(data) // 2, len(data) // 3}:
            with pytest.raises(SerializeError):
                answer(data[:size])


def test_nesting_is_limited():
    def nested(levels):
        return b"\x80\x02" + b")" + b"\x85" * levels + b"."

    assert call(nested(LIMITS.depth))
    with pytest.raises(SerializeError, match="nested too deep"):
        call(nested(100_000))


@pytest.mark.parametrize(
    "content",
    [
        b"]q\x01h\x01a.",
        b"}q\x01U\x01ah\x01s.",
        b"]q\x01" + NAMING_ERROR + b"h\x01\x85Rq\x02a.",
        NAMING_ERROR + b"]q\x01\x85Rq\x02}U\x01ah\x02sb.",
        WRAPPER_EMPTY + b"q\x01}U\x09exception" + NAMING_ERROR + b"h\x01\x85Rsb.",
    ],
    ids=["list", "dict", "arguments", "attributes", "wrapper"],
)
def test_what_contains_itself_is_refused(content):
    with pytest.raises(SerializeError, match="contains itself"):
        answer(b"\x80\x02" + content)


def laughs(levels):
    return b")" + b"q\x01h\x01\x86" * levels


def test_billion_laughs_are_refused():
    with pytest.raises(SerializeError, match="too many elements"):
        call(b"\x80\x02)" + b"q\x01h\x01\x86" * 60 + b".")


@pytest.mark.parametrize("use", [b"}%sNs.", b"\x8f(%s\x90.", b"(%s\x91.", b"c__builtin__\nset\n](%se\x85R."])
def test_billion_laughs_as_a_key_are_refused_before_they_are_hashed(use, monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 500)
    with pytest.raises(SerializeError, match="too many elements"):
        call(b"\x80\x02" + use % laughs(60))


def test_too_many_instructions_are_refused(monkeypatch):
    monkeypatch.setattr(LIMITS, "elements", 500)
    for content in (b"N\x94" * 501, b"]" * 501, b"}" * 501, b"\x8f" * 501):
        with pytest.raises(SerializeError, match="too many elements"):
            call(b"\x80\x02" + content + b".")


@pytest.mark.parametrize(
    "copy",
    [
        b"c__builtin__\nbytearray\nh\x01\x85R",
        b"c_codecs\nencode\nh\x02U\x06latin1\x86R",
        b"c__builtin__\nset\nh\x03\x85R",
        NAMING_ERROR + b"h\x02\x85R",
        NAMING_ERROR + b")Rh\x04b",
    ],
    ids=["bytes", "text", "list", "words", "attributes"],
)
def test_what_is_remembered_cannot_be_copied_without_end(copy, monkeypatch):
    monkeypatch.setattr(pickle_reader, "_COPY_ALLOWANCE", 100)
    large = b"B" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x01"
    large += b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x02"
    numbers = [b"M" + struct.pack("<H", number) for number in range(1000)]
    large += b"](" + b"".join(numbers) + b"eq\x03"
    large += b"}(" + b"N".join(numbers) + b"Nuq\x04"
    answer(b"\x80\x02(" + large + copy * 2 + b"t.")
    with pytest.raises(SerializeError, match="too many"):
        answer(b"\x80\x02(" + large + copy * 20 + b"t.")


def test_numbers_of_equal_hash_are_refused_as_keys_even_one_by_one():
    one_by_one = b"".join(pickle.dumps(place * (2**61 - 1), 2)[2:-1] + b"Ns" for place in range(FEW_KEYS + 1))
    with pytest.raises(SerializeError, match="have the same hash"):
        call(b"\x80\x02}" + one_by_one + b".")


def test_keys_that_come_one_by_one_are_not_checked_again_and_again(monkeypatch):
    checked = []
    check = Keys.check
    monkeypatch.setattr(Keys, "check", lambda guard, keys: (checked.extend(keys), check(guard, keys)))
    one_by_one = b"".join(b"M" + struct.pack("<H", number) + b"Ns" for number in range(3000))
    assert len(call(b"\x80\x02}" + one_by_one + b".")) == 3000
    assert len(checked) < 3000 + FEW_KEYS**2


def test_the_limits_allow_what_a_full_message_needs():
    Budget(pickle_reader._STEPS_OF_AN_ELEMENT * LIMITS.elements).spend(4_000_000)
