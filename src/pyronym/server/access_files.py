"""The files that say who may use a name server: HMAC keys and permissions, both in TOML."""

from __future__ import annotations

import logging
from typing import Final

from pyronym.server.toml_files import TomlFile
from pyronym.service.permissions import Permissions, parse_permissions
from pyronym.wire.keys import Key, KeyRing

SHORTEST_GOOD_KEY: Final = 16
"""Bytes. What is shorter can be found by trying."""

log = logging.getLogger(__name__)


def read_keys(path: str) -> KeyRing:
    """The keys in a file of lines ``name = "key"``, or ``name = ["new key", "old key"]`` while a key is being changed.

    Raises OSError when it cannot be read, ValueError when others than its owner can read it too, and for contents that
    are not like this. No error shows a key.
    """
    keys: list[Key] = []
    names: dict[bytes, str] = {}
    for name, value in TomlFile(path, private=True).document.items():
        texts = value if isinstance(value, list) else [value]
        secrets = [text.encode() for text in texts if isinstance(text, str) and text]
        if not secrets or len(secrets) != len(texts):
            raise ValueError(f'{path}: {name} is not a key (expected {name} = "the key", or a list of keys)')
        for secret in secrets:
            if names.setdefault(secret, name) != name:
                raise ValueError(f"{path}: {names[secret]} and {name} have the same key (give each its own)")
            if len(secret) < SHORTEST_GOOD_KEY:
                log.warning(
                    "%s: the key of %s has %d bytes and can be guessed; a good one is printed by: "
                    "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
                    path, name, len(secret),
                )  # fmt: skip
            keys.append(Key(name, secret))
    if not keys:
        raise ValueError(f'{path}: there is no key in it (expected lines such as: lab = "the key")')
    return KeyRing(keys)


def read_permissions(path: str, *, read_only: bool = False) -> Permissions:
    """The permissions in a file. Raises OSError when it cannot be read, ValueError for what cannot be understood."""
    document = TomlFile(path).document
    try:
        return parse_permissions(document, read_only=read_only)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
