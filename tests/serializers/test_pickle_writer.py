"""The writer for pickles, checked with Python's own tools: what is unpickled here was written here."""

import pickle
import pickletools
import re
import sys
from collections import OrderedDict
from datetime import date
from types import ModuleType

import pytest
from comparing import form, plain_data
from hypothesis import given

from pyronym.errors import SerializeError, UnknownNameError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.pickle_reader import read_pickle
from pyronym.serializers.pickle_writer import write_pickle
from pyronym.uri import URI

PLACE = URI("PYRO:obj@localhost:1234")


class ApplicationError(Exception):
    pass


@pytest.fixture
def peer(monkeypatch):
    """Modules like those of a peer, which pickle finds by name. Gives what its instances are."""

    class Empty:
        def __init__(self, *args):
            raise AssertionError("instances are made without arguments")

        def __setstate__(self, state):
            self.state = state

    class NamingError(Exception):
        pass

    names = {"Pyro4.core": ["URI", "Proxy"], "Pyro4.futures": ["_ExceptionWrapper"], "Pyro4.errors": []}
    for module, classes in names.items():
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
        for name in classes:
            setattr(sys.modules[module], name, type(name, (Empty,), {}))
    sys.modules["Pyro4.errors"].NamingError = NamingError
    monkeypatch.setitem(sys.modules, "Pyro4", ModuleType("Pyro4"))


def globals_of(data):
    return {argument for code, argument, _ in pickletools.genops(data) if code.name == "GLOBAL"}


@given(plain_data)
def test_python_reads_what_is_written(value):
    data = write_pickle(value)
    assert form(pickle.loads(data)) == form(value)
    assert form(read_pickle(data, is_answer=False)) == form(value)


@given(plain_data)
def test_every_instruction_belongs_to_protocol_2(value):
    codes = list(pickletools.genops(write_pickle(value)))
    assert all(code.proto <= 2 for code, _, _ in codes)
    assert (codes[0][0].name, codes[-1][0].name) == ("PROTO", "STOP")


@given(plain_data)
def test_nothing_is_remembered(value):
    names = {code.name for code, _, _ in pickletools.genops(write_pickle([value, value]))}
    assert not names & {"BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET"}


@pytest.mark.parametrize(
    "value", [2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**2031, -(2**2040), 2**9000, "\ud800", b""]
)
def test_values_at_the_limits_of_their_forms_are_written(value):
    assert pickle.loads(write_pickle(value)) == value


def test_other_plain_values_are_written_like_with_other_serializers():
    value = [OrderedDict(a=1), date(2020, 1, 2), bytearray(b"x"), frozenset([1]), 1 + 2j, {"a": 1}.keys()]
    assert pickle.loads(write_pickle(value)) == [{"a": 1}, "2020-01-02", b"x", frozenset([1]), 1 + 2j, ["a"]]


@pytest.mark.usefixtures("peer")
def test_uris_are_instances_of_the_peers_class():
    data = write_pickle((PLACE, ["tag"]))
    uri, tags = pickle.loads(data)
    assert (type(uri).__name__, uri.state) == ("URI", ("PYRO", "obj", None, "localhost", 1234))
    assert tags == ["tag"]
    assert globals_of(data) == {"Pyro4.core URI"}


@pytest.mark.usefixtures("peer")
def test_exceptions_are_made_of_their_class_and_arguments():
    problem = UnknownNameError("x")
    problem._pyroTraceback = ["line\n"]
    data = write_pickle(problem)
    read = pickle.loads(data)
    assert (type(read).__module__, type(read).__name__, read.args) == (__name__, "NamingError", ("unknown name: x",))
    assert read._pyroTraceback == ["line\n"]
    assert globals_of(data) == {"Pyro4.errors NamingError"}


def test_pythons_and_the_programs_own_exceptions_keep_their_names():
    problem = ApplicationError("a", 1)
    problem.detail = {"b": 2}
    data = write_pickle([ValueError("x"), problem])
    assert form(pickle.loads(data)) == form([ValueError("x"), problem])
    assert globals_of(data) == {"__builtin__ ValueError", f"{__name__} ApplicationError"}


@pytest.mark.usefixtures("peer")
def test_failures_of_a_batch_are_the_peers_wrapper():
    failure = pickle.loads(write_pickle([1, BatchFailure(ValueError("x"))]))[1]
    assert type(failure).__name__ == "_ExceptionWrapper"
    assert form(failure.state) == form({"exception": ValueError("x")})


@pytest.mark.usefixtures("peer")
def test_references_are_the_peers_proxies():
    reference = RemoteReference(PLACE, frozenset(["a"]), frozenset(["b"]), frozenset(["c"]), b"key", "hand", "json")
    proxy = pickle.loads(write_pickle(reference))
    assert type(proxy).__name__ == "Proxy"
    assert proxy.state[0].state == ("PYRO", "obj", None, "localhost", 1234)
    assert proxy.state[1:] == ({"a"}, {"b"}, {"c"}, 0.0, b"key", "hand", 0, "json")
    assert read_pickle(write_pickle(reference), is_answer=True) == reference


@pytest.mark.parametrize(
    "value", [pytest.param(object(), id="object"), len, ApplicationError, SerializeError], ids=repr
)
def test_other_objects_are_refused(value):
    with pytest.raises(SerializeError, match=re.escape(f"don't know how to serialize class {type(value)} with pickle")):
        write_pickle([value])


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append({"a": value})
    with pytest.raises(SerializeError, match="contains itself"):
        write_pickle(value)
