"""A soak of some seconds, and whether it would see what it looks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torture.soak import MAY_GROW, Sample, growths, soak

FLAT = Sample(time=0, memory=50, descriptors=40, threads=5, disk=8, names=100, requests=9, median=1, p99=2, worst=3)


@pytest.mark.parametrize("measure", MAY_GROW)
def test_what_grows_without_end_is_found(measure: str) -> None:
    level = getattr(FLAT, measure)
    growing = [replace(FLAT, **{measure: level + number}) for number in range(40)]
    assert growths(growing).keys() == {measure}
    settling = [replace(FLAT, **{measure: level * min(number / 5, 1)}) for number in range(40)]
    assert growths(settling) == {}


def test_mixed_load_with_restarts_loses_nothing() -> None:
    seen = soak(seconds=9.0, clients=10, restarts=1, seed=1)
    assert seen.losses == []
    assert len(seen.restarts) == 1
    assert seen.attacks
    assert sum(sample.requests for sample in seen.samples if sample.time > seen.restarts[0]) > 100
