"""``pyronym register``, ``pyronym rm`` and ``pyronym tag``: changes of names."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click

from pyronym.cli.catalogue import Selection, found, require
from pyronym.cli.completing import complete_name
from pyronym.cli.running import FAILED, HELP
from pyronym.cli.showing import plain, some
from pyronym.cli.tagging import change_tags
from pyronym.cli.where import Where, located
from pyronym.client.proxy import Proxy
from pyronym.errors import PyroError
from pyronym.uri import NAMESERVER_NAME, URI

AT_ONCE: Final = 500
"""How many names are removed with one message."""


@click.command(context_settings=HELP)
@click.argument("name")
@click.argument("uri")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A metadata tag; may be given again.")
@click.option("--safe", is_flag=True, help="Fail if the name is there already, instead of replacing it.")
@click.option(
    "--lease",
    type=click.FloatRange(0.1),
    metavar="SECONDS",
    help="Have the name go unless it is renewed, or registered again, in time.",
)
@located
def register(name: str, uri: str, tags: tuple[str, ...], safe: bool, lease: float | None, where: Where) -> None:
    """Let NAME stand for URI.

    \b
    Examples:
      pyronym register lab.camera PYRO:camera@10.0.0.7:4000 --tag optics
      pyronym register lab.camera PYRO:camera@10.0.0.7:4000 --safe --lease 60
    """
    try:
        URI(uri)
    except PyroError as problem:
        raise click.UsageError(str(problem)) from problem
    with where.connect() as name_server:
        if lease is None:
            name_server.register(name, uri, safe=safe, metadata=list(tags))
        else:
            require(name_server, "renew", "leases")
            name_server.register(name, uri, safe=safe, metadata=list(tags), lease=lease)
    click.echo(f"registered {plain(name)}")


@click.command(context_settings=HELP)
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_name)
@click.option("--prefix", help="Remove all names that begin so.")
@click.option("--regex", metavar="PATTERN", help="Remove all names that match from their beginning.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Only show which names would be removed.")
@located
def rm(
    names: tuple[str, ...], prefix: str | None, regex: str | None, yes: bool, dry_run: bool, where: Where
) -> int | None:
    """Remove names. What has been shown is removed, and nothing that comes later.

    The name server's own name always stays. The exit status is 1 if a NAME is not there, or if nothing begins so or
    matches.

    \b
    Examples:
      pyronym rm lab.camera lab.display
      pyronym rm --prefix lab. --dry-run
      pyronym rm --regex '.*\\.spare$' --yes
    """
    if bool(names) + (prefix is not None) + (regex is not None) != 1:
        raise click.UsageError("give names, --prefix or --regex, one of these")
    if prefix == "" or regex == "":
        raise click.UsageError("an empty prefix or pattern stands for all names (if you mean that: --regex '.*')")
    with where.connect() as name_server:
        if names:
            chosen = list(dict.fromkeys(names))
        else:
            chosen = [name for name in found(name_server, Selection(prefix or "", regex)) if name != NAMESERVER_NAME]
        if dry_run:
            click.echo("".join(f"{plain(name)}\n" for name in chosen), nl=False)
            return None
        if not chosen:
            click.echo("nothing to remove", err=True)
            return FAILED
        if not yes:
            _ask(chosen)
        missing = _remove(name_server, chosen)
    click.echo(f"removed {len(chosen) - len(missing)}")
    for name in missing:
        click.echo(f"not there, or never removed: {plain(name)}", err=True)
    return FAILED if missing else None


def _ask(names: Sequence[str]) -> None:
    """Ask whether to remove names. Abort if not, UsageError if there is nobody who could answer."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{len(names)} names would be removed (say that you mean it with --yes)")
    if not click.confirm(f"Remove {len(names)} names: {some(names)}?", err=True):
        raise PyroError("nothing was removed")


def _remove(name_server: Proxy, names: Sequence[str]) -> list[str]:
    """Remove names; those that were not there, or stay."""
    missing = []
    for start in range(0, len(names), AT_ONCE):
        together = names[start : start + AT_ONCE]
        batch = name_server._pyroBatch()
        for name in together:
            batch.remove(name)
        missing += [name for name, removed in zip(together, batch() or (), strict=True) if not removed]
    return missing


@click.command(context_settings=HELP)
@click.argument("name", shell_complete=complete_name)
@click.option("-a", "--add", metavar="TAG", multiple=True, help="Add a tag; may be given again.")
@click.option("-r", "--remove", metavar="TAG", multiple=True, help="Take a tag away; may be given again.")
@click.option("--set", "only", metavar="TAG", multiple=True, help="Have this tag and each other --set, and no others.")
@click.option("--clear", is_flag=True, help="Take all tags away.")
@located
def tag(
    name: str, add: tuple[str, ...], remove: tuple[str, ...], only: tuple[str, ...], clear: bool, where: Where
) -> None:
    """Change the tags of NAME, and print those that it has then.

    What others add or take away at the same time is kept, with --add and --remove, where the name server has a watch.
    Stock name servers have none: there the last one who writes wins.

    \b
    Examples:
      pyronym tag lab.camera --add optics --remove spare
      pyronym tag lab.camera --set optics --set cooled
    """
    if bool(add or remove) + bool(only) + clear != 1:
        raise click.UsageError("give --add and --remove, or --set, or --clear")
    with where.connect() as name_server:
        if add or remove:
            tags: Iterable[str] = change_tags(name_server, name, frozenset(add), frozenset(remove))
        else:
            tags = frozenset(only)
            name_server.set_metadata(name, sorted(tags))
    click.echo("".join(f"{plain(each)}\n" for each in sorted(tags)), nl=False)
