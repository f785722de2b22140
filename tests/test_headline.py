"""The README's figures are those that were measured."""

from __future__ import annotations

from benchmarks import headline
from benchmarks.report import load_results


def test_the_figures_of_the_readme_are_those_of_the_kept_results() -> None:
    data = load_results()
    assert data is not None
    assert f"{headline.BEGIN}\n\n{headline.sentence(data)}\n\n{headline.END}" in headline.PAGE.read_text()
