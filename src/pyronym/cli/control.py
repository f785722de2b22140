"""The name server control tool: Pyro4's ``nsc``, command for command and line for line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from pyronym.cli.running import HELP, hmac_key, run
from pyronym.client.locate import locateNS
from pyronym.errors import NamingError, PyroError

Action = Callable[[Any, Sequence[str]], None]
"""What a command does with a name server and its arguments."""


def _print_list(records: dict[str, tuple[str, list[str]]], title: str = "") -> None:
    click.echo(f"--------START LIST {title}")
    for name, (uri, metadata) in sorted(records.items()):
        click.echo(f"{name} --> {uri}")
        if metadata:
            click.echo(f"    metadata: {metadata}")
    click.echo(f"--------END LIST {title}")


def _arguments(args: Sequence[str], wanted: int, text: str) -> Sequence[str]:
    if len(args) != wanted:
        raise click.UsageError(f"requires {text}")
    return args


def _ping(nameserver: Any, args: Sequence[str]) -> None:
    nameserver.ping()
    click.echo("Name server ping ok.")


def _list(nameserver: Any, args: Sequence[str]) -> None:
    if len(args) == 1:
        _print_list(nameserver.list(prefix=args[0], return_metadata=True), f"- prefix '{args[0]}'")
    else:
        _print_list(nameserver.list(return_metadata=True))


def _listmatching(nameserver: Any, args: Sequence[str]) -> None:
    (pattern,) = _arguments(args, 1, "one argument: pattern")
    _print_list(nameserver.list(regex=pattern, return_metadata=True), f"- regex '{pattern}'")


def _lookup(nameserver: Any, args: Sequence[str]) -> None:
    (name,) = _arguments(args, 1, "one argument: name")
    uri, metadata = nameserver.lookup(name, return_metadata=True)
    click.echo(uri)
    if metadata:
        click.echo(f"metadata: {metadata}")


def _register(nameserver: Any, args: Sequence[str]) -> None:
    name, uri = _arguments(args, 2, "two arguments: name uri")
    nameserver.register(name, uri, safe=True)
    click.echo(f"Registered {name}")


def _remove(nameserver: Any, args: Sequence[str]) -> None:
    (name,) = _arguments(args, 1, "one argument: name")
    click.echo(f"Removed {name}" if nameserver.remove(name) > 0 else "Nothing removed")


def _removematching(nameserver: Any, args: Sequence[str]) -> None:
    (pattern,) = _arguments(args, 1, "one argument: pattern")
    question = "Potentially removing lots of items from the Name server. Are you sure (y/n)?"
    if input(question).strip() in ("y", "Y"):
        click.echo(f"{nameserver.remove(regex=pattern)} items removed.")


def _setmeta(nameserver: Any, args: Sequence[str]) -> None:
    if not args:
        raise click.UsageError("requires at least 2 arguments: uri and zero or more meta tags")
    nameserver.set_metadata(args[0], set(args[1:]))
    click.echo("Metadata updated" if args[1:] else "Metadata cleared")


def _listmeta_all(nameserver: Any, args: Sequence[str]) -> None:
    if not args:
        raise click.UsageError("requires at least one metadata tag argument")
    _print_list(nameserver.list(metadata_all=set(args), return_metadata=True), " - searched by metadata")


def _listmeta_any(nameserver: Any, args: Sequence[str]) -> None:
    if not args:
        raise click.UsageError("requires at least one metadata tag argument")
    _print_list(nameserver.list(metadata_any=set(args), return_metadata=True), " - searched by metadata")


ACTIONS: dict[str, Action] = {
    "register": _register,
    "remove": _remove,
    "removematching": _removematching,
    "lookup": _lookup,
    "list": _list,
    "listmatching": _listmatching,
    "listmeta_all": _listmeta_all,
    "listmeta_any": _listmeta_any,
    "setmeta": _setmeta,
    "ping": _ping,
}


@click.command(context_settings=HELP)
@click.option("-n", "--host", help="Host name or address of the name server.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Its port, or without a host: the broadcast port.")
@click.option("-u", "--unixsocket", metavar="PATH", help="The Unix socket of the name server.")
@click.option("-k", "--key", help="The HMAC key; better set PYRO_HMAC_KEY.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is done.")
@click.argument("command", required=False)
@click.argument("arguments", nargs=-1)
def control(
    host: str | None,
    port: int | None,
    unixsocket: str | None,
    key: str | None,
    verbose: bool,
    command: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Look at and change what a name server has.

    COMMAND is one of: register remove removematching lookup list listmatching listmeta_all listmeta_any setmeta ping
    """
    action = ACTIONS.get(command or "")
    if action is None:
        raise click.UsageError("invalid or missing command (expected one of: " + " ".join(ACTIONS) + ")")
    key = hmac_key(key)
    say = click.echo if verbose else (lambda _: None)
    say("Locating name server...")
    try:
        with locateNS(f"./u:{unixsocket}" if unixsocket else host, port, hmac_key=key) as nameserver:
            say(f"Name server found: {nameserver._pyroUri}")
            try:
                action(nameserver, arguments)
            except click.UsageError:
                raise
            except Exception as problem:  # whatever the name server answers is shown, not thrown at the user
                kind = NamingError if isinstance(problem, NamingError) else type(problem)
                click.echo(f"Error: {kind.__name__} - {problem}")
                return 1
    except PyroError as problem:
        click.echo(f"Error: {problem}")
        return 1
    say("Done.")
    return 0


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m pyronym.nsc``."""
    run(control, args, "pyronym nsc")
