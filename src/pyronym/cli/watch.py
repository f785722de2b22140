"""``pyronym watch``: what happens to names, line by line."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import click

from pyronym.cli.following import Lost, follow
from pyronym.cli.running import HELP
from pyronym.cli.showing import NOTHING, for_people, plain
from pyronym.cli.where import Where, located
from pyronym.client.following import POLL
from pyronym.client.watching import Event, Reset


@click.command(context_settings=HELP)
@click.argument("prefix", default="")
@click.option("--since", type=click.IntRange(0), metavar="REVISION", help="Begin with what happened after that.")
@click.option("--json", "as_json", is_flag=True, help="Write each change as a line of JSON.")
@located
def watch(prefix: str, since: int | None, as_json: bool, where: Where) -> None:
    """Show what happens to the names that begin with PREFIX, or to all, until Ctrl-C.

    A reset says that changes may have been missed: it is the beginning, the name server was replaced, or too much has
    happened. When the connection is lost this is said on the standard error, and nothing is missed.

    \b
    Examples:
      pyronym watch
      pyronym watch lab. --json | jq --unbuffered .name
    """
    lost = False
    for news in follow(where, prefix, poll=POLL, listing=False, since=since):
        if isinstance(news, Lost):
            if not lost:
                click.echo(f"connection lost, looking for the name server again: {plain(news.why)}", err=True)
            lost = True
            continue
        if lost:
            click.echo("connected again", err=True)
            lost = False
        for event in news:
            click.echo(json.dumps(_as_dict(event)) if as_json else _as_line(event))


def _as_dict(event: Event) -> Mapping[str, object]:
    if isinstance(event, Reset):
        return {"kind": "reset", "revision": event.revision}
    return {
        "kind": event.kind,
        "revision": event.revision,
        "name": event.name,
        "uri": event.uri,
        "tags": sorted(event.metadata),
    }


def _as_line(event: Event) -> str:
    if isinstance(event, Reset):
        cells = ["reset", str(event.revision)]
    else:
        tags = ",".join(sorted(event.metadata))
        cells = [event.kind, str(event.revision), *(plain(text or "") for text in (event.name, event.uri, tags))]
    if for_people():
        return f"{time.strftime('%H:%M:%S')}  {cells[0]:<10}  " + "  ".join(filter(None, cells[1:]))
    return "\t".join(cell or NOTHING for cell in cells)
