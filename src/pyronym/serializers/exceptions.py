"""Exceptions on their way to and from a peer: by what name they travel, and how they are rebuilt without risk.

A peer chooses the class and all the arguments, so nothing is rebuilt here but

- the errors that both Pyro4 and Pyro5 have, as those of `pyronym.errors`;
- the exceptions that Python itself has. BaseExceptions that are no Exceptions are not among them, because a peer must
  not be able to end this process with a SystemExit; nor are exception groups, which copy their argument.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from pyronym import errors
from pyronym.errors import NamingError, SerializeError

SHARED_ERRORS: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            errors.PyroError,
            errors.CommunicationError,
            errors.ConnectionClosedError,
            errors.TimeoutError,
            errors.ProtocolError,
            errors.MessageTooLargeError,
            errors.SerializeError,
            errors.NamingError,
            errors.DaemonError,
            errors.SecurityError,
        )
    }
)
"""The errors that stock peers have under the same name, in their module `errors`."""

TRACEBACK: Final = "_pyroTraceback"
"""The attribute in which an exception carries its traceback, as a list of texts, or None where it has none."""

_OUR_NAMESPACES: Final = ("Pyro4.errors", "Pyro5.errors", "pyronym.errors")
_PYTHON_NAMESPACES: Final = ("builtins", "exceptions", "")
"""Python 3, Python 2, and peers that leave the module out."""


def exception_class(class_name: str) -> type[Exception] | None:
    """The class that ``builtins.ValueError`` or ``Pyro4.errors.NamingError`` stands for; None: nothing known here."""
    namespace, _, name = class_name.rpartition(".")
    if namespace in _OUR_NAMESPACES:
        return SHARED_ERRORS.get(name)
    if namespace not in _PYTHON_NAMESPACES:
        return None
    found = vars(builtins).get(name)
    if not isinstance(found, type) or not issubclass(found, Exception) or issubclass(found, BaseExceptionGroup):
        return None
    return found


def build_exception(kind: type[Exception], args: object, attributes: object = None) -> Exception:
    """An exception of a class from `exception_class`, with arguments and attributes that a peer sent.

    Raises SerializeError when the class does not take these arguments. A NamingError becomes the subclass that its
    words speak of.
    """
    if not isinstance(args, list | tuple):
        raise SerializeError(f"invalid {kind.__name__}: its args are a {type(args).__name__} (expected a list)")
    _check_arguments(kind, args)
    if issubclass(kind, SyntaxError):
        args = args[:1]  # the others tell Python where to print marks under source text, and how many
    try:
        if kind is NamingError and len(args) == 1 and isinstance(args[0], str):
            problem: Exception = NamingError.from_words(args[0])
        else:
            problem = kind(*args)
    except Exception as reason:
        raise SerializeError(f"invalid {kind.__name__}: {reason}") from reason
    set_attributes(problem, attributes)
    return problem


def _check_arguments(kind: type[Exception], args: Sequence[object]) -> None:
    """Refuse arguments that Python's constructors accept, although ``str(exception)`` breaks on them later."""
    if issubclass(kind, UnicodeEncodeError | UnicodeDecodeError | UnicodeTranslateError):
        match args:
            # str() reads the text at `start` without looking whether it is inside: that can crash the interpreter.
            case (*_, str() | bytes() as text, int(start), int(end), str()) if 0 <= start <= end <= len(text):
                return
        raise SerializeError(f"invalid {kind.__name__}: its args do not describe a place in a text")
    if issubclass(kind, OSError) and not all(isinstance(part, str | bytes | int | None) for part in args):
        # The third becomes `filename`, whose repr is part of str(exception), however large that is.
        raise SerializeError(f"invalid {kind.__name__}: its args are not texts and numbers")


def set_attributes(problem: Exception, attributes: object) -> None:
    """Give `problem` the attributes that a peer sent: its traceback, and those that its class does not define.

    Raises SerializeError when `attributes` is neither a dict nor None.
    """
    if attributes is None:
        return
    if not isinstance(attributes, dict):
        raise SerializeError(f"invalid attributes of an exception: a {type(attributes).__name__} (expected a dict)")
    for name, value in attributes.items():
        if name == TRACEBACK:
            if value is None:
                setattr(problem, TRACEBACK, None)
            elif isinstance(value, list | tuple) and all(isinstance(line, str) for line in value):
                setattr(problem, TRACEBACK, list(value))
        elif _is_custom(name) and not hasattr(type(problem), name):
            setattr(problem, name, value)


def _is_custom(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not name.startswith("__")


def name_and_args(problem: BaseException, peer: str) -> tuple[str, tuple[object, ...]]:
    """Class name and arguments under which `problem` travels to a `peer` (``Pyro4`` or ``Pyro5``).

    Errors of this package that the peer does not have travel as the nearest class that it has, with their words.
    """
    kind = type(problem)
    if not _is_ours(problem):
        return f"{kind.__module__}.{kind.__name__}", problem.args
    nearest = next(base for base in kind.__mro__ if SHARED_ERRORS.get(base.__name__) is base)
    return f"{peer}.errors.{nearest.__name__}", problem.args if kind is nearest else (str(problem),)


def travelling_attributes(problem: BaseException) -> dict[str, object]:
    """What travels of the attributes of `problem`: its traceback, and those that a program gave to its own class."""
    ours = _is_ours(problem)
    return {name: value for name, value in vars(problem).items() if (name == TRACEBACK if ours else _is_custom(name))}


def _is_ours(problem: BaseException) -> bool:
    return isinstance(problem, errors.PyroError) and type(problem).__module__.partition(".")[0] == "pyronym"
