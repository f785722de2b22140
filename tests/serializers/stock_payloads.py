"""Payloads as the stock peers write them, frozen in ``stock_payloads.json``.

``python stock_payloads.py``, run by an interpreter that has Pyro4 or Pyro5, writes the part of that one anew. Payloads
are hexadecimal. Where the stock peer cannot write a value, there is none. The tests build the same `values`.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FILE = Path(__file__).with_suffix(".json")

CALLS = {
    "lookup": ("Pyro.NameServer", "lookup", ("some.name",), {}),
    "register": ("Pyro.NameServer", "register", ("ä name", "PYRO:o@h:1"), {"safe": True, "metadata": ["tag"]}),
    "batch": ("Pyro.NameServer", "<batch>", [("count", (), {}), ("lookup", ("x",), {"return_metadata": True})], {}),
}


def values(peer: Any) -> dict[str, object]:
    """The values. `peer` has the classes `URI`, `NamingError`, `Failure` (exception wrapper), and a `proxy`."""
    uri = peer.URI("PYRO:obj@localhost:1234")
    naming_error = peer.NamingError("cannot name ä")
    naming_error._pyroTraceback = ["Traceback:\n", ' it\'s "there"\n']
    value_error = ValueError("bad\x00", 1, None)
    value_error._pyroTraceback = ["x\n"]  # type: ignore[attr-defined]
    value_error.detail = {"a": 1}  # type: ignore[attr-defined]
    return {
        "none": None,
        "scalars": [
            True,
            False,
            0,
            -1,
            127,
            128,
            2**31,
            -(2**31),
            2**63 - 1,
            1.5,
            -0.0,
            1e300,
            "",
            "ä€😀",
            "a'b\"c\n\\",
        ],
        "large integer": 2**70,
        "infinity": [float("inf"), float("-inf")],
        "complex": [1 + 2j, -1.5 - 0.5j],
        "bytes": [b"", b"\x00\xff"],
        "uri": uri,
        "unix uri": peer.URI("PYRO:obj@./u:/tmp/socket"),
        "meta uri": peer.URI("PYROMETA:tag@host:9090"),
        "uri with tags": (uri, ["tag"]),
        "uri with set of tags": (uri, {"tag"}),
        "uri with no tags": (uri, set()),
        "names": {"Pyro.NameServer": "PYRO:Pyro.NameServer@localhost:9090", "ä": "PYRO:o@./u:s"},
        "names with tags": {"a": ("PYRO:o@h:1", ["t1", "t2"]), "b": ("PYRO:o@h:1", [])},
        "uris": {"a": uri, "b": [uri, (uri,)]},
        "naming error": naming_error,
        "value error": value_error,
        "batch results": [1, "two", peer.Failure(naming_error)],
        "proxy": peer.proxy,
        "connect": {"handshake": "hello", "object": "Pyro.NameServer"},
        "connect answer": {
            "handshake": "hello",
            "meta": {"methods": ["a", "b"], "oneway": [], "attrs": []},
        },
        "nested": {"a": [[], {}, (), ((1,),), {"b": {"c": (1, [2, {3}])}}]},
    }


def pyro4() -> SimpleNamespace:
    import Pyro4
    from Pyro4.futures import _ExceptionWrapper

    proxy = Pyro4.Proxy("PYRO:obj@localhost:1234")
    proxy._pyroHmacKey = b"key"
    proxy._pyroMethods, proxy._pyroOneway, proxy._pyroAttrs = {"method"}, {"once"}, {"attribute"}
    return SimpleNamespace(URI=Pyro4.URI, NamingError=Pyro4.errors.NamingError, Failure=_ExceptionWrapper, proxy=proxy)


def pyro5() -> SimpleNamespace:
    from Pyro5 import client, core, errors

    proxy = client.Proxy("PYRO:obj@localhost:1234")
    state = ("PYRO:obj@localhost:1234", ("once",), ("method",), ("attribute",), "hello", None)
    proxy.__setstate__(state)
    return SimpleNamespace(URI=core.URI, NamingError=errors.NamingError, Failure=core._ExceptionWrapper, proxy=proxy)


def payloads(peer: Any, serializers: dict[str, Any]) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = {}
    for name, serializer in serializers.items():
        made[name] = {}
        for what, value in values(peer).items():
            try:
                made[name][what] = serializer.dumps(value).hex()
            except Exception:  # this stock peer cannot write it
                continue
        for what, call in CALLS.items():
            made[name][f"call {what}"] = serializer.dumpsCall(*call).hex()
    return made


def pickles(peer: Any) -> dict[str, str]:
    """What the pickle family writes: ``module protocol what``."""
    import pickle

    import cloudpickle
    import dill

    uri = peer.URI("PYRO:obj@localhost:1234")
    plain = {
        "set": {1},
        "frozenset": frozenset([1]),
        "bytes": [b"", b"\x00\xff"],
        "bytearray": bytearray(b"\xff"),
        "c": 1j,
    }
    contents = dict(values(peer))
    contents["call"] = ("Pyro.NameServer", "register", ("n", uri), {"metadata": {"a"}, "safe": True})
    contents["plain"] = plain
    contents["missing file"] = FileNotFoundError(2, "no such file", "name")
    contents["batch of failures"] = [peer.Failure(ValueError("x")), peer.Failure(peer.NamingError("y"))]
    return {
        f"{module.__name__} {protocol} {what}": module.dumps(value, protocol).hex()
        for module in (pickle, dill, cloudpickle)
        for protocol in (2, 3, 4, 5)
        for what, value in contents.items()
    }


def main() -> None:
    frozen = json.loads(FILE.read_text()) if FILE.exists() else {}
    if find_spec("Pyro4"):
        from Pyro4 import util

        names = ("serpent", "json", "marshal", "msgpack")
        frozen["pyro4"] = payloads(pyro4(), {name: util.get_serializer(name) for name in names})
        frozen["pickles"] = pickles(pyro4())
    else:
        from Pyro5 import serializers

        frozen["pyro5"] = payloads(pyro5(), serializers.serializers)
    FILE.write_text(json.dumps(frozen, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
