"""``pyronym nodes``: the nodes of a name server, each asked how it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import click

from pyronym.cli.catalogue import require
from pyronym.cli.running import FAILED, HELP
from pyronym.cli.showing import plain
from pyronym.cli.table import Row, show_table
from pyronym.cli.where import Where, located
from pyronym.errors import PyroError

COLUMNS: Final = ("address", "state", "lag", "revision", "records", "up since", "version", "host", "pid", "id")


@click.command(context_settings=HELP)
@located
def nodes(where: Where) -> int:
    """Show the nodes of a name server: where they are, how they are, and how far behind.

    The state is ok; stale, if the node has lost the storage and answers from memory; or why it does not answer. The
    exit status is 1 if there is one that is not ok.

    \b
    Examples:
      pyronym nodes
      pyronym nodes --ns ns1:9090,ns2:9090
    """
    with where.connect() as name_server:
        require(name_server, "nodes", "nodes")
        first, *others = name_server.nodes()
    told = [first, *(_ask(other, where) for other in others)]
    show_table(COLUMNS, [_row(node) for node in told])
    return 0 if all(node["state"] == "ok" for node in told) else FAILED


def _ask(node: Mapping[str, Any], where: Where) -> Mapping[str, Any]:
    """What a node says of itself, or what others know of it if it does not answer."""
    try:
        with where.at(node["address"]).connect() as name_server:
            said: Mapping[str, Any] = name_server.nodes()[0]
    except (PyroError, ValueError) as problem:
        return {**node, "state": f"no answer ({type(problem).__name__})"}
    if said["id"] != node["id"]:
        return {**node, "state": "another one answers there"}
    return said


def _row(node: Mapping[str, Any]) -> Row:
    lag, started = node["lag"], node["started"]
    shown = {
        **node,
        "lag": None if lag is None else f"{lag * 1000:.1f} ms",
        "up since": None if started is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
        "state": _state(node),
    }
    cells = ["" if shown[column] is None else plain(str(shown[column])) for column in COLUMNS]
    return Row(cells, alarming=node["state"] != "ok")


def _state(node: Mapping[str, Any]) -> str:
    if node["stale_since"] is None:
        return str(node["state"])
    return f"stale for {max(0.0, time.time() - node['stale_since']):.0f} s"
