"""``pyronym lookup`` and ``pyronym ping``."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from pyronym.cli.completing import complete_name
from pyronym.cli.running import FAILED, HELP
from pyronym.cli.showing import plain, show_json
from pyronym.cli.where import Where, located
from pyronym.errors import CommunicationError, NameServerNotFoundError


@click.command(context_settings=HELP)
@click.argument("name", shell_complete=complete_name)
@click.option("--json", "as_json", is_flag=True, help="Write an object with name, uri and tags.")
@located
def lookup(name: str, as_json: bool, where: Where) -> None:
    """Print the URI that NAME stands for. The exit status is 1 if there is no such name.

    \b
    Examples:
      pyronym lookup lab.camera
      pyronym lookup lab.camera --json
    """
    with where.connect() as name_server:
        uri, tags = name_server.lookup(name, return_metadata=True)
    if as_json:
        show_json({"name": name, "uri": str(uri), "tags": sorted(tags)})
    else:
        click.echo(plain(str(uri)))


@click.command(context_settings=HELP)
@click.option("-c", "--count", type=click.IntRange(1), default=10, show_default=True, help="How often to ask.")
@click.option(
    "--interval",
    type=click.FloatRange(0),
    default=0.1,
    show_default=True,
    metavar="SECONDS",
    help="From one answer to the next question.",
)
@click.option("--json", "as_json", is_flag=True, help="Write an object with sent, lost, and seconds or null.")
@located
def ping(count: int, interval: float, as_json: bool, where: Where) -> int:
    """Measure how quickly the name server answers. The exit status is 1 if an answer did not come.

    \b
    Examples:
      pyronym ping
      pyronym ping --count 1000 --interval 0 --ns ns1:9090
    """
    taken = []
    with where.connect() as name_server:
        uri = str(name_server._pyroUri)
        if not as_json:
            click.echo(uri)
        for number in range(count):
            if number:
                time.sleep(interval)
            began = time.perf_counter()
            try:
                name_server.ping()
            except (CommunicationError, NameServerNotFoundError) as problem:
                click.echo(f"lost: {plain(str(problem))}", err=True)
            else:
                taken.append(time.perf_counter() - began)
    lost = count - len(taken)
    times = statistics(sorted(taken))
    if as_json:
        show_json({"uri": uri, "sent": count, "lost": lost, **times})
    else:
        shown = " ".join(
            f"{name} {'-' if seconds is None else f'{seconds * 1000:.2f} ms'}" for name, seconds in times.items()
        )
        click.echo(f"sent {count}, lost {lost} ({lost / count:.0%})\n{shown}")
    return FAILED if lost else 0


def statistics(taken: Sequence[float]) -> dict[str, float | None]:
    """The least, the median, the 99th percentile and the most of sorted seconds; None of none."""

    def at(part: float) -> float | None:
        return taken[min(int(part * len(taken)), len(taken) - 1)] if taken else None

    return {"min": at(0.0), "median": at(0.5), "p99": at(0.99), "max": at(1.0)}
