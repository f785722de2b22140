"""What ``pyronym doctor`` finds."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Some programs may have trouble, or will later."""
    ERROR = "error"
    """Programs have trouble."""


class Finding(NamedTuple):
    """One thing that was looked at, and how it is."""

    level: Level
    check: str
    """What was looked at: one word or two."""
    text: str
    cure: str = ""
    """What to do about it; empty where nothing has to be done."""
