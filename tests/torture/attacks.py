"""What hostile and careless clients do to a server, one function for each way. They run in a process of their own."""

from __future__ import annotations

import marshal
import pickle
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event

from fuzz.frames import COMPRESSED, CONNECT, INVOKE, SERIALIZER_NAMES, Frame, greetings
from fuzz.hostile import bomb
from fuzz.targets import KINDS
from pyronym.client.proxy import Proxy
from pyronym.errors import PyroError
from pyronym.serializers.registry import serializer_by_name

ADDRESS = "127.0.0.2"
"""Where the attackers come from. The client that means no harm comes from 127.0.0.1."""
ATTACKERS = 8
"""Those who begin anew again and again."""
WATCHERS = 5
"""Times as many connections as usual wait for what happens: 1,500 where 300 are usual."""
DEEP = 50_000
"""Levels of lists in lists."""
SERIALIZERS = ("serpent", "json", "marshal", "msgpack", "pickle")


@dataclass(frozen=True)
class Scene:
    """What an attacker needs: where, in which protocol, how many connections, when to end, and what to count in.

    `size`: bytes of a payload that is full of small things.
    """

    address: tuple[str, int]
    broadcast_port: int
    protocol: int
    clients: int
    size: int
    begun: Event
    over: Event
    tried: Synchronized[int]


@dataclass(frozen=True)
class Attack:
    """One way to attack. `words`: as it is named in the table; `kinds`: the servers that can be attacked like this.

    `descriptors`: how many the server may have; `broadcast`: it is to have a broadcast responder.
    """

    words: str
    perform: Callable[[Scene], None]
    kinds: tuple[str, ...] = tuple(KINDS)
    descriptors: int | None = None
    broadcast: bool = False


