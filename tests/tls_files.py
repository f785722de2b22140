"""Certificates for tests: those that ``pyronym certs`` has made, and stranger ones."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processes import PYRONYM, run
from pyronym.cli.certificates import Authority, Issued
from pyronym.settings import Settings

CLIENT_SUBJECT = "CN=pyronym development client,O=pyronym development"


def issued(folder: Path, name: str, pair: Issued) -> dict[str, str]:
    """The paths of a certificate and a key that are written to files: ``{"cert": ..., "key": ...}``."""
    paths = {"cert": folder / f"{name}.pem", "key": folder / f"{name}.key"}
    paths["cert"].write_bytes(pair.certificate)
    paths["key"].write_bytes(pair.key)
    return {kind: str(path) for kind, path in paths.items()}


def authority(year: int | None = None) -> Authority:
    """A CA of this moment, or of the beginning of a year whose certificates were good for 30 days."""
    return Authority(datetime.now(UTC) if year is None else datetime(year, 1, 1, tzinfo=UTC), 30)


@dataclass(frozen=True)
class Certificates:
    """What ``pyronym certs`` has made in `folder`."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def server(self, **changes: Any) -> Settings:
        """Settings of a daemon that shows its certificate, and looks at those of clients."""
        settings = Settings(
            ssl=True,
            ssl_servercert=self.path("server.pem"),
            ssl_serverkey=self.path("server.key"),
            ssl_cacerts=self.path("ca.pem"),
        )
        return replace(settings, **changes)

    def client(self, **changes: Any) -> Settings:
        """Settings of a client that shows its certificate."""
        settings = Settings(
            ssl=True,
            ssl_clientcert=self.path("client.pem"),
            ssl_clientkey=self.path("client.key"),
            ssl_cacerts=self.path("ca.pem"),
        )
        return replace(settings, **changes)

    def nameless(self, **changes: Any) -> Settings:
        """Settings of a client that shows no certificate."""
        return Settings(ssl=True, ssl_cacerts=self.path("ca.pem"), **changes)

    def context(self) -> ssl.SSLContext:
        """For a client that shows no certificate."""
        return ssl.create_default_context(cafile=self.path("ca.pem"))

    def serve_options(self) -> list[str]:
        return ["--tls-cert", self.path("server.pem"), "--tls-key", self.path("server.key")]

    def server_variables(self) -> dict[str, str]:
        return variables(self.server())

    def client_variables(self) -> dict[str, str]:
        return variables(self.client())

    def nameless_variables(self) -> dict[str, str]:
        return variables(self.nameless())


def variables(settings: Settings) -> dict[str, str]:
    """The environment that configures any Pyro program, stock or ours, like `settings`."""
    items = ("ssl_servercert", "ssl_serverkey", "ssl_clientcert", "ssl_clientkey", "ssl_cacerts")
    chosen = {f"PYRO_{item.upper()}": value for item in items if (value := getattr(settings, item))}
    if settings.ssl_requireclientcert:
        chosen["PYRO_SSL_REQUIRECLIENTCERT"] = "1"
    return {"PYRO_SSL": "1", **chosen}


def make(folder: Path) -> Certificates:
    done = run([PYRONYM, "certs", folder])
    assert done.status == 0, done.stderr
    return Certificates(folder)
