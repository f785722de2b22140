"""``pyronym export`` and ``pyronym import``: names from one place to another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

import click

from pyronym.cli.moving import Plan, planned, verdict
from pyronym.cli.places import PLACES, Place, Target, place_at
from pyronym.cli.running import FAILED, HELP
from pyronym.cli.showing import console, plain, some
from pyronym.cli.where import Where, located
from pyronym.directory.record import Record
from pyronym.errors import PyroError
from pyronym.storage.record_file import checksum, lines_of, records_in


@click.command(context_settings=HELP)
@click.argument("file")
@click.option("--from", "source", metavar="WHERE", help=f"Where the names are: {PLACES}.  [default: the name server]")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@located
def export(file: str, source: str | None, force: bool, where: Where) -> None:
    """Write all names to FILE as lines of JSON, or to the standard output if it is -.

    A running name server may be a stock one; one that is using a storage does not notice. docs/moving.md describes the
    file.

    \b
    Examples:
      pyronym export names.jsonl
      pyronym export --from ns:old-host:9090 names.jsonl
      pyronym export --from sql:names.sqlite - | gzip > names.gz
    """
    if file != "-" and os.path.lexists(file) and not force:
        raise click.UsageError(f"{file}: exists (give another file, or replace it with --force)")
    place = place_at(source, where)
    records = sorted(place.read(), key=lambda record: record.name)
    _write(file, lines_of(records))
    click.echo(f"exported {len(records)} names from {place.description}, SHA-256 {checksum(records)}", err=True)


@click.command("import", context_settings=HELP)
@click.argument("source", metavar="FILE|WHERE")
@click.option("--to", "target", metavar="WHERE", help=f"Where the names go: {PLACES}.  [default: the name server]")
@click.option("--replace", is_flag=True, help="Replace names that stand for something else there.")
@click.option("--keep", is_flag=True, help="Leave names as they are that stand for something else there.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@located
def import_(source: str, target: str | None, replace: bool, keep: bool, dry_run: bool, where: Where) -> int | None:
    """Put names from a FILE that pyronym export has written (- is the standard input), or from WHERE, where they also
    stay.

    Names that are there already, with the same URI and tags, are left alone: after an interruption, do it again. If
    some stand for something else there, nothing is imported, unless --replace or --keep says what to do. If anything is
    wrong with FILE, it says where, and nothing is imported. At the end the names are read again and compared.

    \b
    Examples:
      pyronym import names.jsonl
      pyronym import ns:old-host:9090 --to sql:names.sqlite
      pyronym import sql:pyro4.sqlite --dry-run
    """
    if replace and keep:
        raise click.UsageError("give --replace or --keep, not both")
    place = place_at(target, where)
    records = _read(source, where)
    with place.opened() as opened:
        plan = planned(records, opened.read())
        if plan.conflicts and not (replace or keep or dry_run):
            shown = some([record.name for record in plan.conflicts])
            raise PyroError(
                f"{len(plan.conflicts)} names stand for something else in {place.description}: {shown} "
                "(replace them with --replace, or leave them with --keep); nothing was imported"
            )
        if dry_run:
            _say_plan(plan, place)
            return None
        return _carry_out(plan, opened, replace=replace)


def _say_plan(plan: Plan, place: Place) -> None:
    click.echo(
        f"would import {len(plan.missing)} names to {place.description}; {len(plan.same)} are there already, "
        f"{len(plan.conflicts)} stand for something else"
    )
    for record in plan.conflicts:
        click.echo(f"something else: {plain(record.name)}")


def _carry_out(plan: Plan, target: Target, *, replace: bool) -> int | None:
    """Put what is to be put, and see that it is there."""
    replaced = plan.conflicts if replace else []
    _say_what_is_left_out([*plan.missing, *replaced], target)
    taken = _put(target, plan.missing, replaced)
    there = list(target.read())
    # What an import that was killed had sent may have come true only now: that is what is wanted, whoever did it.
    meanwhile = planned([record for record in plan.missing if record.name in taken], there)
    lost = {record.name for record in (*meanwhile.conflicts, *meanwhile.missing)}
    wanted = [record for record in (*plan.same, *plan.missing, *replaced) if record.name not in lost]
    verified = verdict(wanted, there)
    click.echo(
        f"imported {len(plan.missing) - len(taken)}, replaced {len(replaced)}, "
        f"there already {len(plan.same) + len(meanwhile.same)}, "
        f"left as they are {len(plan.conflicts) - len(replaced)}"
    )
    if lost:
        click.echo(f"registered by others meanwhile, and left as they are: {some(sorted(lost))}", err=True)
    if verified.wrong:
        raise PyroError(f"{len(verified.wrong)} names are not as they should be: {some(verified.wrong)} (do it again)")
    click.echo(f"verified {verified.names} names, SHA-256 {verified.checksum}")
    return FAILED if lost else None


def _say_what_is_left_out(records: Sequence[Record], target: Target) -> None:
    owned = sum(record.owner is not None for record in records)
    if owned and not target.keeps_owners:
        click.echo(f"warning: {owned} names have owners; here they will belong to who imports them", err=True)
    leased = sum(record.lease is not None for record in records)
    if leased and not target.keeps_leases:
        click.echo(
            f"warning: {leased} names have leases, which stock name servers do not know; there they stay", err=True
        )


def _put(target: Target, missing: Sequence[Record], replaced: Sequence[Record]) -> set[str]:
    """Put records, with a bar on a terminal. The names that others have registered meanwhile."""
    from rich.progress import MofNCompleteColumn, Progress

    taken: set[str] = set()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("importing", total=len(missing) + len(replaced))
        for records, over in ((missing, False), (replaced, True)):
            for step in target.put(records, over=over):
                taken.update(step.taken)
                progress.advance(bar, step.number)
    return taken


def _read(source: str, where: Where) -> Sequence[Record]:
    """The records of a file or a place. ValueError, with the place in the file, if that is broken."""
    if source != "-" and not os.path.exists(source) and ":" in source:
        return place_at(source, where).read()
    try:
        with click.open_file(source, "rb") as file:
            return records_in(file)
    except OSError as problem:
        raise ValueError(f"cannot read {source}: {problem.strerror} (expected a file, or {PLACES})") from problem
    except ValueError as problem:
        hint = f"; if it is a database, say sql:{source} or dbm:{source}" if "line 1," in str(problem) else ""
        raise ValueError(f"{source}: {problem}; nothing was imported{hint}") from problem


def _write(file: str, lines: Iterable[str]) -> None:
    """Write a file that is whole or not there."""
    if file == "-":
        for line in lines:
            click.echo(line, nl=False)
        return
    part = f"{file}.part"
    try:
        with open(part, "w", encoding="utf-8") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    except OSError as problem:
        raise PyroError(f"cannot write {file}: {problem.strerror}; give another file, or make room") from problem
