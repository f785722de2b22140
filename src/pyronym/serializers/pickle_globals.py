"""What a pickle may name, and what happens when it calls that.

- ``set frozenset bytes bytearray complex`` and ``_codecs.encode``, which older protocols use for plain data, and dill's
  way to name them; each accepts just the arguments that picklers give it;
- ``Pyro4.core.URI``;
- in answers of a server also ``Pyro4.core.Proxy``, ``Pyro4.futures._ExceptionWrapper``, exceptions (`exceptions`), and
  ``copyreg._reconstructor`` with ``object``, by which Pyro4 makes the proxies of objects that are returned.

Any other is refused with SecurityError at the moment it is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pyronym.errors import SecurityError, SerializeError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.exceptions import build_exception, exception_class
from pyronym.uri import URI

_NEW_MODULES: Final = {"__builtin__": "builtins", "exceptions": "builtins", "copy_reg": "copyreg"}
"""Modules of Python 2, and what they became."""

_SHOWN: Final = 100
"""Characters of a global's name that are repeated in an error message."""


class Builder(Protocol):
    """What the functions here need of the machine that runs the pickle."""

    def set_of(self, elements: list[Any]) -> set[object]:
        """A set of `elements`, if they may be in one."""
        ...

    def empty_instance(self, kind: object) -> object:
        """An instance that must get its state later."""
        ...

    def find_global(self, module: object, name: object) -> Global:
        """As the function of this name, for the pickle that is being read."""
        ...


@dataclass(frozen=True, slots=True)
class Global:
    """Something that a pickle may name. `call`: what to do with arguments; `make`: an instance without its state."""

    name: str
    call: Callable[[Builder, tuple[Any, ...]], object] | None = None
    make: Callable[[], object] | None = None

    def __str__(self) -> str:
        return self.name


def find_global(module: str, name: str, is_answer: bool) -> Global:
    """What `module` and `name` stand for. SecurityError when that is nothing that a pickle may name here."""
    full_name = f"{_NEW_MODULES.get(module, module)}.{name}"
    if full_name in _PLAIN_GLOBALS:
        return _PLAIN_GLOBALS[full_name]
    if is_answer:
        if full_name in _ANSWER_GLOBALS:
            return _ANSWER_GLOBALS[full_name]
        kind = exception_class(full_name)
        if kind is not None:
            return Global(full_name, call=lambda _, args: build_exception(kind, args))
    raise SecurityError(
        f"refused to unpickle {f'{module}.{name}'[:_SHOWN]}: only plain data and URIs are read "
        "(pass those, or use another serializer)"
    )


def _set(builder: Builder, args: tuple[Any, ...]) -> set[object]:
    match args:
        case ([*elements],):
            return builder.set_of(elements)
    raise SerializeError("invalid pickle: a set is made of something else than a list")


def _bytes(_: Builder, args: tuple[Any, ...]) -> bytes:
    if args:
        raise SerializeError("invalid pickle: bytes are made of something else than text")
    return b""


def _encode(_: Builder, args: tuple[Any, ...]) -> bytes:
    match args:
        case (str(text), "latin1"):
            return text.encode("latin-1")
    raise SerializeError("invalid pickle: bytes are made of something else than text in latin1")


def _bytearray(_: Builder, args: tuple[Any, ...]) -> bytearray:
    match args:
        case ():
            return bytearray()
        case (bytes(content),):
            return bytearray(content)
        case (str(text), "latin-1"):
            return bytearray(text, "latin-1")
    raise SerializeError("invalid pickle: a bytearray is made of something else than bytes")


def _complex(_: Builder, args: tuple[Any, ...]) -> complex:
    match args:
        case (float(real), float(imaginary)):
            return complex(real, imaginary)
    raise SerializeError("invalid pickle: a complex number is made of something else than two floats")


def _reconstructor(builder: Builder, args: tuple[Any, ...]) -> object:
    match args:
        case (kind, Global("builtins.object"), None):
            return builder.empty_instance(kind)
    raise SerializeError("invalid pickle: an instance is made of something else than its class")


def _load_type(builder: Builder, args: tuple[Any, ...]) -> Global:
    match args:
        case (name,):
            return builder.find_global("builtins", name)
    raise SerializeError("invalid pickle: a type without a name")


_PLAIN_GLOBALS: Final = {
    found.name: found
    for found in (
        Global("builtins.set", call=_set),
        Global("builtins.frozenset", call=lambda builder, args: frozenset(_set(builder, args))),
        Global("builtins.bytes", call=_bytes),
        Global("builtins.bytearray", call=_bytearray),
        Global("builtins.complex", call=_complex),
        Global("_codecs.encode", call=_encode),
        Global("dill._dill._load_type", call=_load_type),
        Global("Pyro4.core.URI", make=lambda: object.__new__(URI)),
    )
}

_ANSWER_GLOBALS: Final = {
    found.name: found
    for found in (
        Global("builtins.object"),
        Global("copyreg._reconstructor", call=_reconstructor),
        Global("Pyro4.core.Proxy", make=lambda: object.__new__(RemoteReference)),
        Global("Pyro4.futures._ExceptionWrapper", make=lambda: object.__new__(BatchFailure)),
    )
}
