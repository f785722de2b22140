"""``pyronym ls``: the names that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from pyronym.cli.catalogue import UNKNOWN, Details, Selection, details, found
from pyronym.cli.live import show_live
from pyronym.cli.running import HELP
from pyronym.cli.showing import plain, show_json
from pyronym.cli.table import Row, show_table
from pyronym.cli.tree import show_tree
from pyronym.cli.where import Where, located
from pyronym.client.watching import Entry

COLUMNS: Final = ("name", "uri", "tags", "state", "lease")

T = TypeVar("T")

_SELECTION: Final = (
    click.option("--regex", metavar="PATTERN", help="Names that match a regular expression from their beginning."),
    click.option("--tag", "tags", metavar="TAG", multiple=True, help="With this tag; given again: with all of them."),
    click.option("--any-tag", "any_tags", metavar="TAG", multiple=True, help="With this tag or another --any-tag."),
)


def selecting(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options of a Selection besides a prefix: `regex`, `tags` and `any_tags`."""
    for option in reversed(_SELECTION):
        command = option(command)
    return command


@click.command(context_settings=HELP)
@click.argument("prefix", default="")
@selecting
@click.option("--tree", "as_tree", is_flag=True, help="Show names as a tree of the parts between their dots.")
@click.option("--json", "as_json", is_flag=True, help="Write a list of objects; docs/commands.md says what is in them.")
@click.option("--watch", is_flag=True, help="Keep the list up to date on the terminal, until Ctrl-C.")
@located
def ls(
    prefix: str,
    regex: str | None,
    tags: tuple[str, ...],
    any_tags: tuple[str, ...],
    as_tree: bool,
    as_json: bool,
    watch: bool,
    where: Where,
) -> None:
    """List the names that begin with PREFIX, or all; of these, those that fulfil all options.

    Where the name server knows it, the list tells whether the objects are alive, and when leases end. When it does not
    go to a terminal, each name is a line with tabs: name, URI, tags, state, seconds left of the lease, each - if there
    is none.

    \b
    Examples:
      pyronym ls lab.
      pyronym ls --tag camera --json
      pyronym ls --regex '.*\\.spare$' | cut -f1
      pyronym ls --watch --tag camera
    """
    if as_tree + as_json + watch > 1:
        raise click.UsageError("give one of --tree, --json and --watch")
    selection = Selection(prefix, regex, frozenset(tags), frozenset(any_tags))
    if watch:
        show_live(where, selection, COLUMNS, row)
        return
    with where.connect() as name_server:
        names = found(name_server, selection)
        if as_tree:
            show_tree({plain(name): plain(entry.uri) for name, entry in names.items()})
            return
        known = details(name_server, prefix) if names else {}
    if as_json:
        show_json([as_dict(name, entry, known.get(name, UNKNOWN)) for name, entry in names.items()])
    else:
        show_table(COLUMNS, [row(name, entry, known.get(name, UNKNOWN)) for name, entry in names.items()])


def row(name: str, entry: Entry, about: Details) -> Row:
    """A name in a table."""
    cells = [
        plain(name),
        plain(entry.uri),
        plain(",".join(sorted(entry.metadata))),
        _state(about),
        _lease(about),
    ]
    return Row(cells, alarming=about.seconds is not None)


def as_dict(name: str, entry: Entry, about: Details) -> Mapping[str, Any]:
    """A name as JSON has it."""
    lease = {"seconds": about.lease, "left": about.left, "ephemeral": about.ephemeral}
    return {
        "name": name,
        "uri": entry.uri,
        "tags": sorted(entry.metadata),
        "state": about.state,
        "seconds": about.seconds,
        "lease": lease if about.lease is not None or about.ephemeral else None,
    }


def _state(about: Details) -> str:
    if about.state is None or about.seconds is None:
        return about.state or ""
    return f"{about.state} for {about.seconds:.0f} s"


def _lease(about: Details) -> str:
    if about.left is not None:
        return f"{about.left:.0f}"
    return "ephemeral" if about.ephemeral else ""
