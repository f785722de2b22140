"""Tables fit every terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pyronym.cli.table import Row, table_lines

HEADINGS = ("name", "uri", "tags")
CELLS = st.text(st.sampled_from("ab.☃界"), max_size=40)
ROWS = st.lists(st.builds(Row, st.tuples(st.text(st.sampled_from("ab.界"), min_size=1, max_size=40), CELLS, CELLS)))


def texts(rows: list[Row], width: int) -> list[str]:
    return [line.text for line in table_lines(HEADINGS, rows, width)]


@given(ROWS, st.integers(4, 100))
def test_no_line_is_wider_than_the_terminal_and_no_letter_is_lost(rows: list[Row], width: int) -> None:
    lines = texts(rows, width)
    assert all(cell_len(line) <= width for line in lines)
    shown = "".join(lines)
    for letter in "☃界":
        assert shown.count(letter) == sum(cell.count(letter) for row in rows for cell in row.cells)


@given(ROWS, st.integers(60, 100))
def test_names_are_whole_where_the_terminal_has_room_for_them(rows: list[Row], width: int) -> None:
    shown = [line.partition(" ")[0] for line in texts(rows, width)]
    for row in rows:
        assert row.cells[0] in shown or cell_len(row.cells[0]) > width - 26


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (50, ["name        uri", "lab.camera  PYRO:camera@10.0.0.7:4000"]),
        (38, ["name        uri", "lab.camera  PYRO:camera@10.0.0.7:4000"]),
        (37, ["name        uri", "lab.camera  PYRO:camera@10.0.0.7:4000"]),
        (36, ["name        uri", "lab.camera  PYRO:camera@10.0.0.7:400", "            0"]),
        (30, ["lab.camera", "  uri: PYRO:camera@10.0.0.7:40", "  00"]),
        (4, ["lab.", "came", "ra", *(f"  {part}" for part in ("ur", "i:", " P", "YR", "O:", "ca"))]),
    ],
)
def test_a_table_gets_narrower_with_the_terminal(width: int, lines: list[str]) -> None:
    rows = [Row(("lab.camera", "PYRO:camera@10.0.0.7:4000", ""))]
    assert texts(rows, width)[: len(lines)] == lines


def test_without_rows_there_is_no_table() -> None:
    assert texts([], 80) == []


def test_what_is_wrong_stands_out() -> None:
    rows = [Row(("a", "", "")), Row(("b", "", ""), alarming=True)]
    assert [line.style for line in table_lines(HEADINGS, rows, 80)] == ["bold", "", "red"]
