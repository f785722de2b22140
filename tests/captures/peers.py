"""The two stock peers behind one interface. For `capture`; imports whichever of them is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HMAC_KEY = b"a shared secret"
PROBE = "lab.probe"
"""Object id of something to call besides the name server."""


class NotWhole(Exception):
    """More bytes are needed."""


class Bytes:
    """Bytes in the place of a stock connection, to be read by the stock peer's own code."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def recv(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self.data):
            raise NotWhole
        piece = self.data[self.offset : end]
        self.offset = end
        return piece


def make_probe(pyro: Any, current_context: Any) -> object:
    """An object with one of each kind of member."""

    class Probe:
        def __init__(self) -> None:
            self._level = 3

        @property
        def level(self) -> int:
            return self._level

        @level.setter
        def level(self, value: int) -> None:
            self._level = value

        def echo(self, *args: object, **kwargs: object) -> object:
            return [args, kwargs]

        @pyro.oneway
        def notify(self, text: str) -> None:
            """Get no answer."""

        def itself(self) -> object:
            return self

        def countdown(self) -> Iterator[int]:
            yield from (3, 2, 1)

        def annotated(self) -> str:
            current_context.response_annotations = {"LABR": b"from the server", "LABE": b""}
            return "annotated"

        def fail(self) -> None:
            error = ZeroDivisionError("told to fail")
            error.detail = ["more", 1]  # type: ignore[attr-defined]  # attributes travel too
            raise error

    pyro.expose(Probe)
    return Probe()


class Peer:
    """What the captures need of either stock release."""

    pyro: Any
    errors: Any
    uri: Any
    batch: Any
    release: str
    protocol: int
    serializers: tuple[str, ...]
    flag_names: dict[str, int]

    def __init__(self) -> None:
        self.config = self.pyro.config

    @contextmanager
    def serving(self, hmac_key: bytes | None, accepted: tuple[str, ...]) -> Iterator[Any]:
        """A name server daemon with a probe, running on a free port of 127.0.0.1."""
        daemon = self.start(hmac_key, accepted)
        daemon.register(make_probe(self.pyro, self.pyro.current_context), PROBE)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.shutdown()
            thread.join()

    def start(self, hmac_key: bytes | None, accepted: tuple[str, ...]) -> Any:
        raise NotImplementedError

    def proxy(self, uri: str, serializer: str, hmac_key: bytes | None) -> Any:
        raise NotImplementedError

    def send_raw(self, proxy: Any, kind: int, serializer_id: int, data: bytes) -> None:
        """Send a message of one's own on a proxy's connection, and take an answer."""
        raise NotImplementedError

    def read(self, wire: bytes, hmac_keys: list[bytes | None]) -> tuple[int, dict[str, Any]]:
        """Size and description of the first message in `wire`. NotWhole when it is not there in full."""
        raise NotImplementedError

    def value(self, kind: int, serializer_id: int, data: bytes) -> object:
        """What the data of a message says, as the stock serializers read it."""
        raise NotImplementedError

    def describe(self, message: Any, correlation: bytes | None, annotations: dict[str, bytes]) -> dict[str, Any]:
        return {
            "type": message.type,
            "flags": [name for name, bit in self.flag_names.items() if message.flags & bit],
            "serializer_id": message.serializer_id,
            "sequence": message.seq,
            "correlation": correlation.hex() if correlation else None,
            "annotations": {name: bytes(value).hex() for name, value in annotations.items()},
        }


