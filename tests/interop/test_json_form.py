"""HTTP gateways hand the name server's json answers through as they are: the exact text is an interface."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import ask

from processes import NameServers

COMMON = (
    "raw_answer(ns, 'ping')",
    "raw_answer(ns, 'count')",
    "raw_answer(ns, 'register', 'ä \\\"quoted\\\"', 'PYRO:ö@host:1')",
    "raw_answer(ns, 'register', 'tagged', 'PYRO:tagged@host:1', False, ['tag ü'])",
    "raw_answer(ns, 'lookup', 'ä \\\"quoted\\\"')",
    "raw_answer(ns, 'lookup', 'tagged')",
    "raw_answer(ns, 'lookup', 'tagged', True)",
    "raw_answer(ns, 'list', 't')",
    "raw_answer(ns, 'list', 'ä')",
    "raw_answer(ns, 'list')",
    "raw_answer(ns, 'remove', 'tagged')",
    "raw_answer(ns, 'set_metadata', 'ä \\\"quoted\\\"', ['x'])",
)
ONLY = {
    4: (
        "raw_answer(ns, 'list', None, None, ['x'], None, True)",
        "raw_answer(ns, 'list', None, None, None, None, True)",
    ),
    5: ("raw_answer(ns, 'yplookup', ['x'])", "raw_answer(ns, 'list', None, None, True)"),
}


@pytest.mark.parametrize("dialect", [4, 5])
def test_json_answers_are_byte_for_byte_those_of_the_stock_server(
    dialect: int,
    serve: NameServers,
    serve_stock4: NameServers,
    serve_stock5: NameServers,
    stock4_python: Path,
    stock5_python: Path,
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    stock = {4: serve_stock4, 5: serve_stock5}[dialect]()
    ours = serve()
    questions = COMMON + ONLY[dialect]
    answers = ask(python, stock.uri, *questions, serializer="json")
    wanted = [answer.replace(stock.location, ours.location) for answer in answers]
    assert not [answer for answer in wanted if "!!" in answer or "__exception__" in answer]
    assert ask(python, ours.uri, *questions, serializer="json") == wanted
