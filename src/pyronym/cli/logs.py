"""The log of ``pyronym serve``: lines of text, or of JSON."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

from pyronym.cli.configuration import Configuration
from pyronym.cli.items import STDERR

JSON: Final = "json"


class Log:
    """Where the whole program logs to. `begin` once, and again for other wishes, or for a new file of the same name."""

    def __init__(self) -> None:
        self._handler: logging.Handler | None = None

    def begin(self, told: Configuration) -> None:
        """Log as `told`. Raises OSError when the file cannot be written to; all stays as it was."""
        path = told["log_file"]
        handler = logging.StreamHandler() if path == STDERR else logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(JsonLines() if told["log_format"] == JSON else _text())
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(told["log_level"])
        logging.getLogger("pyronym.access").setLevel(logging.INFO)  # it has a switch of its own
        if self._handler is not None:
            root.removeHandler(self._handler)
            self._handler.close()
        self._handler = handler


class JsonLines(logging.Formatter):
    """One object for each event, in one line: `ts`, `level`, `logger` and `event`, then what the event names itself in
    ``extra={"fields": {...}}``, and a `traceback` if there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _text() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
