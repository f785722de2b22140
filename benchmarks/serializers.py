"""Microseconds for reading and writing payloads and messages: pyronym beside the stock peers, in both dialects.

Each side runs this file in a process and an interpreter of its own (``--side``) and measures the same operations on the
same values, in processor time. The sides take turns, several times, and the median counts: a single run on a busy
machine says nothing.
Ratios above 1 are in favour of pyronym.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from timeit import Timer
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAME_SERVER = "Pyro.NameServer"
NAMES = {4: ("serpent", "json", "marshal", "msgpack", "pickle"), 5: ("serpent", "json", "marshal", "msgpack")}
MANY = 200_000
LIMIT = 1 << 26
SIDES = {
    "ours 4": ([sys.executable], {}),
    "ours 5": ([sys.executable], {}),
    "stock 4": ([str(ROOT / ".stock/pyro4/bin/python")], {"PYRO_SERIALIZERS_ACCEPTED": ",".join(NAMES[4])}),
    "stock 5": ([str(ROOT / ".stock/pyro5/bin/python")], {}),
}

Operations = dict[str, Callable[[], Any]]


def ours(version: int) -> SimpleNamespace:
    """What pyronym does its work with."""
    from pyronym.errors import NamingError
    from pyronym.serializers.registry import serializer_by_name
    from pyronym.uri import URI
    from pyronym.wire.codec import Decoder, encode
    from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType

    protocol = {4: PYRO4, 5: PYRO5}[version]
    decoder = Decoder(limit=LIMIT)

    def written(data: bytes, correlation: bytes) -> bytes:
        return encode(Message(protocol, MessageType.RESULT, 1, 0, 1, data, correlation=correlation), limit=LIMIT)

    def read(wire: bytes) -> object:
        decoder.feed(wire)
        return decoder.next_message()

    return SimpleNamespace(
        URI=URI,
        NamingError=NamingError,
        serializer=lambda name: serializer_by_name(protocol, name),
        encode=written,
        decode=read,
    )


class Pipe:
    """As a connection to the stock peers' readers: gives the bytes of one message."""

    def __init__(self, wire: bytes) -> None:
        self.wire, self.position = wire, 0

    def recv(self, size: int) -> bytes:
        self.position += size
        return self.wire[self.position - size : self.position]


def stock4() -> SimpleNamespace:
    """The same of stock Pyro4."""
    from Pyro4 import core, errors, message, util  # type: ignore[import-not-found]

    def adapted(name: str) -> SimpleNamespace:
        stock = util.get_serializer(name)
        return SimpleNamespace(
            dumps=stock.dumps, loads=stock.loads, dumps_call=stock.dumpsCall, loads_call=stock.loadsCall
        )

    return SimpleNamespace(
        URI=core.URI,
        NamingError=errors.NamingError,
        serializer=adapted,
        encode=lambda data, mark: message.Message(5, data, 1, 0, 1, {"CORR": mark}).to_bytes(),
        decode=lambda wire: message.Message.recv(Pipe(wire)),
    )


def stock5() -> SimpleNamespace:
    """The same of stock Pyro5."""
    import uuid

    from Pyro5 import callcontext, core, errors, protocol, serializers  # type: ignore[import-not-found]

    def adapted(name: str) -> SimpleNamespace:
        stock = serializers.serializers[name]
        return SimpleNamespace(
            dumps=stock.dumps, loads=stock.loads, dumps_call=stock.dumpsCall, loads_call=stock.loadsCall
        )

    def encode(data: bytes, mark: bytes) -> bytes:
        callcontext.current_context.correlation_id = uuid.UUID(bytes=mark)
        return bytes(protocol.SendingMessage(5, 0, 1, 1, data).data)

    return SimpleNamespace(
        URI=core.URI,
        NamingError=errors.NamingError,
        serializer=adapted,
        encode=encode,
        decode=lambda wire: protocol.recv_stub(Pipe(wire)),
    )


