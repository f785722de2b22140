"""Short ways to ask a name server through a stock client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from processes import SCRIPTS, run_stock

SERIALIZERS = {
    4: ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle"),
    5: ("serpent", "json", "marshal", "msgpack"),
}
"""What each stock client can speak."""


def ask(
    python: Path,
    uri: str,
    *lines: str,
    serializer: str = "",
    key: str = "",
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """What each line gives in a stock program where `ns` is a proxy for `uri`; see `scripts/session.py`."""
    answers: list[str] = run_stock(python, SCRIPTS / "session.py", uri, serializer, key, *lines, env=env)
    return answers
