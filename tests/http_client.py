"""A client of the HTTP side of a name server process."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from processes import NameServer, Process
from pyronym.server.nameserver import NameServerDaemon
from pyronym.web.app import Web
from pyronym.web.serving import HttpServer
from server.serving import serving

TIMEOUT = 20.0


class Answer:
    """What the server says."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.data.decode()
        self.etag = response.headers.get("ETag")

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the words of an error, whose form is checked."""
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        assert set(self.json) == {"title", "status", "detail"}
        assert self.json["status"] == self.status
        return self.status, self.json["detail"]


class Http:
    """Asks a server that runs with ``--http``, or is about to."""

    def __init__(self, server: NameServer | Process, token: str | None = None, **tls: Any) -> None:
        process = server if isinstance(server, Process) else server.process
        self.url = process.wait_for_line(r"^HTTP on (https?://\S+)")[1]
        self.token = token
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, **tls)

    def __call__(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        return Answer(self._pool.request(method, self._address(path, query), **self._sent(body, headers)))

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Answer:
        return self("GET", path, None, headers, **query)

    def name(self, method: str, name: str, body: object = None, **headers: str) -> Answer:
        """Something with a name; headers as `if_match`."""
        return self(
            method, path_of(name), body, {item.replace("_", "-").title(): value for item, value in headers.items()}
        )

    def put(self, name: str, uri: str = "PYRO:o@h:1", **more: Any) -> Answer:
        return self.name("PUT", name, {"uri": uri, **more})

    @contextmanager
    def events(self, headers: Mapping[str, str] | None = None, **query: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """The events that come, as dicts of `id`, `event` and `data`, as far as they have them."""
        sent = self._sent(None, headers)
        response = self._pool.request("GET", self._address("/api/v1/events", query), preload_content=False, **sent)
        try:
            assert response.status == 200, response.data
            assert response.headers["Content-Type"].startswith("text/event-stream")
            yield _blocks(response)
        finally:
            response.close()

    def _address(self, path: str, query: Mapping[str, Any]) -> str:
        return self.url + path + ("?" + urlencode(query, doseq=True) if query else "")

    def _sent(self, body: object, headers: Mapping[str, str] | None) -> dict[str, Any]:
        chosen = dict(headers or {})
        if self.token is not None:
            chosen["Authorization"] = f"Bearer {self.token}"
        if body is None:
            return {"headers": chosen}
        return {"headers": {"Content-Type": "application/json", **chosen}, "body": json.dumps(body)}


def path_of(name: str) -> str:
    """Where a name is: with the escape for what cannot be written otherwise."""
    escape = "=" if name in ("", ".", "..") or name.startswith("=") else ""
    return f"/api/v1/names/{escape}{quote(name, safe='')}"


def _blocks(response: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    block: dict[str, Any] = {}
    pending = b""
    while piece := response.read1(65536):
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            item, _, value = line.decode().partition(": ")
            if item:
                block[item] = json.loads(value) if item == "data" else value
            elif block:
                if "event" in block:
                    yield block
                block = {}


@contextmanager
def http_server() -> Iterator[tuple[NameServerDaemon, tuple[str, int]]]:
    """A daemon with an HTTP side in this process, and where that is."""
    daemon = NameServerDaemon("127.0.0.1", 0)
    sock = socket.create_server(("127.0.0.1", 0))
    place = sock.getsockname()
    web = Web(None, [])
    web.open(daemon)
    server = HttpServer(web, sock, None)
    with serving(daemon):
        server.start()
        yield daemon, place
        server.close()
