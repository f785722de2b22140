"""What callers of the name server may pass, and what they are told when they pass something else."""

from enum import StrEnum

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyronym import NameServer
from pyronym.errors import BadPatternError, NameTakenError, PyroError, UnknownNameError
from pyronym.service import pyro4, pyro5
from pyronym.service.arguments import checked_uri
from pyronym.service.nameservice import NameService
from pyronym.storage.mapping import MappingStore
from pyronym.uri import URI

OBJECT = "PYRO:object@host:1"


@pytest.fixture
def service():
    service = NameService(MappingStore({}))
    yield service
    service.close()


@pytest.fixture(params=[pyro4.NameServer, pyro5.NameServer], ids=["pyro4", "pyro5"])
def nameserver(request, service):
    return request.param(service)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((1, OBJECT), TypeError, "name must be a str, not int"),
        ((b"x", OBJECT), TypeError, "name must be a str, not bytes"),
        (("x", 1), TypeError, "only URIs or strings can be registered, not int"),
        (("x", "nonsense"), PyroError, "invalid uri: 'nonsense'"),
        (("x", OBJECT, False, "tag"), TypeError, "metadata should not be a str"),
        (("x", OBJECT, False, 5), TypeError, "metadata should be a collection of str, not int"),
        (("x", OBJECT, False, ["a", 5]), TypeError, "metadata should be a collection of str, but contains 5"),
        (("\ud800", OBJECT), ValueError, r"name is not valid Unicode: '\\ud800'"),
        (("x", "PYRO:\ud800@h:1"), ValueError, "uri is not valid Unicode"),
        (("x", OBJECT, False, ["\ud800"]), ValueError, "metadata is not valid Unicode"),
    ],
)
def test_a_wrong_registration_is_refused_and_changes_nothing(nameserver, arguments, error, words):
    with pytest.raises(error, match=words):
        nameserver.register(*arguments)
    assert nameserver.count() == 0


def test_a_registration_takes_a_uri_object_and_any_collection_of_tags(nameserver):
    for number, tags in enumerate((["a", "b", "a"], ("a", "b"), {"a", "b"}, frozenset("ab"), (tag for tag in "ab"))):
        nameserver.register(f"n{number}", URI(OBJECT), metadata=tags)
        uri, found = nameserver.lookup(f"n{number}", return_metadata=True)
        assert uri == URI(OBJECT)
        assert sorted(found) == ["a", "b"]


def test_of_an_enumeration_of_texts_the_texts_are_kept(nameserver):
    class Names(StrEnum):
        CAMERA = "lab.camera"
        PLACE = OBJECT

    nameserver.register(Names.CAMERA, Names.PLACE)
    ((name, uri),) = nameserver.list().as_dict().items()
    assert (type(name), name, type(uri), uri) == (str, "lab.camera", str, OBJECT)


def test_nothing_as_metadata_is_what_the_dialect_says(service):
    pyro4_server, pyro5_server = pyro4.NameServer(service), pyro5.NameServer(service)
    for nothing in (None, [], 0, False):
        pyro4_server.register("x", OBJECT, metadata=nothing)
        assert pyro4_server.lookup("x", return_metadata=True) == (URI(OBJECT), [])
    for wrong in (0, False, ""):
        with pytest.raises(TypeError):
            pyro5_server.register("y", OBJECT, metadata=wrong)
    with pytest.raises(TypeError):
        pyro4_server.register("y", OBJECT, metadata="")
    assert pyro5_server.lookup("x", return_metadata=True) == (URI(OBJECT), set())


def test_safe_and_return_metadata_count_by_their_truth(nameserver):
    nameserver.register("x", OBJECT)
    nameserver.register("x", OBJECT, 0.0)
    with pytest.raises(NameTakenError):
        nameserver.register("x", OBJECT, "yes")
    assert isinstance(nameserver.lookup("x", 0.0), URI)
    assert isinstance(nameserver.lookup("x", "yes"), tuple)


def test_a_name_that_is_not_there(nameserver):
    for operation in (nameserver.lookup, lambda name: nameserver.set_metadata(name, [])):
        with pytest.raises(UnknownNameError, match=r"^unknown name: nobody$"):
            operation("nobody")
        with pytest.raises(TypeError, match="name must be a str"):
            operation(5)


