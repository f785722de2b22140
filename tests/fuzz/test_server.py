"""A short campaign of mutated messages against a live server; ``make fuzz-server`` makes long ones."""

from __future__ import annotations

import pytest

from fuzz.campaign import MEGABYTE, run

COUNT = 3000
SECONDS = 40.0
GROWTH = 300 * MEGABYTE
"""What some of the messages unfold to together, read at the same time, before it is given back."""


@pytest.mark.parametrize(("key", "count"), [(None, COUNT), (b"a shared secret", COUNT // 10)], ids=["plain", "signed"])
def test_no_mutated_message_brings_the_server_down(key: bytes | None, count: int) -> None:
    reports: list[str] = []
    result = run("pyronym", count=count, seed=1, key=key, processes=1, max_seconds=SECONDS, report=reports.append)
    said = "\n".join([*reports, result.line()])
    assert result.messages >= count / 10, said
    assert (result.deaths, result.hangs, result.hung_connections, result.surprises) == (0, 0, 0, 0), said
    assert result.memory_peak - result.memory_before < GROWTH, said
