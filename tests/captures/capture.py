"""Record what stock Pyro4 or Pyro5 programs say to each other, as fixtures for the tests.

    <python with stock Pyro4> tests/captures/capture.py
    <python with stock Pyro5> tests/captures/capture.py

writes ``pyro4.json`` or ``pyro5.json`` beside this file. Every scenario of `scenarios` is run with every serializer
that the peer offers, over a relay between a stock client and a stock name server on 127.0.0.1. Each message is kept
with what the stock peer's own code reads in it. Ports, correlation ids and the order of sets differ from run to run.
See `load` for the form of the files.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers import NotWhole, Peer, installed_peer
from relay import Piece, Relay
from scenarios import SCENARIOS, Scenario

ANSWER_TIMEOUT = 10.0


def record(peer: Peer, scenario: Scenario, serializer: str) -> Iterator[dict[str, Any]]:
    """Run a scenario and give its messages in the order in which they passed."""
    with configured(peer, scenario), serving(peer, scenario) as daemon:
        host, _, port = daemon.locationStr.partition(":")
        with Relay((host, int(port))) as relay:
            uri = f"PYRO:{scenario.object_id}@127.0.0.1:{relay.port}"
            with peer.proxy(uri, serializer, scenario.client_key) as proxy:
                proxy._pyroTimeout = ANSWER_TIMEOUT
                try:
                    scenario.run(peer, proxy)
                except Exception as problem:  # expected of many; what matters is what passed
                    print(f"  {scenario.name} ({serializer}): {type(problem).__name__}: {problem}", file=sys.stderr)
    keys = [scenario.client_key, scenario.server_key, None]
    for direction, wire, description in messages(peer, relay.pieces, keys):
        yield {
            "scenario": scenario.name,
            "serializer": serializer,
            "direction": direction,
            "wire": wire.hex(),
            "expected": description,
        }


@contextmanager
def configured(peer: Peer, scenario: Scenario) -> Iterator[None]:
    """With the config items and the call context that the scenario asks for."""
    context = peer.pyro.current_context
    before = {item: getattr(peer.config, item) for item in scenario.settings}
    for item, value in scenario.settings.items():
        setattr(peer.config, item, value)
    context.correlation_id = scenario.correlation
    context.annotations = dict(scenario.annotations)
    try:
        yield
    finally:
        for item, value in before.items():
            setattr(peer.config, item, value)
        context.correlation_id = None
        context.annotations = {}


@contextmanager
def serving(peer: Peer, scenario: Scenario) -> Iterator[Any]:
    """A name server with a few names in it."""
    with peer.serving(scenario.server_key, scenario.accepted or peer.serializers) as daemon:
        names = daemon.nameserver
        names.register("lab.camera", "PYRO:camera@127.0.0.1:5001", metadata=["optics"])
        names.register("lab.plain", "PYRO:plain@127.0.0.1:5002")
        names.register("lab.größe.☃", "PYRO:größe@127.0.0.1:5003")
        yield daemon


def messages(
    peer: Peer, pieces: list[Piece], keys: list[bytes | None]
) -> Iterator[tuple[str, bytes, dict[str, Any] | None]]:
    """Cut what passed into messages. What the stock peer cannot read is kept whole, without a description."""
    pending = {"client": b"", "server": b""}
    for direction, data in pieces:
        pending[direction] += data
        while pending[direction]:
            try:
                size, description = peer.read(pending[direction], keys)
            except NotWhole:
                break
            except peer.errors.ProtocolError:
                size, description = len(pending[direction]), None
            wire, pending[direction] = pending[direction][:size], pending[direction][size:]
            yield direction, wire, describe_data(peer, description)
    if any(pending.values()):
        raise RuntimeError(f"left over: {pending}")


def describe_data(peer: Peer, description: dict[str, Any] | None) -> dict[str, Any] | None:
    """Add what the data says. The data itself is kept only where it is not the end of the message as it is."""
    if description is None:
        return None
    data = description.pop("data")
    compressed = description.pop("compressed")
    description = {key: value for key, value in description.items() if value not in (None, [], {})}
    if compressed:
        description["compressed_data"] = data.hex()
    else:
        description["data_length"] = len(data)
    if description["type"] != 6:
        try:
            value = peer.value(description["type"], description["serializer_id"], data)
        except Exception as problem:
            description["unreadable"] = f"{type(problem).__name__}: {problem}"
        else:
            description["value"] = plain(peer, value)
    return description


def plain(peer: Peer, value: object) -> object:
    """`value` as JSON, with ``{"$kind": content}`` for what JSON does not have."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [plain(peer, item) for item in value]
    if isinstance(value, dict):
        return {key: plain(peer, item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"$tuple": [plain(peer, item) for item in value]}
    if isinstance(value, set):
        return {"$set": sorted(value)}
    if isinstance(value, bytes | bytearray):
        return {"$bytes": value.hex()}
    if isinstance(value, peer.uri):
        return {"$uri": str(value)}
    if isinstance(value, peer.pyro.Proxy):
        return {"$proxy": str(value._pyroUri)}
    if isinstance(value, BaseException):
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"$exception": [name, plain(peer, list(value.args)), sorted(vars(value))]}
    if type(value).__name__ == "_ExceptionWrapper":
        return {"$failure": plain(peer, value.exception)}  # type: ignore[attr-defined]
    raise TypeError(f"no plain form for {value!r}")


def main() -> None:
    """Record everything and write the file."""
    warnings.simplefilter("ignore")
    peer = installed_peer()
    lines = [
        json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        for scenario in SCENARIOS
        for serializer in scenario.serializers_of(peer)
        for message in record(peer, scenario, serializer)
    ]
    header = json.dumps({"peer": peer.release, "python": platform.python_version()})
    path = Path(__file__).with_name("pyro4.json" if peer.protocol == 48 else "pyro5.json")
    path.write_text("[\n" + ",\n".join([header, *lines]) + "\n]\n", encoding="utf-8")
    print(f"{path}: {len(lines)} messages, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