@pytest.mark.parametrize("pattern", ["(", "*", "(?P<a>x)(?P<a>y)", "[z-a]", "(" * 5000, "x{99999999999999999999}"])
def test_a_broken_pattern_is_a_naming_error_with_the_reason(nameserver, pattern):
    for operation in (nameserver.list, nameserver.remove):
        work = operation(regex=pattern)
        with pytest.raises(BadPatternError, match=r"^invalid regex: ."):
            work.do()


@pytest.mark.parametrize("operation", ["list", "remove"])
@pytest.mark.parametrize("filter_name", ["prefix", "regex"])
def test_a_filter_of_a_wrong_type_is_named(nameserver, operation, filter_name):
    with pytest.raises(TypeError, match=f"{filter_name} must be a str, not bytes"):
        getattr(nameserver, operation)(**{filter_name: b"x"})


def test_filters_of_pyro4_are_counted_by_being_given(service):
    nameserver = pyro4.NameServer(service)
    nameserver.register("x", OBJECT)
    with pytest.raises(ValueError, match="one thing at a time"):
        nameserver.list(prefix="", regex="")
    for empty in ({"metadata_all": []}, {"prefix": ""}):
        assert nameserver.list(**empty).as_dict() == {"x": OBJECT}
    for name in ("metadata_all", "metadata_any"):
        with pytest.raises(TypeError, match=f"{name} should not be a str"):
            nameserver.list(**{name: "tag"})


def test_filters_of_pyro5_are_counted_by_their_truth(service):
    nameserver = pyro5.NameServer(service)
    nameserver.register("x", OBJECT)
    assert nameserver.list(prefix="", regex="x").do().as_dict() == {"x": OBJECT}
    assert nameserver.yplookup([], None) == {}
    with pytest.raises(ValueError, match="one thing at a time"):
        nameserver.list(prefix="x", regex="x")
    with pytest.raises(ValueError, match="meta_all or meta_any"):
        nameserver.yplookup(["a"], ["b"])


def test_an_unknown_name_to_remove_is_no_reason_to_remove_others_in_pyro5(service):
    nameserver = pyro5.NameServer(service)
    nameserver.register("lab.camera", OBJECT)
    assert nameserver.remove("nobody", "lab.") == 0
    assert nameserver.count() == 1
    assert pyro4.NameServer(service).remove("nobody", "lab.") == 1


def test_a_prefix_is_a_prefix(nameserver):
    for name in ("app_one", "APP_two", "appXone", "app%z", "app", "größe", "größer"):
        nameserver.register(name, OBJECT)
    assert sorted(nameserver.list(prefix="app_").as_dict()) == ["app_one"]
    assert sorted(nameserver.list(prefix="größe").as_dict()) == ["größe", "größer"]
    assert nameserver.remove(prefix="app_") == 1
    assert nameserver.count() == 6


def test_the_blocking_name_server_writes_any_mapping():
    mapping = {"old": (OBJECT, None)}
    nameserver = NameServer(mapping)
    nameserver.register("new", OBJECT, metadata=["t"])
    assert nameserver.list(return_metadata=True) == {"old": (OBJECT, []), "new": (OBJECT, ["t"])}
    assert mapping["new"] == (OBJECT, {"t"})
    assert nameserver.remove("old") == 1
    assert list(mapping) == ["new"]
    with pytest.raises(TypeError, match="MutableMapping"):
        NameServer(12)


part = st.text("o1.:@[]/u \n\u00e9\u0661", max_size=5) | st.sampled_from(["./u", "localhost", "99999", "1" * 5000])


@given(st.builds("{}:{}@{}:{}".format, st.sampled_from(["PYRO", "pyro", "PYRONAME", "PYROX"]), part, part, part))
@example("PYRO:o@./u:1")
@example("PYRO:o@[::1]:1")
@example("PYRO:o@h:1\n")
def test_a_text_can_be_registered_if_it_is_a_uri(text):
    try:
        URI(text)
    except PyroError:
        with pytest.raises(PyroError):
            checked_uri(text)
    else:
        assert checked_uri(text) == text
