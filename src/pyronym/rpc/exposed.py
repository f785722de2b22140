"""Which members of an object a peer may use, and the decorators that say so.

The marks on functions and classes are those that Pyro4 and Pyro5 set, so a class decorated by either of
them, or by this module, means the same to all three. Nothing without a mark is reachable, unless the
settings say otherwise (``REQUIRE_EXPOSE``), and nothing private ever is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

T = TypeVar("T")
InstanceMode = Literal["single", "session", "percall"]

# The special methods that make an object a container or an iterator for its clients. All others are private.
_CONTAINER_METHODS = frozenset(
    ["__len__", "__iter__", "__next__", "__reversed__", "__contains__", "__getitem__", "__setitem__", "__delitem__"]
)


class Members(NamedTuple):
    """What peers may use of an object; `oneway` is a part of `methods`."""

    methods: frozenset[str]
    oneway: frozenset[str]
    attributes: frozenset[str]


def is_private(name: str) -> bool:
    """Whether a member of this name is never reachable from outside."""
    return name.startswith("_") and name not in _CONTAINER_METHODS


def expose(method_or_class: T) -> T:
    """Make a method, a property, or all public members that a class itself defines, usable by peers.

    Put it above ``@property``, ``@classmethod`` or ``@staticmethod``. Raises AttributeError for private names
    and for things that cannot be exposed.
    """
    if inspect.isclass(method_or_class):
        for name, member in vars(method_or_class).items():
            if not is_private(name):
                _mark_exposed(member)
        method_or_class._pyroExposed = True  # type: ignore[attr-defined]  # marks are set on any class
        return method_or_class
    function = _functions_of(method_or_class)
    if not function:
        raise AttributeError(f"cannot expose {method_or_class!r} (expected a method, a property or a class)")
    if is_private(function[0].__name__):
        raise AttributeError("exposing private names (starting with _) is not allowed")
    _mark_exposed(method_or_class)
    return method_or_class


def oneway(method: T) -> T:
    """Mark a method whose callers do not wait: they get None at once and never learn how it ended."""
    method._pyroOneway = True  # type: ignore[attr-defined]  # marks are set on any function
    return method


def callback(method: T) -> T:
    """Mark a method whose errors are also logged where it runs, not only reported to its caller."""
    method._pyroCallback = True  # type: ignore[attr-defined]  # marks are set on any function
    return method


def behavior(
    instance_mode: InstanceMode = "session", instance_creator: Callable[[type], object] | None = None
) -> Callable[[type[T]], type[T]]:
    """Say how a daemon makes instances of a class that is registered itself, instead of an object of it.

    ``single``: one for the daemon; ``session``: one for each connection; ``percall``: one for each call.
    `instance_creator` is called with the class and returns the instance; without it the class is called.
    """
    if not isinstance(instance_mode, str):
        raise SyntaxError("behavior decorator is missing argument(s)")
    if instance_mode not in ("single", "session", "percall"):
        raise ValueError(f"invalid instance mode: {instance_mode} (expected single, session or percall)")
    if instance_creator is not None and not callable(instance_creator):
        raise TypeError("instance_creator must be a callable")

    def decorate(cls: type[T]) -> type[T]:
        if not inspect.isclass(cls):
            raise TypeError("behavior decorator can only be used on a class")
        cls._pyroInstancing = (instance_mode, instance_creator)  # type: ignore[attr-defined]
        return cls

    return decorate


def exposed_members(cls: type, require_expose: bool = True) -> Members:
    """The members of instances of `cls` that peers may use; without `require_expose` all public ones."""
    return _members(cls, require_expose)


# Classes are few, and a class does not change once its objects are served.
@lru_cache(maxsize=1024)
def _members(cls: type, require_expose: bool) -> Members:
    methods, one_ways, attributes = set(), set(), set()
    for name in dir(cls):
        if is_private(name):
            continue
        member = inspect.getattr_static(cls, name)
        functions = _functions_of(member)
        exposed = any(getattr(function, "_pyroExposed", not require_expose) for function in functions)
        if not exposed:
            continue
        if isinstance(member, property):
            attributes.add(name)
            continue
        methods.add(name)
        if any(getattr(function, "_pyroOneway", False) for function in functions):
            one_ways.add(name)
    return Members(frozenset(methods), frozenset(one_ways), frozenset(attributes))


def exposed_method(target: object, name: str, require_expose: bool = True) -> Callable[..., Any]:
    """The bound method that a peer means by `name`. AttributeError, in the stock servers' words, if it may not."""
    cls: type = type(target)
    if name in _members(cls, require_expose).methods:
        method: Callable[..., Any] = getattr(target, name)
        return method
    if is_private(name):
        raise AttributeError(f"attempt to access private attribute '{name}'")
    if name in dir(cls):
        raise AttributeError(f"attempt to access unexposed attribute '{name}'")
    raise AttributeError(f"'{cls.__name__}' object has no attribute '{name}'")


def exposed_property(target: object, name: str, require_expose: bool = True) -> property:
    """The property that a peer means by `name`. AttributeError, in the stock servers' words, if it may not."""
    cls: type = type(target)
    if name in _members(cls, require_expose).attributes:
        found = inspect.getattr_static(cls, name)
        assert isinstance(found, property), "`_members` lists nothing else as attributes"
        return found
    if name in dir(cls):
        raise AttributeError(f"attempt to access unexposed or unknown remote attribute '{name}'")
    raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")


def _functions_of(member: object) -> list[Any]:
    """The function or functions that carry the marks of a class member; none if it is not a method or property."""
    if isinstance(member, property):
        return [function for function in (member.fget, member.fset, member.fdel) if function is not None]
    if isinstance(member, classmethod | staticmethod):
        return [member.__func__]
    if inspect.isfunction(member) or inspect.ismethoddescriptor(member):
        return [member]
    return []


def _mark_exposed(member: object) -> None:
    for function in _functions_of(member):
        function._pyroExposed = True
