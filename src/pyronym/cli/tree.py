"""Names as a tree of the parts between their dots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import click

from pyronym.cli.showing import console, for_people
from pyronym.cli.table import GAP


class Line(NamedTuple):
    """A line of the tree."""

    text: str
    name: str | None
    """The name that it stands for, if it is one."""


@dataclass(slots=True)
class _Node:
    name: str | None = None
    names: int = 0
    """How many names are in this node and below it."""
    children: dict[str, _Node] = field(default_factory=dict)


def show_tree(uris: Mapping[str, str]) -> None:
    """Print a tree of names, each with its URI as far as there is room."""
    width = console().width if for_people() else None
    for text, name in lines(uris):
        click.echo(text if name is None else _with_uri(text, uris[name], width))


def _with_uri(text: str, uri: str, width: int | None) -> str:
    """The URI beside a text: cut where there is no room for all of it, and left out where there is none."""
    from rich.cells import cell_len, set_cell_size

    room = None if width is None else width - cell_len(text) - GAP
    if room is None or cell_len(uri) <= room:
        return f"{text}{' ' * GAP}{uri}"
    return f"{text}{' ' * GAP}{set_cell_size(uri, room - 1)}…" if room > 1 else text


def lines(names: Iterable[str]) -> Iterator[Line]:
    """The tree of some names. Parts that nothing else hangs from are in one line with what does.

    Without recursion: a name may have thousands of dots.
    """
    root = _grown(names)
    waiting = [(node, part, "", "", "") for part, node in reversed(root.children.items())]
    while waiting:
        node, label, guides, own, below = waiting.pop()
        while node.name is None and len(node.children) == 1:
            ((part, node),) = node.children.items()
            label = f"{label}.{part}"
        others = node.names - (node.name is not None)
        yield Line(f"{guides}{own}{label}{f' ({others})' if others else ''}", node.name)
        end, middle = ("└── ", "    "), ("├── ", "│   ")
        for number, (part, child) in enumerate(reversed(node.children.items())):
            waiting.append((child, part, guides + below, *(middle if number else end)))


def _grown(names: Iterable[str]) -> _Node:
    root = _Node()
    for name in sorted(names):
        node = root
        for part in name.split("."):
            node = node.children.setdefault(part, _Node())
            node.names += 1
        node.name = name
    return root
