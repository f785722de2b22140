"""Inputs that are worth trying again: one text file for each target, one input in a line, in base 64."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def read(target: str) -> list[bytes]:
    """The inputs of a target; none if it has no file."""
    path = FOLDER / f"{target}.txt"
    return [b64decode(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def write(target: str, inputs: Iterable[bytes]) -> None:
    """Put these in the place of a target's inputs."""
    FOLDER.mkdir(exist_ok=True)
    lines = sorted((b64encode(data).decode("ascii") for data in inputs), key=lambda line: (len(line), line))
    (FOLDER / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")
