"""What can be told of the names that a regular expression matches, without asking it about each of them."""

from __future__ import annotations

import re

_START = re.compile(r"\^|\\A")

_LITERALS = re.compile(r"(?:(?:\\[^0-9A-Za-z]|[^\\.^$*+?{}\[\]|()])(?![*+?{]))*")
"""Characters that stand for themselves, escaped or not. The last one before a quantifier need not be there at all."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_TOKEN = re.compile(r"\\.|\[\^?]?(?:\\.|[^]\\])*]|\(\?#[^)]*\)|.", re.DOTALL)
"""An escaped character, a set of characters, a comment, or one character."""


def literal_prefix(pattern: re.Pattern[str]) -> str:
    """A text that every match of `pattern` from the beginning of a name starts with, as far as that is plain to see."""
    text = pattern.pattern
    if pattern.flags != re.UNICODE or _has_alternatives(text):
        return ""
    start = _START.match(text)
    literals = _LITERALS.match(text, start.end() if start else 0)
    return _ESCAPED.sub(r"\1", literals[0]) if literals else ""


def _has_alternatives(text: str) -> bool:
    """Whether there is a ``|`` outside of all groups."""
    depth = 0
    for token in _TOKEN.findall(text):
        if token == "|" and depth == 0:
            return True
        depth += (token == "(") - (token == ")")
    return False
