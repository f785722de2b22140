"""Checking what callers of the name server pass, in the order and with the words of the stock servers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from reprlib import repr as shortened

from pyronym.directory.leases import LONGEST, SHORTEST
from pyronym.directory.record import Record
from pyronym.errors import LimitError, RecordChangedError
from pyronym.settings import Settings
from pyronym.uri import URI

_PLAIN_URI = re.compile(r"PYRO:[^\s@]+@[^\s@:\[]+:[0-9]{1,5}")
"""What most URIs look like, and what is one for certain: to see that takes 0.5 microseconds, to make a URI of it 2."""

_COLLECTIONS = (list, tuple, set, frozenset, Iterable)
"""What tags come in. To ask whether something is an Iterable takes 0.3 microseconds, so that is asked last."""


def checked_name(name: object) -> str:
    """A name; TypeError if it is not a str. Of a subclass, as enumerations are made of, its text."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    return name if type(name) is str else str.__str__(name)


def storable(text: str, what: str) -> str:
    """A text that every storage and peer can hold. ValueError for half a surrogate pair, which has no UTF-8 form."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ValueError(f"{what} is not valid Unicode: {text!a} ({problem.reason} at {problem.start})") from None
    return text


def check_length(text: str, what: str, limit: int) -> None:
    """LimitError for a text of more than `limit` characters."""
    if len(text) > limit:
        raise LimitError(
            f"{what} is too long: {len(text)} characters (at most {limit}, MAX_NAME_LENGTH): {text[:40]!r}..."
        )


def check_tags(tags: frozenset[str], settings: Settings) -> None:
    """LimitError for more tags than one name may have, or for one that is too long."""
    if len(tags) > settings.max_tags:
        raise LimitError(f"metadata has too many tags: {len(tags)} (at most {settings.max_tags}, MAX_TAGS)")
    for tag in tags:
        check_length(tag, "a metadata tag", settings.max_name_length)


def checked_uri(uri: object) -> str:
    """The text of a URI that is registered. TypeError if it is neither str nor URI, PyroError if it is none."""
    if isinstance(uri, URI):
        return storable(uri.asString(), "uri")
    if not isinstance(uri, str):
        raise TypeError(f"only URIs or strings can be registered, not {type(uri).__name__}")
    uri = str.__str__(uri)  # of a subclass, its text
    if _PLAIN_URI.fullmatch(uri) is None:
        URI(uri)
    return storable(uri, "uri")


def checked_tags(tags: object, what: str = "metadata") -> frozenset[str]:
    """A collection of metadata tags as a set. TypeError if it is not a collection of str."""
    if isinstance(tags, str):
        raise TypeError(f"{what} should not be a str, but another iterable (set, list, etc)")
    if not isinstance(tags, _COLLECTIONS):
        raise TypeError(f"{what} should be a collection of str, not {type(tags).__name__}")
    collected = list(tags)
    for tag in collected:
        if not isinstance(tag, str):
            raise TypeError(f"{what} should be a collection of str, but contains {shortened(tag)}")
        storable(tag, what)
    return frozenset(collected)


def checked_regex(regex: object) -> str:
    """The text of a regular expression; TypeError if it is not a str. To compile it may take long."""
    if not isinstance(regex, str):
        raise TypeError(f"regex must be a str, not {type(regex).__name__}")
    return regex


def check_unchanged(name: str, record: Record | None, expected: Record | None) -> None:
    """RecordChangedError if a name stands for `record`, and a certain other one is `expected`."""
    if expected is not None and record is not expected:
        raise RecordChangedError(name)


def checked_prefix(prefix: object) -> str:
    """A prefix of names; TypeError if it is not a str."""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
    return prefix


def checked_lease(lease: object) -> float | None:
    """The seconds of a lease; None for none. TypeError if it is no number, ValueError if it cannot be kept."""
    if lease is None:
        return None
    if isinstance(lease, bool) or not isinstance(lease, int | float):
        raise TypeError(f"lease must be a number of seconds or None, not {type(lease).__name__}")
    if not SHORTEST <= lease <= LONGEST:
        raise ValueError(f"invalid lease: {lease} (expected {SHORTEST:g} to {LONGEST:.0f} seconds)")
    return float(lease)


def checked_names(names: object) -> dict[str, str | None]:
    """What is to be renewed: a name, a collection of names, or a dict of name -> id, as such a dict. TypeError."""
    if isinstance(names, str):
        return {names: None}
    if isinstance(names, Mapping):
        for lease_id in names.values():
            if not isinstance(lease_id, str | None):
                raise TypeError(f"the id of a registration must be a str, not {shortened(lease_id)}")
        return {checked_name(name): lease_id for name, lease_id in names.items()}
    if not isinstance(names, _COLLECTIONS):
        raise TypeError(f"names should be a collection of str, or a dict, not {type(names).__name__}")
    return {checked_name(name): None for name in names}


def checked_since(since: object) -> int | None:
    """A revision, or None. TypeError if it is no whole number, ValueError if it is negative."""
    if since is None:
        return None
    if isinstance(since, bool) or not isinstance(since, int):
        raise TypeError(f"since must be a revision (a whole number) or None, not {type(since).__name__}")
    if since < 0:
        raise ValueError(f"invalid since: {since} (expected a revision, 0 or more)")
    return since


def checked_timeout(timeout: object) -> float:
    """A number of seconds. TypeError if it is no number, ValueError if it is negative or not finite."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not (math.isfinite(timeout) and timeout >= 0):
        raise ValueError(f"invalid timeout: {timeout} (expected a number of seconds, 0 or more)")
    return float(timeout)
