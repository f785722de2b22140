"""The faces have the names, parameters, order and defaults of the reference."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyronym
from pyronym import naming, naming_storage
from pyronym.errors import (
    CommunicationError,
    ConnectionClosedError,
    DaemonError,
    MessageTooLargeError,
    NamingError,
    ProtocolError,
    PyroError,
    SecurityError,
    SerializeError,
    TimeoutError,
)

START = (
    "host=None, port=None, enableBroadcast=True, bchost=None, bcport=None, unixsocket=None, nathost=None, "
    "natport=None, storage=None, hmac=None"
)
REFERENCE = {
    naming.locateNS: "host=None, port=None, broadcast=True, hmac_key=None",
    naming.resolve: "uri, hmac_key=None",
    naming.startNS: START,
    naming.startNSloop: START,
    naming.MemoryStorage: "**kwargs",
    naming.NameServer: "storageProvider=None",
    naming.NameServer.list: (
        "self, prefix=None, regex=None, metadata_all=None, metadata_any=None, return_metadata=False"
    ),
    naming.NameServer.lookup: "self, name, return_metadata=False",
    naming.NameServer.ping: "self",
    naming.NameServer.count: "self",
    naming.NameServer.register: "self, name, uri, safe=False, metadata=None",
    naming.NameServer.set_metadata: "self, name, metadata",
    naming.NameServer.remove: "self, name=None, prefix=None, regex=None",
    naming_storage.SqlStorage: "dbfile",
    naming_storage.DbmStorage: "dbmfile",
    naming.type_meta: "class_or_object, prefix='class:'",
    naming.BroadcastServer: "nsUri, bchost=None, bcport=None, ipv6=False",
    pyronym.URI: "uri",
}


def parameters(function):
    shown = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            shown.append(str(parameter.replace(annotation=parameter.empty)))
    return ", ".join(shown)


@pytest.mark.parametrize(("function", "expected"), REFERENCE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_signatures_are_those_of_the_reference(function, expected):
    assert parameters(function) == expected


@pytest.mark.parametrize("name", pyronym.__all__)
def test_everything_public_is_at_the_top_of_the_package(name):
    assert getattr(pyronym, name) is not None
    assert name in dir(pyronym)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pyronym' has no attribute 'nothing'"):
        pyronym.nothing  # noqa: B018


def test_the_naming_functions_are_the_same_at_the_top():
    for name in ("locateNS", "resolve", "startNS", "startNSloop", "NameServer", "BroadcastServer", "type_meta"):
        assert getattr(pyronym, name) is getattr(naming, name)


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (PyroError, {Exception}),
        (CommunicationError, {PyroError}),
        (ConnectionClosedError, {CommunicationError}),
        (TimeoutError, {CommunicationError}),
        (ProtocolError, {CommunicationError}),
        (MessageTooLargeError, {ProtocolError}),
        (SerializeError, {ProtocolError}),
        (NamingError, {PyroError}),
        (DaemonError, {PyroError}),
        (SecurityError, {PyroError}),
    ],
)
def test_errors_inherit_as_in_pyro4(error, bases):
    assert set(error.__bases__) == bases


def test_memory_storage_is_a_dict():
    storage = naming.MemoryStorage(a=("PYRO:a@h:1", {"t"}))
    assert isinstance(storage, dict)
    storage["b"] = ("PYRO:b@h:1", None)
    assert dict(storage) == {"a": ("PYRO:a@h:1", {"t"}), "b": ("PYRO:b@h:1", frozenset())}
    assert storage.everything() == {"a": "PYRO:a@h:1", "b": "PYRO:b@h:1"}
    assert storage.everything(return_metadata=True) == dict(storage)
    storage.remove_items(["a", "gone"])
    assert list(storage) == ["b"]
    storage.close()


def test_type_meta_names_a_class_and_its_ancestors():
    class Base:
        pass

    class Derived(Base):
        pass

    tags = {f"class:{__name__}.Derived", f"class:{__name__}.Base"}
    assert naming.type_meta(Derived) == naming.type_meta(Derived()) == tags
    assert naming.type_meta(Base, "is:") == {f"is:{__name__}.Base"}
    assert naming.type_meta(12) == set()


def test_importing_the_package_does_not_import_the_servers_libraries():
    code = (
        "import sys, pyronym; print(sorted({'asyncio', 'sqlite3', 'click', 'serpent', 'msgpack'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_in_the_reference_of_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "api.md").read_text()
    described = set(re.findall(r"auto(?:function|class|module):: (?:pyronym\.)?(\w+)", page)) | {"config"}
    assert described >= set(pyronym.__all__)
