"""What the scripts for stock interpreters share: one face for Pyro4 and Pyro5, and exact descriptions of values.

Runs with nothing but the standard library and the stock package of that interpreter.
"""

import json
import sys

try:
    import Pyro4

    DIALECT = 4
    Proxy, URI, errors, config = Pyro4.Proxy, Pyro4.URI, Pyro4.errors, Pyro4.config
except ImportError:
    import Pyro5.api
    import Pyro5.errors

    DIALECT = 5
    Proxy, URI, errors, config = Pyro5.api.Proxy, Pyro5.api.URI, Pyro5.errors, Pyro5.config


def connect(uri, serializer=None, key=None):
    """A proxy that is not connected yet."""
    proxy = Proxy(uri)
    if serializer:
        proxy._pyroSerializer = serializer
    if key:
        proxy._pyroHmacKey = key
    return proxy


def batch(proxy):
    """An empty batch of calls."""
    return Pyro4.batch(proxy) if DIALECT == 4 else Pyro5.api.BatchProxy(proxy)


def locate(*args, **kwargs):
    return Pyro4.locateNS(*args, **kwargs) if DIALECT == 4 else Pyro5.api.locate_ns(*args, **kwargs)


def resolve(uri):
    return Pyro4.resolve(uri) if DIALECT == 4 else Pyro5.api.resolve(uri)


def raw_answer(proxy, method, *args):
    """The payload of the answer as it came over the wire, as text."""
    proxy._pyroRawWireResponse = True
    try:
        return bytes(proxy._pyroInvoke(method, args, {}).data).decode()
    finally:
        proxy._pyroRawWireResponse = False


def describe(value):
    """A text that two values have in common only if they are of the same types and equal.

    What has no order for those who compare (dicts, sets, and the lists of tags made from them) is sorted.
    """
    kind = type(value)
    if kind is URI:
        return f"{kind.__module__}.URI{describe(value.__getstate__())}"
    if kind is tuple:
        return "(" + ", ".join(map(describe, value)) + ("," if len(value) == 1 else "") + ")"
    if kind is dict:
        return "{" + ", ".join(sorted(f"{describe(key)}: {describe(item)}" for key, item in value.items())) + "}"
    if kind is list:
        items = sorted(value) if all(type(item) is str for item in value) else value
        return "[" + ", ".join(map(describe, items)) + "]"
    if kind in (set, frozenset):
        return f"{kind.__name__}(" + ", ".join(sorted(map(describe, value))) + ")"
    if value is None or kind in (str, bytes, bytearray, bool, int, float, complex):
        return repr(value)
    if isinstance(value, BaseException):
        return describe_error(value)
    return f"{kind.__module__}.{kind.__qualname__} object {value}"


def describe_error(error):
    """Class, arguments, and whether the traceback of the server came along."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    traceback = getattr(error, "_pyroTraceback", None)
    remote = isinstance(traceback, (list, tuple)) and len(traceback) > 0 and all(type(t) is str for t in traceback)
    return f"{name}({', '.join(map(describe, error.args))})" + (" with remote traceback" if remote else "")


def outcome(function, *args, **kwargs):
    """What a call gives, described, or what it raises, behind two exclamation marks."""
    try:
        return describe(function(*args, **kwargs))
    except Exception as error:
        return "!! " + describe_error(error)


def report(value):
    """Hand the result to the test: the last line of the output."""
    print(json.dumps(value))
    sys.stdout.flush()