class Peer4(Peer):
    """Pyro4."""

    protocol = 48
    serializers = ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle")

    def __init__(self) -> None:
        self.pyro = importlib.import_module("Pyro4")
        self.message = importlib.import_module("Pyro4.message")
        self.naming = importlib.import_module("Pyro4.naming")
        self.util = importlib.import_module("Pyro4.util")
        self.errors = importlib.import_module("Pyro4.errors")
        self.flag_names = {
            "EXCEPTION": self.message.FLAGS_EXCEPTION,
            "ONEWAY": self.message.FLAGS_ONEWAY,
            "BATCH": self.message.FLAGS_BATCH,
            "METADATA": self.message.FLAGS_META_ON_CONNECT,
            "ITEM_STREAM": self.message.FLAGS_ITEMSTREAMRESULT,
            "KEEP_SERIALIZED": self.message.FLAGS_KEEPSERIALIZED,
        }
        super().__init__()
        self.release = f"Pyro4 {self.pyro.__version__}"
        self.batch = self.pyro.batch
        self.uri = self.pyro.URI

    def start(self, hmac_key: bytes | None, accepted: tuple[str, ...]) -> Any:
        self.config.SERIALIZERS_ACCEPTED = set(accepted)
        _, daemon, _ = self.naming.startNS("127.0.0.1", 0, enableBroadcast=False, hmac=hmac_key)
        return daemon

    def proxy(self, uri: str, serializer: str, hmac_key: bytes | None) -> Any:
        proxy = self.pyro.Proxy(uri)
        proxy._pyroSerializer = serializer
        proxy._pyroHmacKey = hmac_key
        return proxy

    def send_raw(self, proxy: Any, kind: int, serializer_id: int, data: bytes) -> None:
        message = self.message.Message(kind, data, serializer_id, 0, 7, hmac_key=proxy._pyroHmacKey)
        proxy._pyroConnection.send(message.to_bytes())
        self.message.Message.recv(proxy._pyroConnection, hmac_key=proxy._pyroHmacKey)

    def read(self, wire: bytes, hmac_keys: list[bytes | None]) -> tuple[int, dict[str, Any]]:
        for hmac_key in hmac_keys:
            source = Bytes(wire)
            try:
                message = self.message.Message.recv(source, hmac_key=hmac_key)
            except self.pyro.errors.SecurityError:
                continue
            annotations = dict(message.annotations)
            annotations.pop("HMAC", None)
            description = self.describe(message, annotations.pop("CORR", None), annotations)
            description["hmac_key"] = hmac_key.hex() if hmac_key else None
            description["compressed"] = bool(message.flags & self.message.FLAGS_COMPRESSED)
            message.decompress_if_needed()
            description["data"] = bytes(message.data)
            return source.offset, description
        raise ValueError("none of the keys fits")

    def value(self, kind: int, serializer_id: int, data: bytes) -> object:
        serializer = self.util.get_serializer_by_id(serializer_id)
        if kind == self.message.MSG_INVOKE:
            return serializer.deserializeCall(data)
        return serializer.deserializeData(data)


class Peer5(Peer):
    """Pyro5."""

    protocol = 502
    serializers = ("serpent", "json", "marshal", "msgpack")

    def __init__(self) -> None:
        api = importlib.import_module("Pyro5.api")
        self.message = importlib.import_module("Pyro5.protocol")
        self.nameserver = importlib.import_module("Pyro5.nameserver")
        self.errors = importlib.import_module("Pyro5.errors")
        self.by_id = importlib.import_module("Pyro5.serializers").serializers_by_id
        self.flag_names = {
            "EXCEPTION": self.message.FLAGS_EXCEPTION,
            "ONEWAY": self.message.FLAGS_ONEWAY,
            "BATCH": self.message.FLAGS_BATCH,
            "ITEM_STREAM": self.message.FLAGS_ITEMSTREAMRESULT,
            "KEEP_SERIALIZED": self.message.FLAGS_KEEPSERIALIZED,
        }
        self.pyro = api
        super().__init__()
        self.release = f"Pyro5 {importlib.import_module('Pyro5').__version__}"
        self.batch = api.BatchProxy
        self.uri = api.URI

    def start(self, hmac_key: bytes | None, accepted: tuple[str, ...]) -> Any:
        _, daemon, _ = self.nameserver.start_ns("127.0.0.1", 0, enableBroadcast=False)
        return daemon

    def proxy(self, uri: str, serializer: str, hmac_key: bytes | None) -> Any:
        proxy = self.pyro.Proxy(uri)
        proxy._pyroSerializer = serializer
        return proxy

    def send_raw(self, proxy: Any, kind: int, serializer_id: int, data: bytes) -> None:
        message = self.message.SendingMessage(kind, 0, 7, serializer_id, data)
        proxy._pyroConnection.send(message.data)
        self.message.recv_stub(proxy._pyroConnection)

    def read(self, wire: bytes, hmac_keys: list[bytes | None]) -> tuple[int, dict[str, Any]]:
        source = Bytes(wire)
        message = self.message.recv_stub(source)
        correlation = bytes(message.corr_id) if message.flags & self.message.FLAGS_CORR_ID else None
        description = self.describe(message, correlation, message.annotations)
        description["hmac_key"] = None
        description["compressed"] = bool(wire[9] & self.message.FLAGS_COMPRESSED)  # cleared in the message
        description["data"] = bytes(message.data)
        return source.offset, description

    def value(self, kind: int, serializer_id: int, data: bytes) -> object:
        serializer = self.by_id[serializer_id]
        return serializer.loadsCall(data) if kind == self.message.MSG_INVOKE else serializer.loads(data)


def installed_peer() -> Peer4 | Peer5:
    """The stock peer of this Python. SystemExit when there is none."""
    for package, peer in (("Pyro4", Peer4), ("Pyro5", Peer5)):
        if importlib.util.find_spec(package) is not None:
            return peer()
    sys.exit("run this with the Python of a virtual environment that has stock Pyro4 or Pyro5")
