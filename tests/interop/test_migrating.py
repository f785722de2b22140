"""The tables of docs/migrating.md have everything that the stock name servers can be told, and are right about ours."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from click.testing import CliRunner

from processes import run, run_stock
from pyronym import config
from pyronym.cli.control import ACTIONS
from pyronym.cli.items import ITEMS
from pyronym.cli.main import pyronym as group
from pyronym.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"
SETTINGS = {field.name.upper(): field.default for field in fields(Settings)}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    _, _, section = PAGE.read_text().partition(f"\n## {heading}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def items_of_stock(python4: Path, python5: Path) -> dict[str, dict[str, object]]:
    ask = "import json, {0}; print(json.dumps({0}.config.{1}(), default=sorted))"
    return {
        "Pyro4": run_stock(python4, ask.format("Pyro4", "asDict")),
        "Pyro5": run_stock(python5, ask.format("Pyro5", "as_dict")),
    }


def test_every_config_item_of_the_stock_releases_is_in_the_table(stock4_python: Path, stock5_python: Path) -> None:
    stock = items_of_stock(stock4_python, stock5_python)
    shown = {
        "Pyro4": {codes(row[0])[0] for row in rows("Config items") if row[1] == "yes"},
        "Pyro5": {codes(row[0])[0] for row in rows("Config items") if row[2] == "yes"},
    }
    assert shown == {release: set(items) for release, items in stock.items()}


def test_a_config_item_is_here_what_the_table_says() -> None:
    for item, _, _, here in rows("Config items"):
        (name,) = codes(item)
        assert (name in SETTINGS) == here.startswith("the same"), name
        known = here.startswith(("the same", "none"))
        assert hasattr(config, name) == known, name


def test_the_table_tells_where_a_default_is_another(stock4_python: Path, stock5_python: Path) -> None:
    stock = items_of_stock(stock4_python, stock5_python)
    told = {codes(row[0])[0] for row in rows("Config items") if "by default" in row[3]}
    differ = {
        name
        for items in stock.values()
        for name, value in items.items()
        if name in SETTINGS and as_text(value) != as_text(SETTINGS[name])
    }
    assert told == differ


def as_text(value: object) -> str:
    """Collections are lists here and texts there."""
    return ", ".join(sorted(value)) if isinstance(value, list | tuple | frozenset) else str(value)


def test_every_option_of_the_stock_tools_is_in_the_table(stock4_python: Path, stock5_python: Path) -> None:
    tools = {f"pyro4-{tool}": stock4_python for tool in ("ns", "nsc")}
    tools |= {f"pyro5-{tool}": stock5_python for tool in ("ns", "nsc")}
    for tool, python in tools.items():
        text = run([python.parent / tool, "--help"]).stdout
        options = set(re.findall(r"(?<![\w-])(--?[a-z]+)", text.partition("ptions:\n")[2]))
        shown = {option for row in rows("Options") if f"`{tool}`" in row[1] for option in codes(row[0])}
        assert shown == options, tool


def test_the_options_of_name_servers_are_those_of_serve() -> None:
    ours = {flag for item in ITEMS.values() for flag in item.flags} | {"-h", "--help"}
    assert {option for row in rows("Options") if "-ns`" in row[1] for option in codes(row[0])} <= ours


def test_every_command_of_the_control_tools_has_a_counterpart(stock4_python: Path, stock5_python: Path) -> None:
    table = rows("Commands of the control tool")
    words4 = re.findall(r"\w+", run([stock4_python.parent / "pyro4-nsc", "--help"]).stdout.partition("Commands:")[2])
    assert {codes(row[0])[0] for row in table} == set(words4[: words4.index("Options")]) == set(ACTIONS)
    words5 = re.search(r"\{([\w,]+)}", run([stock5_python.parent / "pyro5-nsc", "--help"]).stdout)
    assert words5
    assert {codes(row[1])[0] for row in table} == set(words5[1].split(","))
    for *_, ours in table:
        command, *options = codes(ours)[0].split()
        shown = CliRunner().invoke(group, [command, "--help"]).output
        assert all(option in shown for option in options), ours
