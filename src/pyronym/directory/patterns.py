"""What can be told of the names that a regular expression matches, without asking it about each of them.

A tree is what it is for `pattern_cost`.
"""

from __future__ import annotations

import re
from re import _constants as op  # type: ignore[attr-defined]
from typing import Final, NamedTuple

from pyronym.directory.pattern_cost import Tree

_BEGINNINGS: Final = ((op.AT, op.AT_BEGINNING), (op.AT, op.AT_BEGINNING_STRING))


class Literals(NamedTuple):
    """Plain text that all names have that a regular expression matches from their beginning, as far as that is plain
    to see; empty where it is not.
    """

    prefix: str
    """What they start with."""
    inside: str
    """The longest that is somewhere after that."""


def literals(tree: Tree) -> Literals:
    """The plain text in a regular expression."""
    if tree.state.flags & re.IGNORECASE:
        return Literals("", "")
    runs = [""]
    for kind, value in tree:
        if kind is op.LITERAL:
            runs[-1] += chr(value)
        elif runs != [""] or (kind, value) not in _BEGINNINGS:
            runs.append("")
    return Literals(runs[0], max(runs[1:], key=len, default=""))
