"""Files in TOML that say what a server does: who may change them decides, and errors name the line."""

from __future__ import annotations

import os
import stat
import tomllib
from typing import Final

OTHERS_WRITE: Final = 0o022
OTHERS_ANYTHING: Final = 0o077


class TomlFile:
    """The file at `path`, read once: `document` is what it says.

    Raises OSError when it cannot be read; ValueError when others than its owner can change it, or read it if it is
    `private`, and for what is not TOML.
    """

    def __init__(self, path: str, *, private: bool = False) -> None:
        self.path = path
        with open(path, "rb") as file:
            self._mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
        if private:
            self.must_be_private("")
        self._refuse(OTHERS_WRITE, "others than its owner can change it", "go-w")
        try:
            self._text = content.decode()
            self.document: dict[str, object] = tomllib.loads(self._text)
        except UnicodeDecodeError:
            raise ValueError(f"{path}: is not TOML (it is not UTF-8)") from None
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: is not TOML ({problem})") from None
        except RecursionError:
            raise ValueError(f"{path}: is not TOML that can be read (it is nested too deeply)") from None

    def must_be_private(self, why: str) -> None:
        """ValueError, beginning with `why`, if others than its owner can read it."""
        self._refuse(OTHERS_ANYTHING, f"{why}others than its owner can read or change it", "600")

    def _refuse(self, rights: int, why: str, change: str) -> None:
        if self._mode & rights:
            raise ValueError(f"{self.path}: {why} (mode {self._mode:04o}): chmod {change} {self.path}")

    def place_of(self, key: str) -> str:
        """The file, and the line in which the value of a `key` of its first level begins.

        Found with the parser alone: the last beginning of the file that is whole, and does not have the key yet.
        """
        lines = self._text.split("\n")
        before = 0
        for count in range(1, len(lines) + 1):
            try:
                known = tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a value of several lines
            if key in known:
                break
            before = count
        return f"{self.path}, line {before + 1}"
