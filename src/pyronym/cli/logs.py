"""The log of ``pyronym serve``."""

from __future__ import annotations

import logging

from pyronym.cli.items import STDERR


def start_log(level: str, path: str) -> None:
    """Log to the file at `path`, or to the standard error, from `level` on upwards. Raises OSError."""
    logging.basicConfig(
        level=level,
        filename=None if path == STDERR else path,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
