"""What pickles may name, and how everything else is refused."""

import pytest

from pyronym.errors import SecurityError
from pyronym.serializers.pickle_globals import find_global
from pyronym.serializers.pickle_reader import read_pickle


@pytest.mark.parametrize("is_answer", [False, True])
@pytest.mark.parametrize("module", ["__builtin__", "builtins"])
@pytest.mark.parametrize("name", ["set", "frozenset", "bytes", "bytearray", "complex"])
def test_plain_types_are_known_by_old_and_new_names(module, name, is_answer):
    assert find_global(module, name, is_answer).name == f"builtins.{name}"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("Pyro4.core", "Proxy"),
        ("Pyro4.futures", "_ExceptionWrapper"),
        ("Pyro4.errors", "NamingError"),
        ("builtins", "ValueError"),
        ("exceptions", "ValueError"),
        ("builtins", "object"),
        ("copyreg", "_reconstructor"),
    ],
)
def test_what_servers_send_is_refused_in_calls(module, name):
    assert find_global(module, name, is_answer=True).name.endswith(f".{name}")
    with pytest.raises(SecurityError):
        find_global(module, name, is_answer=False)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "posix.system",
        "builtins.eval",
        "__builtin__.eval",
        "builtins.getattr",
        "builtins.type",
        "builtins.SystemExit",
        "builtins.set.__class__",
        "copyreg.__newobj__",
        "_codecs.lookup",
        "dill._dill._create_code",
        "Pyro4.core.Daemon",
        "Pyro4.core.URI.__init__",
        "Pyro4.util.SerpentSerializer",
        "pyronym.uri.URI",
        "numpy.core.multiarray._reconstruct",
        "Pyro4.errors.os",
        "subprocess.Popen",
    ],
)
def test_any_other_global_is_refused_where_it_is_named(name):
    module, _, attribute = name.rpartition(".")
    old = b"\x80\x02c" + module.encode() + b"\n" + attribute.encode() + b"\n"
    new = (
        b"\x80\x04\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(attribute)])
        + attribute.encode()
    )
    for start in (old, new + b"\x93"):
        for is_answer in (False, True):
            with pytest.raises(SecurityError) as caught:
                read_pickle(start + b"(S'echo pwned'\ntR.", is_answer=is_answer)
            assert str(caught.value) == (
                f"refused to unpickle {name}: only plain data and URIs are read (pass those, or use another serializer)"
            )


@pytest.mark.parametrize("name", [b"eval", b"os", b"__import__", b"type"])
def test_dills_way_to_name_a_type_reaches_no_more(name):
    data = b"\x80\x02cdill._dill\n_load_type\nU" + bytes([len(name)]) + name + b"\x85R."
    with pytest.raises(SecurityError, match=r"refused to unpickle builtins."):
        read_pickle(data, is_answer=True)


def test_a_long_name_of_a_global_is_cut_in_the_error():
    with pytest.raises(SecurityError) as caught:
        find_global("x" * 10_000, "y", is_answer=True)
    assert len(str(caught.value)) < 250
