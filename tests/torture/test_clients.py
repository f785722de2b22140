"""Hostile clients of each kind, for a moment. ``make torture`` takes more time, and the stock servers beside ours."""

from __future__ import annotations

import pytest

from torture.attacks import ATTACKS
from torture.clients import MEGABYTE, perform

STALL = 1.0
"""Seconds in which nearly all answers must come, however busy the machine is."""


@pytest.mark.parametrize("name", ATTACKS)
def test_a_client_that_means_no_harm_is_answered_meanwhile(name: str) -> None:
    outcome = perform("pyronym", name, clients=100, seconds=0.5, size=500_000)
    assert outcome.survived, outcome
    assert outcome.percentile(99) < STALL, outcome
    assert outcome.growth < 400 * MEGABYTE
    assert outcome.tried
