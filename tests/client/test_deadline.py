"""Time limits that several steps share."""

from __future__ import annotations

import threading

import pytest

from pyronym.client import deadline as deadline_module
from pyronym.client.blocking import BLOCKING
from pyronym.client.deadline import Deadline
from pyronym.client.network import run
from pyronym.errors import TimeoutError


class Clock:
    """Stands for the time module; its time moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadline_module, "time", clock)
    return clock


@pytest.mark.parametrize("seconds", [None, 0, 0.0])
def test_no_seconds_means_no_deadline(seconds: float | None, clock: Clock) -> None:
    deadline = Deadline(seconds)
    clock.now += 1e9
    assert deadline.left() is None
    assert deadline.share(3).left() is None


def test_the_time_left_shrinks_until_it_is_over(clock: Clock) -> None:
    deadline = Deadline(10)
    clock.now += 4
    assert deadline.left() == 6
    clock.now += 6
    with pytest.raises(TimeoutError):
        deadline.left()


def test_a_nearer_deadline_wins(clock: Clock) -> None:
    deadline = Deadline(10)
    assert deadline.within(3).left() == 3
    assert deadline.within(30).left() == 10
    assert Deadline(None).within(3).left() == 3


def test_steps_share_the_time_evenly(clock: Clock) -> None:
    deadline = Deadline(9)
    assert deadline.share(3).left() == 3
    clock.now += 1  # the first step did not need all of its share
    assert deadline.share(2).left() == 4


def test_nothing_begins_after_the_deadline(clock: Clock) -> None:
    deadline = Deadline(1)
    clock.now += 1
    with pytest.raises(TimeoutError):
        deadline.share(2)
    with pytest.raises(TimeoutError):
        deadline.within(5)


@pytest.mark.parametrize("seconds", [None, 5])
def test_a_bounded_function_gives_its_result_or_its_exception(seconds: float | None) -> None:
    assert run(BLOCKING.in_thread(lambda: 42, Deadline(seconds))) == 42
    with pytest.raises(ZeroDivisionError):
        run(BLOCKING.in_thread(lambda: 1 // 0, Deadline(seconds)))


def test_a_function_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            run(BLOCKING.in_thread(release.wait, Deadline(0.01)))
    finally:
        release.set()
