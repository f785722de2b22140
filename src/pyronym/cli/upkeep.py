"""``pyronym check``, ``salvage`` and ``backup``: care for the files of a storage."""

from __future__ import annotations

import click

from pyronym.cli.running import FAILED, HELP
from pyronym.storage import upkeep


@click.command(context_settings=HELP)
@click.argument("file")
def check(file: str) -> int:
    """See whether a storage is whole. Changes nothing; a server may be using it.

    FILE is a SQLite or dbm file of a name server, sql:FILE or dbm:FILE where it does not tell. The exit status is 0
    when it is whole, 1 when it is damaged, 2 when it is no such file.
    """
    kind, path = upkeep.kind_and_path(file)
    damage = upkeep.check(kind, path)
    for problem in damage:
        click.echo(f"{path}: {problem}")
    if damage:
        click.echo(f"{path} is damaged; save what can be read in it with: pyronym salvage {kind}:{path} NEWFILE")
        return FAILED
    click.echo(f"{path} is whole")
    return 0


@click.command(context_settings=HELP)
@click.option("--without-wal", is_flag=True, help="Leave out the changes in FILE-wal (SQLite).")
@click.argument("file")
@click.argument("newfile")
def salvage(file: str, newfile: str, without_wal: bool) -> int:
    """Write all that can be read of a damaged storage to a new one. Stop the name server first.

    FILE is a SQLite or dbm file of a name server, sql:FILE or dbm:FILE where it does not tell; it is not changed. The
    exit status is 0 when nothing was lost, 1 when something was, which is said, or nothing can be read.
    """
    kind, path = upkeep.kind_and_path(file)
    found = upkeep.salvage(kind, path, newfile, with_wal=not without_wal)
    click.echo(f"{len(found.records)} names were saved to {newfile}")
    for loss in found.losses:
        click.echo(loss)
    return FAILED if found.losses else 0


@click.command(context_settings=HELP)
@click.option("--force", is_flag=True, help="Replace DEST if it exists.")
@click.argument("file")
@click.argument("dest")
def backup(file: str, dest: str, force: bool) -> None:
    """Copy a storage, also while a name server is using it.

    FILE is a SQLite or dbm file of a name server, sql:FILE or dbm:FILE where it does not tell. DEST is the storage as
    it was at one moment; a name server can use it as it is.
    """
    kind, path = upkeep.kind_and_path(file)
    number = upkeep.backup(kind, path, dest, force=force)
    click.echo(f"{number} names were copied to {dest}")
