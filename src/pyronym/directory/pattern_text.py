"""A parsed regular expression as text for the `regex` library, in which nothing means more than it does to `re`.

The library knows more syntax: ``a{e}`` is an inexact match there and four characters here. A tree is what it is for
`pattern_cost`.
"""

from __future__ import annotations

import re
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any, Final

from pyronym.directory.pattern_cost import Tree

_FLAGS: Final = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.ASCII: "a"}

_CATEGORIES: Final = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
_PLACES: Final = {
    op.AT_BEGINNING: "^",
    op.AT_BEGINNING_STRING: r"\A",
    op.AT_BOUNDARY: r"\b",
    op.AT_NON_BOUNDARY: r"\B",
    op.AT_END: "$",
    op.AT_END_STRING: r"\Z",
}
_REPEATS: Final = {op.MAX_REPEAT: "", op.MIN_REPEAT: "?", op.POSSESSIVE_REPEAT: "+"}
_LOOKS: Final = {(op.ASSERT, 1): "?=", (op.ASSERT, -1): "?<=", (op.ASSERT_NOT, 1): "?!", (op.ASSERT_NOT, -1): "?<!"}


def regex_text(tree: Tree) -> str:
    """The whole pattern, with its flags. ValueError for what cannot be said so."""
    flags = _flags(tree.state.flags)
    return (f"(?{flags})" if flags else "") + _sequence(tree)


def _sequence(nodes: Tree) -> str:
    return "".join(_node(kind, value) for kind, value in nodes)


def _node(kind: Any, value: Any) -> str:
    if kind is op.LITERAL:
        return _character(value)
    if kind is op.NOT_LITERAL:
        return f"[^{_character(value)}]"
    if kind is op.ANY:
        return "."
    if kind is op.IN:
        return "[" + "".join(_in_set(*item) for item in value) + "]"
    if kind is op.AT:
        return _PLACES[value]
    if kind in _REPEATS:
        least, most, body = value
        # A possessive repeat gives nothing back: here from its end, for `re` from the end of each round.
        group = "(?>" if kind is op.POSSESSIVE_REPEAT else "(?:"
        return f"{group}{_sequence(body)}){{{least},{'' if most is op.MAXREPEAT else most}}}{_REPEATS[kind]}"
    if kind is op.SUBPATTERN:
        return _group(*value)
    if kind is op.BRANCH:
        return "(?:" + "|".join(map(_sequence, value[1])) + ")"
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return f"({_LOOKS[kind, value[0]]}{_sequence(value[1])})"
    if kind is op.ATOMIC_GROUP:
        return f"(?>{_sequence(value)})"
    if kind is op.GROUPREF:
        return rf"\g<{value}>"
    if kind is op.GROUPREF_EXISTS:
        number, yes, no = value
        return f"(?({number}){_sequence(yes)}|{_sequence(no or ())})"
    if kind is op.FAILURE:
        return "(?!)"
    raise ValueError(f"{kind} is not supported")


def _group(number: int | None, add: int, remove: int, body: Tree) -> str:
    if (add | remove) & re.ASCII or add & re.UNICODE:
        raise ValueError("flags a and u for a part of a pattern are not supported in one that repeats within repeats")
    switched = _flags(add) + (f"-{off}" if (off := _flags(remove)) else "")
    inside = f"(?{switched}:{_sequence(body)})" if switched else _sequence(body)
    return f"(?:{inside})" if number is None else f"({inside})"


def _in_set(kind: Any, value: Any) -> str:
    if kind is op.NEGATE:
        return "^"
    if kind is op.RANGE:
        return f"{_character(value[0])}-{_character(value[1])}"
    return _CATEGORIES[value] if kind is op.CATEGORY else _character(value)


def _character(code: int) -> str:
    return f"\\U{code:08x}"


def _flags(flags: int) -> str:
    return "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
