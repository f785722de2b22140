"""What was acknowledged survives a power cut at any moment. `make torture-storage` does the same for longer."""

import random

import pytest
from killing import STORES
from power_cuts import cut_the_power

CUTS = 40


@pytest.mark.parametrize("kind", STORES)
def test_a_power_cut_loses_no_acknowledged_commit_and_leaves_none_half_done(kind, tmp_path):
    figures = cut_the_power(kind, tmp_path / "names", CUTS, random.Random(kind))
    assert figures.acknowledged
    assert figures.on_its_way  # the cuts do come in the midst of things
