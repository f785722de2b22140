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
from pyronym.serializers.bounds import MAX_DEPTH, Budget, make_dict, make_set, too_deep

_NUMBER: Final = r"[+-]?(?:0|[1-9][0-9]*+)(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?"
_TOKEN: Final = re.compile(
    rf"""
    (?:[ \t\r\n\f]++|\#[^\r\n]*+)*+
    (?:
      (?P<text>   '[^'\\\r\n\0]*+' | "[^"\\\r\n\0]*+" )
    | (?P<escaped>b?
        (?: '[^'\\\r\n\0]*+(?:\\[^\r\n\0][^'\\\r\n\0]*+)*+'
          | "[^"\\\r\n\0]*+(?:\\[^\r\n\0][^"\\\r\n\0]*+)*+" ))
    | (?P<complex>\({_NUMBER}(?=[+-]){_NUMBER}j\) )
    | (?P<number> {_NUMBER} )
    | (?P<word>   None | True | False )
    | (?P<mark>   [\[\](){{}},:] )
    | (?P<end>    \Z )
    | (?P<wrong>  . )
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMPLEX: Final = re.compile(rf"\(({_NUMBER})({_NUMBER})j\)")
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<letter>[\\'\"abfnrtv])|x(?P<x>[0-9a-fA-F]{2})|(?P<octal>[0-3]?[0-7]{1,2})"
    r"|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<wrong>.))"
)
_LETTERS: Final = dict(zip("\\'\"abfnrtv", "\\'\"\a\b\f\n\r\t\v", strict=True))
_WORDS: Final = {"None": None, "True": True, "False": False}


def read_serpent(data: bytes) -> object:
    """The value in `data`. SerializeError when there is none."""
    try:
        return _Reader(data.decode("utf-8")).document()
    except ValueError as problem:  # not UTF-8, an integer of too many digits, an impossible character
        raise SerializeError(f"invalid serpent: {problem}") from problem


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._budget = Budget()

    def document(self) -> object:
        value = self._value(next(self._tokens), 0)
        token = next(self._tokens)
        if token.lastgroup != "end":
            raise _unexpected(token, "the end")
        return value

    def _value(self, token: re.Match[str], depth: int) -> object:
        if depth > MAX_DEPTH:
            raise too_deep()
        self._budget.spend(1)
        kind = token.lastgroup
        if kind == "text":
            return token["text"][1:-1]
        if kind == "mark":
            return self._container(token, depth + 1)
        if kind == "number":
            number = token["number"]
            return int(number) if number.lstrip("+-").isdigit() else float(number)
        if kind == "word":
            return _WORDS[token["word"]]
        if kind == "escaped":
            return _unescaped(token["escaped"])
        if kind == "complex":
            match = _COMPLEX.match(token["complex"])
            assert match is not None, "both patterns are made of the same parts"
            return complex(float(match[1]), float(match[2]))
        raise _unexpected(token, "a value")

    def _container(self, token: re.Match[str], depth: int) -> object:
        opening = token["mark"]
        if opening == "[":
            return self._elements("]", depth)[0]
        if opening == "(":
            elements, is_tuple = self._elements(")", depth)
            return tuple(elements) if is_tuple else elements[0]
        if opening == "{":
            return self._dict_or_set(depth)
        raise _unexpected(token, "a value")

    def _elements(self, closing: str, depth: int) -> tuple[list[object], bool]:
        """The elements up to `closing`, and whether these are the elements of a tuple: one alone needs a comma."""
        elements: list[object] = []
        while True:
            token = next(self._tokens)
            if token["mark"] == closing:
                return elements, True
            elements.append(self._value(token, depth))
            token = next(self._tokens)
            if token["mark"] == closing:
                return elements, len(elements) > 1
            if token["mark"] != ",":
                raise _unexpected(token, f"',' or '{closing}'")

    def _dict_or_set(self, depth: int) -> object:
        token = next(self._tokens)
        if token["mark"] == "}":
            return {}
        first = self._value(token, depth)
        token = next(self._tokens)
        if token["mark"] == ":":
            return self._dict(first, depth)
        if token["mark"] == "}":
            return make_set([first], self._budget)
        if token["mark"] != ",":
            raise _unexpected(token, "':', ',' or '}'")
        elements, _ = self._elements("}", depth)
        return make_set([first, *elements], self._budget)

    def _dict(self, key: object, depth: int) -> dict[object, object]:
        """The rest of a dict, after its first key and the colon."""
        pairs: list[tuple[object, object]] = []
        while True:
            pairs.append((key, self._value(next(self._tokens), depth)))
            token = next(self._tokens)
            if token["mark"] == ",":
                token = next(self._tokens)
            elif token["mark"] != "}":
                raise _unexpected(token, "',' or '}'")
            if token["mark"] == "}":
                return make_dict(pairs, self._budget)
            key = self._value(token, depth)
            token = next(self._tokens)
            if token["mark"] != ":":
                raise _unexpected(token, "':'")


def _unexpected(token: re.Match[str], expected: str) -> SerializeError:
    found = "the end" if token.lastgroup == "end" else repr(token[token.lastgroup or 0][:20])
    return SerializeError(f"invalid serpent: {found} at character {token.end()} (expected {expected})")


def _unescaped(literal: str) -> str | bytes:
    is_bytes = literal.startswith("b")
    body = literal[2:-1] if is_bytes else literal[1:-1]
    if not is_bytes:
        return _ESCAPE.sub(_character, body)
    if not body.isascii():
        raise SerializeError("invalid serpent: bytes with characters that are not ASCII")
    return _ESCAPE.sub(_byte, body).encode("latin-1")


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
