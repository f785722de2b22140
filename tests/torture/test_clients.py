"""Hostile clients of each kind, for a moment. ``make torture`` takes more time, and the stock servers beside ours."""

from __future__ import annotations

import pytest

from torture.clients import ATTACKS, MEGABYTE, Attack, perform


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_client_that_means_no_harm_is_answered_meanwhile(attack: Attack) -> None:
    outcome = perform("pyronym", attack, clients=200, seconds=1.0)
    assert outcome.survived, outcome
    assert outcome.growth < 500 * MEGABYTE
