"""Checking what callers of the name server pass, in the order and with the words of the stock servers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from reprlib import repr as shortened

from pyronym.errors import BadPatternError
from pyronym.uri import URI


def checked_name(name: object) -> str:
    """A name; TypeError if it is not a str."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    return name


def storable(text: str, what: str) -> str:
    """A text that every storage and peer can hold. ValueError for half a surrogate pair, which has no UTF-8 form."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ValueError(f"{what} is not valid Unicode: {text!a} ({problem.reason} at {problem.start})") from None
    return text


def checked_uri(uri: object) -> str:
    """The text of a URI that is registered. TypeError if it is neither str nor URI, PyroError if it is none."""
    if isinstance(uri, URI):
        return storable(uri.asString(), "uri")
    if not isinstance(uri, str):
        raise TypeError(f"only URIs or strings can be registered, not {type(uri).__name__}")
    URI(uri)
    return storable(uri, "uri")


def checked_tags(tags: object, what: str = "metadata") -> frozenset[str]:
    """A collection of metadata tags as a set. TypeError if it is not a collection of str."""
    if isinstance(tags, str):
        raise TypeError(f"{what} should not be a str, but another iterable (set, list, etc)")
    if not isinstance(tags, Iterable):
        raise TypeError(f"{what} should be a collection of str, not {type(tags).__name__}")
    collected = list(tags)
    for tag in collected:
        if not isinstance(tag, str):
            raise TypeError(f"{what} should be a collection of str, but contains {shortened(tag)}")
        storable(tag, what)
    return frozenset(collected)


def checked_pattern(pattern: object) -> re.Pattern[str]:
    """A compiled regular expression. BadPatternError if it is none, TypeError if it is not a str."""
    if not isinstance(pattern, str):
        raise TypeError(f"regex must be a str, not {type(pattern).__name__}")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as problem:
        raise BadPatternError(str(problem)) from None


def checked_prefix(prefix: object) -> str:
    """A prefix of names; TypeError if it is not a str."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
    return prefix
