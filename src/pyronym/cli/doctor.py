"""``pyronym doctor``: why programs cannot connect."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import click

from pyronym.cli import condition, discovery, listener, reachability
from pyronym.cli.catalogue import Selection, found
from pyronym.cli.finding import Finding, Level
from pyronym.cli.listener import Way
from pyronym.cli.running import FAILED, HELP
from pyronym.cli.showing import console, for_people, plain, show_json
from pyronym.cli.table import Row, show_table
from pyronym.cli.where import Where, located
from pyronym.client.endpoint import key_bytes
from pyronym.client.search import named_nodes
from pyronym.errors import CommunicationError, PyroError
from pyronym.service.liveness import is_near
from pyronym.uri import URI, name_servers_at

_COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
_INDENT = " " * 9


@click.command(context_settings=HELP)
@click.option("--json", "as_json", is_flag=True, help="Write a list of objects with level, check, text and cure.")
@located
def doctor(as_json: bool, where: Where) -> int:
    """Find out why programs cannot connect to the name server, or to the objects that it names.

    It looks for name servers on all interfaces; sees whether the port is open, what listens there, and which
    protocol, HMAC key or TLS it wants; whether the addresses that are registered can be reached by others, and
    whether somebody is there; and how the name server itself is. Each finding is ok, a warning, or an error, with
    what to do. The exit status is 1 if there is an error. Changes nothing.

    \b
    Examples:
      pyronym doctor
      pyronym doctor --ns ns1:9090 --json
    """
    findings = []
    for finding in _examine(where):
        findings.append(finding)
        if for_people() and not as_json:
            _show(finding)
    if as_json:
        show_json([finding._asdict() for finding in findings])
    elif not for_people():
        columns = [
            Row([finding.level, finding.check, plain(finding.text), plain(finding.cure)]) for finding in findings
        ]
        show_table(("level", "check", "text", "cure"), columns)
    return FAILED if any(finding.level == Level.ERROR for finding in findings) else 0


def _show(finding: Finding) -> None:
    terminal = console()
    terminal.print(f"{finding.level:<{len(_INDENT)}}", style=_COLORS[finding.level], end="")
    width = max(terminal.width - len(_INDENT), len(_INDENT))
    lines = textwrap.wrap(plain(finding.text), width)
    if finding.cure:
        lines += textwrap.wrap(f"-> {plain(finding.cure)}", width, subsequent_indent="   ")
    click.echo(f"\n{_INDENT}".join(lines))


def _examine(where: Where) -> Iterator[Finding]:
    answers = discovery.ask_everyone(where.settings)
    yield from discovery.judged(answers, where.settings)
    reached = None
    for node in _nodes(where, [uri for uris in answers.values() for uri in uris]):
        worst = Level.OK
        for finding in listener.findings(Way(node, where.settings, key_bytes(where.key))):
            yield finding
            worst = max(worst, finding.level, key=list(Level).index)
        if worst is not Level.ERROR:
            reached = reached or node
    yield condition.of_this_shell()
    if reached is not None:
        yield from _of_server(reached, where)


def _nodes(where: Where, answered: Sequence[URI]) -> Sequence[URI]:
    """The name servers to look at: those that we are told, or else the one that programs would come to, which look at
    NS_HOST if that is this machine, and then for answers.
    """
    settings = where.settings
    if told := named_nodes(where.ns, None, settings):
        return told
    configured = name_servers_at(settings.ns_host, settings.ns_port)
    if answered:
        try:
            Way(configured[0], settings, None).dial()
        except CommunicationError:
            return answered[:1]
    return configured


def _of_server(node: URI, where: Where) -> Iterator[Finding]:
    try:
        with where.at(str(node.location)).connect() as name_server:
            yield from condition.findings(name_server)
            uris = {name: entry.uri for name, entry in found(name_server, Selection()).items()}
    except PyroError as problem:
        yield Finding(Level.ERROR, "answers", f"{node.location}: {problem}", "see what its log says about it")
        return
    yield from reachability.findings(uris, where.settings, near=is_near(node))
