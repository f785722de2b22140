"""The alarm rings when it is time, and knows what lateness is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pyronym.service.alarm import BREATH, Alarm

PATIENCE = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lateness(ring: Callable[[Clock, int], float | None], start: float) -> list[float]:
    """How late each ring was; `ring` is given the clock and the number of the ring, and gives when the next is due."""
    clock, late, done = Clock(), [], threading.Event()

    def rung(seconds: float) -> float | None:
        late.append(seconds)
        following = ring(clock, len(late))
        if following is None:
            done.set()
        return following

    alarm = Alarm(rung, clock)
    try:
        alarm.by(start)
        assert done.wait(PATIENCE)
    finally:
        alarm.close()
    return late


@pytest.mark.parametrize("start", [97.0, 100.0])
def test_what_was_due_before_there_was_an_alarm_is_not_late(start: float) -> None:
    assert lateness(lambda clock, number: None, start) == [0.0]


def test_the_time_that_the_work_takes_is_no_lateness() -> None:
    def work(clock: Clock, number: int) -> float | None:
        clock.now += 30.0
        return 100.0 if number < 3 else None  # there is more to do, and was to be done long ago

    assert lateness(work, 100.0) == [0.0, 0.0, 0.0]


def test_a_pause_of_the_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks: list[Clock] = []

    def work(clock: Clock, number: int) -> float | None:
        clocks.append(clock)
        return 100.0 if number < 2 else None

    def stopped(seconds: float) -> None:
        assert seconds == BREATH
        clocks[0].now += 30.0

    monkeypatch.setattr("pyronym.service.alarm.time.sleep", stopped)
    assert lateness(work, 100.0) == [0.0, 30.0]
