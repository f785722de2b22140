"""Objects of classes, in the form in which they travel inside plain data: a dict with ``__class__``.

============================  ========================================================================================
``Pyro4.core.URI``            ``state``: (protocol, object, sockname, host, port)
``Pyro4.core.Proxy``          ``state``: (uri, oneway, methods, attributes, timeout, key, handshake, retries,
                              serializer)
``Pyro5.client.Proxy``        ``state``: (uri, oneway, methods, attributes, handshake, serializer)
``Pyro4.errors.NamingError``  ``__exception__``: True, ``args``, ``attributes``
exception wrapper             ``exception``: the dict of an exception, as an element of a batch's results
``module.Class``              the attributes of any other object; such dicts are written, but never read
============================  ========================================================================================

Pyro5 says ``Pyro5`` where Pyro4 says ``Pyro4``. The writers use the peer's own names, the readers take both.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pyronym.errors import PyroError, SecurityError, SerializeError
from pyronym.serializers.exceptions import build_exception, exception_class, name_and_args, travelling_attributes
from pyronym.uri import URI, URIState
from pyronym.wire.message import PYRO4, PYRO5

PEERS: Final = {PYRO4: "Pyro4", PYRO5: "Pyro5"}
"""The package whose class names a protocol's peers use."""

EXCEPTION_WRAPPERS: Final = {PYRO4: "Pyro4.futures._ExceptionWrapper", PYRO5: "Pyro5.core._ExceptionWrapper"}

_URI_CLASSES: Final = {protocol: f"{peer}.core.URI" for protocol, peer in PEERS.items()}

_KEY_PREFIX: Final = "b64:"
_SHOWN: Final = 100
"""Characters of a peer's name for something that are repeated in an error message."""


@dataclass(frozen=True, slots=True)
class BatchFailure:
    """An element of a batch's results: this call raised `exception`, and the calls after it were not made."""

    exception: BaseException


@dataclass(frozen=True, slots=True)
class RemoteReference:
    """A proxy, as it travels: which object it stands for, and what is known of it.

    An object whose class has a method ``_pyroReference() -> RemoteReference`` travels as what that returns.
    """

    uri: URI
    oneway: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    hmac_key: bytes | None = field(default=None, repr=False)
    """Pyro4 only."""
    handshake: object = "hello"
    serializer: str | None = None
    """Name of the serializer for calls; None: the one that is configured where they are made."""


def reference_of(value: object) -> RemoteReference | None:
    """The reference as which `value` travels; None when it is no proxy."""
    if isinstance(value, RemoteReference):
        return value
    # Asked of the class: a proxy may look for unknown attributes in the remote object.
    make = getattr(type(value), "_pyroReference", None)
    return None if make is None else cast(RemoteReference, make(value))


def class_dict(value: object, protocol: int) -> dict[str, object]:
    """The dict as which an object travels to a peer that speaks `protocol`. What is in the dict may be objects again.

    Raises SerializeError when it has no attributes that could be written.
    """
    if isinstance(value, URI):
        return {"__class__": _URI_CLASSES[protocol], "state": value.__getstate__()}
    if isinstance(value, BaseException):
        name, args = name_and_args(value, PEERS[protocol])
        return {"__class__": name, "__exception__": True, "args": args, "attributes": travelling_attributes(value)}
    if isinstance(value, BatchFailure):
        return {"__class__": EXCEPTION_WRAPPERS[protocol], "exception": class_dict(value.exception, protocol)}
    reference = reference_of(value)
    if reference is not None:
        return _reference_dict(reference, protocol)
    return _attributes(value)


def _reference_dict(reference: RemoteReference, protocol: int) -> dict[str, object]:
    members = [tuple(sorted(names)) for names in (reference.oneway, reference.methods, reference.attributes)]
    place, handshake, serializer = str(reference.uri), reference.handshake, reference.serializer
    if protocol == PYRO5:
        return {"__class__": "Pyro5.client.Proxy", "state": (place, *members, handshake, serializer)}
    key = None
    if reference.hmac_key is not None:
        key = _KEY_PREFIX + base64.b64encode(reference.hmac_key).decode("ascii")
    # Timeout and retries are there for old peers; each side uses its own.
    return {"__class__": "Pyro4.core.Proxy", "state": (place, *members, 0.0, key, handshake, 0, serializer)}


def _attributes(value: object) -> dict[str, object]:
    kind = type(value)
    attributes = _own_state(value)
    if attributes is None and hasattr(value, "__dict__") and not isinstance(value, type):
        attributes = dict(vars(value))
    if attributes is None:
        slots = getattr(kind, "__slots__", None)
        if slots is None:
            raise SerializeError(
                f"don't know how to serialize class {kind} (send plain data, or give it vars() or an appropriate "
                "__getstate__)"
            )
        names = (slots,) if isinstance(slots, str) else slots
        attributes = {name: getattr(value, name) for name in names if hasattr(value, name)}
    if "_pyroDaemon" in attributes:
        attributes["_pyroDaemon"] = None  # a registered object knows its daemon; daemons do not travel
    attributes.setdefault("__class__", f"{kind.__module__}.{kind.__name__}")
    return attributes


