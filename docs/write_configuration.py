"""Write what the code says of the configuration into docs/configuration.md (its table) and docs/pyronym.toml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyronym.cli.configuration import in_toml
from pyronym.cli.items import GROUPS, Item

FOLDER = Path(__file__).resolve().parent
PAGE = FOLDER / "configuration.md"
EXAMPLE = FOLDER / "pyronym.toml"
MARK = "<!-- the table is written by docs/write_configuration.py -->\n"

INSTEAD = {"key": "the key", "keys": "keys.toml", "permissions": "permissions.toml", "audit_log": "/var/log/audit.json"}
INSTEAD |= {"unixsocket": "/run/pyronym/socket", "nathost": "ns.example", "user": "pyronym", "bchost": "192.0.2.7"}
INSTEAD |= {"pid_file": "/run/pyronym/pid", "tls_port": 9443, "audit_log_size": 10_000_000}
INSTEAD |= {"http": ":8080", "http_tokens": "tokens.toml", "http_name": "ns.example"}
"""What the example says of items that are not set by default."""


def page() -> str:
    """The page with the table as it should be."""
    before, _, after = PAGE.read_text().split(MARK)
    return MARK.join((before, "\n".join(_rows()) + "\n", after))


def example() -> str:
    """The example as it should be: all keys, with their defaults, as comments."""
    lines = [
        "# All that `pyronym serve --config FILE` understands, as it is by default, or as it might be.",
        "# Remove the first # of a line to say it. The keys are explained in docs/configuration.md.",
    ]
    for title, items in GROUPS.items():
        lines += ["", f"# ---- {title}"]
        for item in items:
            value = INSTEAD[item.key] if item.default is None else item.default
            lines += ["", f"# {item.meaning}", f"#{item.key} = {in_toml(value)}"]
    return "\n".join(lines) + "\n"


def _rows() -> Iterator[str]:
    yield "| key in the file | option | environment variable | meaning | default | SIGHUP |"
    yield "|---|---|---|---|---|---|"
    for title, items in GROUPS.items():
        yield f"| **{title}** | | | | | |"
        for item in items:
            options = ", ".join(f"`{flag}`" for flag in item.flags)
            row = (f"`{item.key}`", options, f"`{item.variable}`", item.meaning, _default(item), _reload(item))
            yield f"| {' | '.join(row)} |"


def _default(item: Item) -> str:
    return "" if item.default is None or item.default == "" else f"`{in_toml(item.default)}`"


def _reload(item: Item) -> str:
    return "reloads" if item.reloads else ""


def main() -> None:
    """Write both files."""
    PAGE.write_text(page())
    EXAMPLE.write_text(example())


if __name__ == "__main__":
    main()