def operations(side: SimpleNamespace, names: tuple[str, ...], large: bool) -> Operations:
    """Everything that is measured, by row."""
    problem = side.NamingError("unknown name: lab.camera.4")
    problem._pyroTraceback = ["Traceback (most recent call last):\n", *['  File "x.py", line 5, in f\n    g()\n'] * 3]
    values = {
        "URI": side.URI("PYRO:obj_0123456789abcdef@192.168.1.20:43210"),
        "None": None,
        "int": 7,
        "small dict": {f"lab.camera.{number}": f"PYRO:camera@host:{number}" for number in range(5)},
        "exception": problem,
    }
    if large:
        values = {f"{MANY:,} names": {f"lab.camera.{n}": f"PYRO:camera_{n}@host:{n % 65536}" for n in range(MANY)}}
    # As in a server, something else refers to the texts, too: marshal takes four times as long for those.
    kept = [list(value.items()) for value in values.values() if type(value) is dict]
    rows: Operations = {}
    for name in names:
        serializer = side.serializer(name)
        for what, value in values.items():
            data = serializer.dumps(value)
            rows[f"{name} dumps {what}"] = lambda dumps=serializer.dumps, value=value, _=kept: dumps(value)
            rows[f"{name} loads {what}"] = lambda loads=serializer.loads, data=data: loads(data)
        if not large:
            call = (NAME_SERVER, "lookup", ["lab.camera.4"], {})
            # Pickles of calls are those of the stock clients: they remember what is in them, ours do not.
            data = pickle.dumps(call, 5) if name == "pickle" else serializer.dumps_call(*call)
            rows[f"{name} dumps_call"] = lambda dumps=serializer.dumps_call, call=call: dumps(*call)
            rows[f"{name} loads_call"] = lambda loads=serializer.loads_call, data=data: loads(data)
    for size in () if large else (100, 10_000):
        data, mark = bytes(size), bytes(range(16))
        wire = side.encode(data, mark)
        rows[f"wire encode {size} bytes"] = lambda data=data, mark=mark: side.encode(data, mark)
        rows[f"wire decode {size} bytes"] = lambda wire=wire: side.decode(wire)
    return rows


def measure(name: str) -> dict[str, float]:
    """Microseconds for each operation, on one side."""
    kind, _, version = name.partition(" ")
    side = ours(int(version)) if kind == "ours" else {4: stock4, 5: stock5}[int(version)]()
    found = {}
    for large, number, repeat in ((False, 500, 7), (True, 1, 3)):
        for row, operation in operations(side, NAMES[int(version)], large).items():
            found[row] = min(Timer(operation, timer=time.process_time).repeat(repeat, number)) / number * 1e6
    return found


def measured_elsewhere(name: str) -> dict[str, float]:
    """The same, in a process of its own."""
    command, environment = SIDES[name]
    run = subprocess.run(
        [*command, __file__, "--side", name], env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def main() -> None:
    """Measure all sides in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help="measure only this one, in this process, and print json")
    options = parser.parse_args()
    if options.side:
        json.dump(measure(options.side), sys.stdout)
        return
    for command, _ in SIDES.values():
        if not Path(command[0]).exists():
            raise SystemExit(f"{command[0]} is missing; run: python tests/stock.py")
    rounds = [{name: measured_elsewhere(name) for name in SIDES} for _ in range(options.rounds)]
    print(f"{'microseconds':36}" + "".join(f"{name:>12}" for name in (*SIDES, "ratio 4", "ratio 5")))
    for row in rounds[0]["ours 4"]:
        times = [statistics.median(found[name].get(row, float("nan")) for found in rounds) for name in SIDES]
        ratios = [stock / own for own, stock in zip(times[:2], times[2:], strict=True)]
        print(f"{row:36}" + "".join(f"{value:12,.2f}" for value in (*times, *ratios)))


if __name__ == "__main__":
    main()
