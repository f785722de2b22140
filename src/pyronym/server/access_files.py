"""The files that say who may use a name server: HMAC keys, tokens and permissions, all in TOML."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
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
    document = TomlFile(path, private=True).document
    keys = [Key(name, text.encode()) for name, text in _secrets(path, document, "key")]
    if not keys:
        raise ValueError(f'{path}: there is no key in it (expected lines such as: lab = "the key")')
    return KeyRing(keys)


def read_tokens(path: str) -> dict[str, str]:
    """The tokens of HTTP clients in a file of lines ``name = "token"``, or with lists as those of `read_keys`, as a
    dict of token -> name. Raises as `read_keys`.
    """
    document = TomlFile(path, private=True).document
    tokens = {token: name for name, token in _secrets(path, document, "token")}
    if not tokens:
        raise ValueError(f'{path}: there is no token in it (expected lines such as: dashboard = "the token")')
    for token, name in tokens.items():
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(f"{path}: the token of {name} fits no header (expected letters, digits and -._~+/= only)")
    return tokens


def _secrets(path: str, document: Mapping[str, object], kind: str) -> Iterator[tuple[str, str]]:
    """Names and secrets: one or several for each name, and none for two."""
    names: dict[str, str] = {}
    for name, value in document.items():
        texts = value if isinstance(value, list) else [value]
        secrets = [text for text in texts if isinstance(text, str) and text]
        if not secrets or len(secrets) != len(texts):
            raise ValueError(f'{path}: {name} is not a {kind} (expected {name} = "the {kind}", or a list of {kind}s)')
        for secret in secrets:
            if names.setdefault(secret, name) != name:
                raise ValueError(f"{path}: {names[secret]} and {name} have the same {kind} (give each its own)")
            if len(secret.encode()) < SHORTEST_GOOD_KEY:
                log.warning(
                    "%s: the %s of %s has %d bytes and can be guessed; a good one is printed by: "
                    "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
                    path, kind, name, len(secret.encode()),
                )  # fmt: skip
            yield name, secret


def read_permissions(path: str, *, read_only: bool = False) -> Permissions:
    """The permissions in a file. Raises OSError when it cannot be read, ValueError for what cannot be understood."""
    document = TomlFile(path).document
    try:
        return parse_permissions(document, read_only=read_only)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
