"""``pyronym nodes``: the nodes of a name server, each asked how it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from pyronym.cli.running import FAILED, hmac_key
from pyronym.client.locate import locate
from pyronym.errors import PyroError
from pyronym.settings import Settings, config

COLUMNS: Final = ("address", "state", "lag", "revision", "records", "up since", "version", "host", "pid", "id")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--ns", metavar="HOST:PORT", help="Any of the nodes; without it one is looked for.")
@click.option("-k", "--key", help="The HMAC key; better set PYRO_HMAC_KEY.")
def nodes(ns: str | None, key: str | None) -> int:
    """Show the nodes of a name server: where they are, how they are, and how far behind.

    The state is ok; stale, if the node has lost the storage and answers from memory; or why it does not answer. The
    exit status is 1 if there is one that is not ok.
    """
    key = hmac_key(key)
    with locate(ns, hmac_key=key, settings=config.settings) as name_server:
        if "nodes" not in name_server._pyroMethods:
            raise PyroError(f"{name_server._pyroUri} is a name server that does not know of nodes")
        first, *others = name_server.nodes()
    told = [first, *(_ask(other, key, config.settings) for other in others)]
    _print_table([COLUMNS, *(_row(node) for node in told)])
    return 0 if all(node["state"] == "ok" for node in told) else FAILED


def _ask(node: Mapping[str, Any], key: str | None, settings: Settings) -> Mapping[str, Any]:
    """What a node says of itself, or what others know of it if it does not answer."""
    try:
        with locate(node["address"], hmac_key=key, settings=settings) as name_server:
            said: Mapping[str, Any] = name_server.nodes()[0]
    except PyroError as problem:
        return {**node, "state": f"no answer ({type(problem).__name__})"}
    if said["id"] != node["id"]:
        return {**node, "state": "another one answers there"}
    return said


def _row(node: Mapping[str, Any]) -> Sequence[str]:
    lag, started = node["lag"], node["started"]
    shown = {
        **node,
        "lag": None if lag is None else f"{lag * 1000:.1f} ms",
        "up since": None if started is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
        "state": _state(node),
    }
    return ["-" if shown[column] is None else str(shown[column]) for column in COLUMNS]


def _state(node: Mapping[str, Any]) -> str:
    if node["stale_since"] is None:
        return str(node["state"])
    return f"stale for {max(0.0, time.time() - node['stale_since']):.0f} s"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
