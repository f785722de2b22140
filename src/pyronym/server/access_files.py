"""The files that say who may use a name server: HMAC keys and permissions, both in TOML."""

from __future__ import annotations

import logging
import os
import stat
import tomllib
from typing import Final

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
    document = _read(path, private=True)
    keys: list[Key] = []
    names: dict[bytes, str] = {}
    for name, value in document.items():
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
    document = _read(path, private=False)
    try:
        return parse_permissions(document, read_only=read_only)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def _read(path: str, *, private: bool) -> dict[str, object]:
    """A TOML file that nobody else can write to, nor read if it is `private`."""
    with open(path, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if private and mode & 0o077:
            raise ValueError(f"{path}: others than its owner can read or change it (mode {mode:04o}): chmod 600 {path}")
        if mode & 0o022:
            raise ValueError(f"{path}: others than its owner can change it (mode {mode:04o}): chmod go-w {path}")
        try:
            return tomllib.load(file)
        except UnicodeDecodeError:
            raise ValueError(f"{path}: is not TOML (it is not UTF-8)") from None
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: is not TOML ({problem})") from None
        except RecursionError:
            raise ValueError(f"{path}: is not TOML that can be read (it is nested too deeply)") from None
