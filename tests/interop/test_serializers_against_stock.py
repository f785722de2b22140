"""Payloads to and from the serializers of real stock peers, without a network between."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from processes import SCRIPTS, run_stock
from pyronym.errors import NamingError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.registry import serializer_by_name
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5
from serializers import stock_payloads

SERIALIZERS = {
    PYRO4: ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle"),
    PYRO5: ("serpent", "json", "marshal", "msgpack"),
}
CANNOT_WRITE = {("json", "bytes"), ("json", "complex")}


def our_values(protocol: int) -> dict[str, object]:
    reference = RemoteReference(
        URI("PYRO:obj@localhost:1234"),
        frozenset(["once"]),
        frozenset(["method"]),
        frozenset(["attribute"]),
        b"key" if protocol == PYRO4 else None,
    )
    return stock_payloads.values(
        SimpleNamespace(URI=URI, NamingError=NamingError, Failure=BatchFailure, proxy=reference)
    )


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_stock_peer_reads_our_payloads_as_its_own_values_and_we_read_its(
    protocol: int, stock4_python: Path, stock5_python: Path, tmp_path: Path
) -> None:
    values = our_values(protocol)
    ours = {
        name: {
            what: serializer_by_name(protocol, name).dumps(value).hex()
            for what, value in values.items()
            if (name, what) not in CANNOT_WRITE
        }
        for name in SERIALIZERS[protocol]
    }
    file = tmp_path / "payloads.json"
    file.write_text(json.dumps(ours))
    python = stock4_python if protocol == PYRO4 else stock5_python
    differences, theirs = run_stock(python, SCRIPTS / "payloads.py", stock_payloads.FILE.parent, file)
    assert differences == []
    frozen = json.loads(stock_payloads.FILE.read_text())["pyro4" if protocol == PYRO4 else "pyro5"]
    for name, payloads in theirs.items():
        serializer = serializer_by_name(protocol, name)
        if name in ("serpent", "json", "msgpack"):
            assert payloads == frozen[name], f"{stock_payloads.FILE} is out of date"
        for what, payload in payloads.items():
            if what.startswith("call "):
                expected = stock_payloads.CALLS[what.removeprefix("call ")]
                assert list(serializer.loads_call(bytes.fromhex(payload)))[:2] == list(expected[:2])
            else:
                serializer.loads(bytes.fromhex(payload))