def let_loose(name: str, scene: Scene) -> None:
    """Perform the attack of this name until the scene is over. Runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ATTACKS[name].perform(scene)


def call(protocol: int, method: str, *args: object, **kwargs: object) -> bytes:
    """A message that calls a method of the name server."""
    data = serializer_by_name(protocol, "serpent").dumps_call("Pyro.NameServer", method, args, kwargs)
    return Frame(protocol, INVOKE, 1, 0, 7, b"", data).wire(None)


def greeting(protocol: int) -> bytes:
    """A handshake."""
    return next(frame for frame in greetings(protocol) if frame.name == "serpent").wire(None)


def _connect(scene: Scene) -> socket.socket:
    sock = socket.create_connection(scene.address, 2.0, (ADDRESS, 0))
    with scene.tried:
        scene.tried.value += 1
    return sock


def _hold(scene: Scene, count: int, *messages: bytes) -> None:
    """Open so many connections, send these bytes over each, read no answer, and keep them open to the end."""
    data = b"".join(messages)
    scene.begun.set()
    with ExitStack() as stack:
        for _ in range(count):
            if scene.over.is_set():
                return
            with suppress(OSError):
                sock = stack.enter_context(_connect(scene))
                sock.settimeout(0.2)  # a server that reads nothing must not keep the others from coming
                sock.sendall(data)
        scene.over.wait()


def _again_and_again(scene: Scene, *messages: bytes) -> None:
    """Send this, wait for the connection to be answered or closed, and begin anew: several at a time.

    With several messages each is sent on a connection of its own, after the first one, which is the handshake.
    """
    scene.begun.set()

    def attack(number: int) -> None:
        chance = random.Random(number)
        while not scene.over.is_set():
            with suppress(OSError), _connect(scene) as sock:
                sock.sendall(messages[0] + (chance.choice(messages[1:]) if messages[1:] else b""))
                sock.settimeout(0.2)
                while not scene.over.is_set():
                    with suppress(TimeoutError):
                        if not sock.recv(1 << 20):
                            break

    threads = [threading.Thread(target=attack, args=(number,)) for number in range(ATTACKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _half_headers(scene: Scene) -> None:
    _hold(scene, scene.clients, greeting(scene.protocol)[:10])


def _half_bodies(scene: Scene) -> None:
    _hold(scene, scene.clients, greeting(scene.protocol), call(scene.protocol, "lookup", "x" * 1000)[:-500])


def _half_large_bodies(scene: Scene) -> None:
    half = call(scene.protocol, "lookup", "x" * scene.size)[: scene.size // 2]
    _hold(scene, scene.clients, greeting(scene.protocol), half)


def _idle(scene: Scene) -> None:
    _hold(scene, scene.clients, greeting(scene.protocol))


def _crowd(scene: Scene) -> None:
    _hold(scene, 10 * scene.clients, greeting(scene.protocol))


def _never_reading(scene: Scene) -> None:
    _hold(scene, scene.clients, greeting(scene.protocol), call(scene.protocol, "list") * 100)


def _watching(scene: Scene) -> None:
    with Proxy(f"PYRO:Pyro.NameServer@{scene.address[0]}:{scene.address[1]}") as names:
        message = call(scene.protocol, "watch", "", names.watch()["revision"], 60.0)
        watchers = threading.Thread(
            target=_hold, args=(scene, WATCHERS * scene.clients, greeting(scene.protocol), message * 100)
        )
        watchers.start()
        while not scene.over.is_set():
            with suppress(PyroError):
                names.register("watched", f"PYRO:{'x' * 200}@127.0.0.1:9")
        watchers.join()


def _churn(scene: Scene) -> None:
    scene.begun.set()
    while not scene.over.is_set():
        with suppress(OSError):
            _connect(scene).close()


def _search(method: str, scene: Scene) -> None:
    message = call(scene.protocol, method, regex="(a|aa)+$")
    _again_and_again(scene, greeting(scene.protocol), message)


def _megabytes(scene: Scene) -> int:
    """What a bomb unfolds to: over the limit in any case."""
    return max(32, scene.size // 31_250)


def _bombs(scene: Scene) -> None:
    frame = Frame(scene.protocol, INVOKE, 1, COMPRESSED, 7, b"", bomb(_megabytes(scene)))
    _again_and_again(scene, greeting(scene.protocol), frame.wire(None))


def _bombs_at_the_door(scene: Scene) -> None:
    _again_and_again(scene, Frame(scene.protocol, CONNECT, 1, COMPRESSED, 7, b"", bomb(_megabytes(scene))).wire(None))


def _large_handshakes(scene: Scene) -> None:
    data = b"# serpent utf-8 python3.2\n{'object':'Pyro.NameServer','handshake':[" + b"1," * (scene.size // 2) + b"]}"
    _again_and_again(scene, Frame(scene.protocol, CONNECT, 1, 0, 7, b"", data).wire(None))


def payloads(name: str, many: int) -> list[bytes]:
    """Calls of `many` bytes that cost their reader most: nested deep, full of small things, or a text of escapes."""
    if name == "serpent":
        shape = b"# serpent utf-8 python3.2\n('Pyro.NameServer','lookup',(%s,),{})"
        inner = [b"[" * DEEP + b"]" * DEEP, b"[" + b"1," * (many // 2) + b"]", b"[" + b"{}," * (many // 3) + b"]"]
        return [shape % part for part in [*inner, b"'" + b"\\x41" * (many // 4) + b"'"]]
    if name == "json":
        shape = b'{"object":"Pyro.NameServer","method":"lookup","kwargs":{},"params":[%s]}'
        inner = [b"[" * DEEP + b"]" * DEEP, b"[" + b"1," * (many // 2) + b"1]", b"[" + b"{}," * (many // 3) + b"1]"]
        inner.append(b"[" + b"{}," * min(many // 3, 600_000) + b"1]")  # few enough to be allowed
        return [shape % part for part in [*inner, b'"' + b"\\u0041" * (many // 6) + b'"']]
    if name == "marshal":
        shape = b"(" + struct.pack("<i", 4) + marshal.dumps("Pyro.NameServer") + marshal.dumps("lookup") + b"%s{0"
        inner = [b"(\1\0\0\0" * DEEP + b"N", b"[" + struct.pack("<i", many) + b"N" * many]
        inner.append(b"[" + struct.pack("<i", many // 2) + b"{0" * (many // 2))
        return [shape % part for part in inner]
    if name == "msgpack":
        shape = b"\x94\xafPyro.NameServer\xa6lookup%s\x80"
        inner = [b"\x91" * DEEP + b"\1", b"\xdd" + struct.pack(">I", many) + b"\1" * many]
        return [shape % part for part in [*inner, b"\xdd" + struct.pack(">I", many) + b"\x80" * many]]
    inner = [b"]" * DEEP + b"N" + b"a" * DEEP, b"](" + b"N" * many + b"e", b"](" + b"}" * many + b"e"]
    head = b"\x80\4(" + pickle.dumps("Pyro.NameServer", 2)[2:-1] + b"X\6\0\0\0lookup"
    return [head + part + b"}t." for part in inner]


def _decoder_bombs(name: str, scene: Scene) -> None:
    number = next(number for number, known in SERIALIZER_NAMES[scene.protocol].items() if known == name)
    frames = [Frame(scene.protocol, INVOKE, number, 0, 7, b"", data) for data in payloads(name, scene.size)]
    _again_and_again(scene, greeting(scene.protocol), *(frame.wire(None) for frame in frames))


def _datagrams(scene: Scene) -> None:
    sources = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    scene.begun.set()
    with ExitStack() as stack:
        for number, source in enumerate(sources):
            stack.enter_context(source)
            source.bind((f"127.0.0.{number + 2}", 0))
            source.setblocking(False)
        while not scene.over.is_set():
            for data in (b"GET_NSURI", b"GET_NSURI" * 100, b"\xff" * 1400):
                for source in sources:
                    with suppress(OSError):
                        source.sendto(data, (scene.address[0], scene.broadcast_port))
            with scene.tried:
                scene.tried.value += 3 * len(sources)
            time.sleep(0.0005)  # what the socket cannot hold is lost, and proves nothing


ATTACKS: dict[str, Attack] = {
    "half_headers": Attack("connections that send ten bytes", _half_headers),
    "half_bodies": Attack("connections that shake hands, and then send half a call", _half_bodies),
    "half_large_bodies": Attack("connections that send 4 MB of a call of 8 MB", _half_large_bodies),
    "idle": Attack("connections that shake hands, and then send nothing", _idle),
    "crowd": Attack("ten times as many of these", _crowd),
    "descriptors": Attack("the same, where the server may have 256 descriptors", _crowd, descriptors=256),
    "never_reading": Attack("connections that ask for all names a hundred times, and read none", _never_reading),
    "watching": Attack("watchers, five times as many, that do not read what happens", _watching, kinds=("pyronym",)),
    "churn": Attack("connections that come and go", _churn),
    "regex_list": Attack("patterns that take longer than the universe is old, to list", partial(_search, "list")),
    "regex_remove": Attack("the same, to remove", partial(_search, "remove")),
    "bombs": Attack("calls of 260 kB that unfold to 256 MB", _bombs),
    "bombs_at_the_door": Attack("handshakes that do", _bombs_at_the_door),
    "large_handshakes": Attack("handshakes of 8 MB full of numbers", _large_handshakes),
    **{
        f"{name}_bombs": Attack(
            f"calls in {name}, up to 8 MB, deep or full of small things",
            partial(_decoder_bombs, name),
            kinds=tuple(kind for kind, protocols in KINDS.items() if name in SERIALIZER_NAMES[protocols[0]].values()),
        )
        for name in SERIALIZERS
    },
    "datagrams": Attack("datagrams to the broadcast responder", _datagrams, broadcast=True),
}