def _own_state(value: object) -> dict[str, object] | None:
    if type(value).__getstate__ is object.__getstate__:
        return None
    state = value.__getstate__()
    return dict(state) if isinstance(state, dict) else None


def recreate_classes(value: Any, known: dict[int, Any] | None = None) -> Any:
    """`value`, of plain data, with every dict that has ``__class__`` replaced by the object that it stands for.

    Raises SerializeError when such a dict stands for nothing that is known here, SecurityError for names with double
    underscores. Keys and elements of sets cannot be dicts, so those are not looked at.

    `known`: by id, what has become of containers of the same value: in marshal data few bytes can repeat large ones.
    """
    kind = type(value)
    if kind is not dict and kind is not list and kind is not tuple:
        return value
    if known is None:
        known = {}
    elif id(value) in known:
        return known[id(value)]
    if kind is dict:
        fields = {key: recreate_classes(part, known) for key, part in value.items()}
        made: Any = _recreate(fields) if "__class__" in fields else fields
    else:
        made = kind([recreate_classes(part, known) for part in value])
    known[id(value)] = made
    return made


def _recreate(fields: Mapping[object, Any]) -> object:
    class_name = fields["__class__"]
    if not isinstance(class_name, str):
        raise SerializeError(f"invalid __class__: a {type(class_name).__name__} (expected the name of a class)")
    if "__" in class_name:
        raise SecurityError(
            f"refused to deserialize types with double underscores in their name: {class_name[:_SHOWN]}"
        )
    if class_name in _URI_CLASSES.values():
        return build_uri(fields.get("state"))
    if class_name in ("Pyro4.core.Proxy", "Pyro5.client.Proxy"):
        return _reference_from_dict(fields.get("state"))
    if class_name in EXCEPTION_WRAPPERS.values():
        return build_failure(fields)
    kind = exception_class(class_name)
    if kind is not None:
        return build_exception(kind, fields.get("args"), fields.get("attributes"))
    if class_name == "float" and fields.get("value") == "nan":
        return float("nan")  # serpent has no literal for it
    raise SerializeError(f"unsupported serialized class: {class_name[:_SHOWN]}")


def build_uri(state: object) -> URI:
    """A URI from the state in which it travels. SerializeError when that cannot be the state of one."""
    uri = object.__new__(URI)
    uri.__setstate__(uri_state(state))
    return uri


def uri_state(state: object) -> URIState:
    """`state` with its types checked. The tags of a PYROMETA URI become a set again where they came as a list."""
    match state:
        case [protocol, name, str() | None as sockname, str() | None as host, int() | None as port] if not isinstance(
            port, bool
        ):
            if protocol in ("PYRO", "PYRONAME") and isinstance(name, str):
                return protocol, name, sockname, host, port
            if protocol == "PYROMETA":
                return protocol, set(_names(name)), sockname, host, port
    raise SerializeError("invalid state of a URI (expected protocol, object, sockname, host and port)")


def build_failure(fields: Mapping[object, Any]) -> BatchFailure:
    """The element of a batch's results that has these fields. SerializeError when there is no exception among them."""
    exception = fields.get("exception")
    if not isinstance(exception, Exception):
        raise SerializeError(
            f"invalid exception wrapper: it holds a {type(exception).__name__} (expected an exception)"
        )
    return BatchFailure(exception)


def _reference_from_dict(state: object) -> RemoteReference:
    key: object = None
    match state:
        case [uri, oneway, methods, attributes, _, key, handshake, _]:
            serializer = None
        case [uri, oneway, methods, attributes, _, key, handshake, _, serializer]:
            pass
        case [uri, oneway, methods, attributes, handshake, serializer]:
            pass
        case _:
            raise SerializeError("invalid state of a proxy (expected its URI, members, handshake and serializer)")
    try:
        if isinstance(uri, str):
            uri = URI(uri)
        if isinstance(key, str) and key.startswith(_KEY_PREFIX):
            key = base64.b64decode(key[len(_KEY_PREFIX) :], validate=True)
    except (PyroError, ValueError) as problem:
        raise SerializeError(f"invalid state of a proxy: {problem}") from problem
    return build_reference(uri, oneway, methods, attributes, key, handshake, serializer)


def build_reference(
    uri: object, oneway: object, methods: object, attributes: object, key: object, handshake: object, serializer: object
) -> RemoteReference:
    """A reference with these fields, their types checked. SerializeError when one cannot be."""
    if not isinstance(uri, URI) or not isinstance(key, bytes | None) or not isinstance(serializer, str | None):
        raise SerializeError("invalid state of a proxy: its URI, HMAC key or serializer is of a wrong type")
    return RemoteReference(uri, _names(oneway), _names(methods), _names(attributes), key or None, handshake, serializer)


def _names(names: object) -> frozenset[str]:
    if not isinstance(names, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in names):
        raise SerializeError(f"invalid collection of names: a {type(names).__name__} (expected texts in a list or set)")
    return frozenset(names)
