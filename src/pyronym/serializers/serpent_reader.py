r"""Reads the serpent format: Python literals, in the forms that serpent writers produce.

``serpent.loads`` hands the text to Python's compiler, which needs 8 GB and half a minute for 16 MB of hostile input,
stopping all other threads for much of it. This reader knows only what serpent's grammar has:

- ``None True False``, decimal integers and floats (``1e30000`` is infinite), complex numbers like ``(1.0-2.0j)``;
- texts in single or double quotes with the usual escapes, bytes like ``b'\x00'``;
- tuples, lists, dicts and sets, with white space and comments anywhere between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS, Budget, make_dict, make_set, too_deep, too_many

_NUMBER: Final = r"[+-]?(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?"
_SINGLE_QUOTED: Final = r"'[^'\\\r\n\0]*+(?:\\[^\r\n\0][^'\\\r\n\0]*+)*+'"
_DOUBLE_QUOTED: Final = _SINGLE_QUOTED.replace("'", '"')
_TOKEN: Final = re.compile(
    rf"""
    [ \t\r\n\f]*+ (?:\#[^\r\n]*+ [ \t\r\n\f]*+)*+
    (
      [\[\]){{}},:]
    | {_SINGLE_QUOTED} | {_DOUBLE_QUOTED}
    | \({_NUMBER}(?=[+-]){_NUMBER}j\)  # a complex number
    | {_NUMBER}
    | None | True | False
    | b{_SINGLE_QUOTED} | b{_DOUBLE_QUOTED}
    | .                               # an opening bracket, or an error
    | \Z
    )""",
    re.VERBOSE | re.DOTALL,
)
_MANY: Final = 10_000
"""Characters up to which all tokens are made at once, in half the time. For more, a list of them would take the memory
that the limit on elements is there to save."""

_COMPLEX: Final = re.compile(rf"\(({_NUMBER})({_NUMBER})j\)")
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<letter>[\\'\"abfnrtv])|x(?P<x>[0-9a-fA-F]{2})|(?P<octal>[0-3]?[0-7]{1,2})"
    r"|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<wrong>.))"
)
_LETTERS: Final = dict(zip("\\'\"abfnrtv", "\\'\"\a\b\f\n\r\t\v", strict=True))
_WORDS: Final = {"None": None, "True": True, "False": False}
_DIGITS: Final = frozenset("0123456789")
_SIGNS: Final = frozenset("+-")


def read_serpent(data: bytes) -> object:
    """The value in `data`. SerializeError when there is none."""
    try:
        return _read(data.decode("utf-8"))
    # Not UTF-8, an integer of too many digits, an impossible character (from 2**31 on that is an overflow).
    except (ValueError, OverflowError) as problem:
        raise SerializeError(f"invalid serpent: {problem}") from problem


def _read(text: str) -> object:
    # With escapes, a text without end could make each further quote in it one more search to the end.
    if len(text) <= _MANY and "\\" not in text:
        try:
            return _Reader(iter(_TOKEN.findall(text))).document()
        except _UnexpectedError:
            pass  # is raised again, at a place that is known
    tokens = _Tokens(text)
    try:
        return _Reader(iter(tokens)).document()
    except _UnexpectedError as problem:
        found = repr(problem.token[:20]) if problem.token else "the end"
        raise SerializeError(
            f"invalid serpent: {found} at character {tokens.end} (expected {problem.expected})"
        ) from None


class _Tokens:
    """The tokens of a text, one by one. `end`: where the last one ended. The token after all others is empty."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.end = 0

    def __iter__(self) -> Iterator[str]:
        for match in _TOKEN.finditer(self._text):
            self.end = match.end()
            yield match[1]


class _UnexpectedError(Exception):
    def __init__(self, token: str, expected: str) -> None:
        self.token = token
        self.expected = expected


class _Reader:
    def __init__(self, tokens: Iterator[str]) -> None:
        self._tokens = tokens
        self._budget = Budget()

    def document(self) -> object:
        value = self._value(next(self._tokens), 0)
        token = next(self._tokens)
        if token:
            raise _UnexpectedError(token, "the end")
        return value

    def _value(self, token: str, depth: int) -> object:
        if depth > LIMITS.depth:
            raise too_deep()
        budget = self._budget
        budget.left -= 1
        if budget.left < 0:
            raise too_many()
        first = token[:1]
        if (first == "'" or first == '"') and len(token) > 1:
            return token[1:-1] if "\\" not in token else _ESCAPE.sub(_character, token[1:-1])
        if token == "(":
            elements, is_tuple = self._elements(")", depth + 1)
            return tuple(elements) if is_tuple else elements[0]
        if token == "[":
            return self._elements("]", depth + 1)[0]
        if token == "{":
            return self._dict_or_set(depth + 1)
        if token in _WORDS:
            return _WORDS[token]
        if first in _DIGITS or (first in _SIGNS and len(token) > 1):
            return int(token) if token.lstrip("+-").isdigit() else float(token)
        if len(token) > 1:
            return _bytes(token) if first == "b" else _complex(token)
        raise _UnexpectedError(token, "a value")

    def _elements(self, closing: str, depth: int) -> tuple[list[object], bool]:
        """The elements up to `closing`, and whether these are the elements of a tuple: one alone needs a comma."""
        tokens = self._tokens
        elements: list[object] = []
        while True:
            token = next(tokens)
            if token == closing:
                return elements, True
            elements.append(self._value(token, depth))
            token = next(tokens)
            if token == closing:
                return elements, len(elements) > 1
            if token != ",":
                raise _UnexpectedError(token, f"',' or '{closing}'")

    def _dict_or_set(self, depth: int) -> object:
        token = next(self._tokens)
        if token == "}":
            return {}
        first = self._value(token, depth)
        token = next(self._tokens)
        if token == ":":
            return self._dict(first, depth)
        if token == "}":
            return make_set([first], self._budget)
        if token != ",":
            raise _UnexpectedError(token, "':', ',' or '}'")
        elements, _ = self._elements("}", depth)
        return make_set([first, *elements], self._budget)

    def _dict(self, key: object, depth: int) -> dict[object, object]:
        """The rest of a dict, after its first key and the colon."""
        tokens = self._tokens
        pairs: list[tuple[object, object]] = []
        while True:
            pairs.append((key, self._value(next(tokens), depth)))
            token = next(tokens)
            if token == ",":
                token = next(tokens)
            elif token != "}":
                raise _UnexpectedError(token, "',' or '}'")
            if token == "}":
                return make_dict(pairs, self._budget)
            key = self._value(token, depth)
            token = next(tokens)
            if token != ":":
                raise _UnexpectedError(token, "':'")


def _complex(token: str) -> complex:
    match = _COMPLEX.match(token)
    assert match is not None, "both patterns are made of the same parts"
    return complex(float(match[1]), float(match[2]))


def _bytes(token: str) -> bytes:
    if not token.isascii():
        raise SerializeError("invalid serpent: bytes with characters that are not ASCII")
    return _ESCAPE.sub(_byte, token[2:-1]).encode("latin-1")


def _character(escape: re.Match[str]) -> str:
    kind = escape.lastgroup
    if kind == "letter":
        return _LETTERS[escape["letter"]]
    if kind == "wrong" or kind is None:
        raise SerializeError(f"invalid serpent: unknown escape {escape[0]}")
    return chr(int(escape[kind], 8 if kind == "octal" else 16))


def _byte(escape: re.Match[str]) -> str:
    if escape.lastgroup in ("u", "U"):
        raise SerializeError(f"invalid serpent: escape {escape[0]} in bytes")
    return _character(escape)
