"""``pyronym certs``: make certificates for trying out TLS."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from pyronym.cli.running import HELP

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

PRIVATE = 0o600
PUBLIC = 0o644


@click.command(context_settings=HELP)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--host", "hosts", multiple=True, help="Name or address by which clients reach the server; may be repeated."
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long they are valid.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
def certs(folder: Path, hosts: Sequence[str], days: int, force: bool) -> None:
    """Make a CA and its certificates for a server and a client, for trying out TLS and for networks of one's own.

    The server's certificate is for localhost and this machine's name as well as for each --host. Whoever has ca.key
    can make more that all trust who trust ca.pem: keep it somewhere safe.

    \b
    Example:
      pyronym certs tls --host ns.lab.example --host 192.0.2.7
    """
    try:
        from pyronym.cli.certificates import Authority
    except ImportError:
        raise click.UsageError("needs the library cryptography (install it: pip install 'pyronym[certs]')") from None
    authority = Authority(datetime.now(UTC), days)
    server = authority.server(list(dict.fromkeys([*hosts, *LOCAL_HOSTS, socket.gethostname()])))
    client = authority.client("pyronym development client")
    files = {}
    for name, issued in (("ca", authority.issued), ("server", server), ("client", client)):
        files[folder / f"{name}.key"] = issued.key, PRIVATE
        files[folder / f"{name}.pem"] = issued.certificate, PUBLIC
    if not force:
        there = [str(path) for path in files if os.path.lexists(path)]
        if there:
            raise click.UsageError(f"{', '.join(there)}: exists (choose another folder, or replace with --force)")
    folder.mkdir(parents=True, exist_ok=True)
    for path, (content, mode) in files.items():
        if force:
            path.unlink(missing_ok=True)
        with open(path, "xb", opener=lambda name, flags, mode=mode: os.open(name, flags, mode)) as file:  # type: ignore[misc]
            file.write(content)
    _explain(folder)


def _explain(folder: Path) -> None:
    """Print the commands that use the files."""
    ca, server, server_key, client, client_key = (
        shlex.quote(str(folder / name)) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    )
    click.echo(
        f"""\
Made a CA, a server and a client certificate in {folder}. Run the name server:

  pyronym serve --tls-cert {server} --tls-key {server_key}

and its clients, Pyro4, Pyro5 or pyronym, with these variables:

  export PYRO_SSL=1 PYRO_SSL_CACERTS={ca}

To let in only clients that have a certificate, add to the first

  --tls-ca {ca} --tls-require-client-cert

and to the second

  export PYRO_SSL_CLIENTCERT={client} PYRO_SSL_CLIENTKEY={client_key}"""
    )
