"""The loop alone: all ways to drive it, its timers, and what happens around it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pyronym.server.fast_loop import fastest_loop
from pyronym.server.loop import LET_GO_SECONDS, TURN_SECONDS, LoopBase, ServerLoop, Watchers

PATIENCE = 5.0
"""Seconds after which something that should happen at once is taken not to happen."""


@pytest.fixture
def loop() -> Iterator[ServerLoop]:
    loop = ServerLoop()
    yield loop
    loop.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        yield left, right


def is_readable(descriptor: int, timeout: float = 0) -> bool:
    return bool(select.select([descriptor], [], [], timeout)[0])


def settle(loop: ServerLoop) -> None:
    """Turns until there is nothing to do."""
    while is_readable(loop.fileno()):
        loop.turn()


def test_serve_runs_until_the_condition_is_false(loop: ServerLoop) -> None:
    rounds: list[int] = []

    def again() -> None:
        rounds.append(1)
        loop.call_soon(again)

    loop.call_soon(again)
    loop.serve(lambda: len(rounds) < 3, 60)
    assert len(rounds) == 4  # what is ready when the condition has become false still runs


def test_serve_asks_its_condition_again_when_the_pause_is_over(loop: ServerLoop) -> None:
    asked: list[float] = []

    def condition() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 4

    loop.serve(condition, 0.05)
    assert len(asked) == 4
    assert asked[-1] - asked[1] >= 0.09


def test_an_error_of_the_condition_comes_out_of_serve_and_the_loop_can_be_used_again(loop: ServerLoop) -> None:
    with pytest.raises(ZeroDivisionError):
        loop.serve(lambda: 1 / 0, 60)
    loop.serve(lambda: False, 60)


def test_interrupt_from_another_thread_ends_serve(loop: ServerLoop) -> None:
    thread = threading.Thread(target=loop.serve, args=(None, 60))
    thread.start()
    loop.interrupt()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_interrupt_before_serve_ends_that_one_but_not_the_next(loop: ServerLoop) -> None:
    loop.interrupt()
    loop.serve(lambda: pytest.fail("it ran"), 60)
    asked: list[int] = []
    loop.serve(lambda: bool(asked.append(1)), 60)
    assert asked == [1]


def test_interrupt_in_a_signal_handler_ends_serve(loop: ServerLoop) -> None:
    previous = signal.signal(signal.SIGUSR1, lambda *_: loop.interrupt())
    try:
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.serve(None, 60)
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_signal_handler_of_asyncio_works_while_serving(loop: ServerLoop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, loop.interrupt)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    loop.serve(None, 60)
    loop.remove_signal_handler(signal.SIGUSR1)


def test_an_idle_loop_is_not_readable_and_a_turn_returns_at_once(loop: ServerLoop) -> None:
    settle(loop)
    assert not is_readable(loop.fileno())
    loop.turn()


def test_what_another_thread_posts_makes_it_readable_and_the_next_turn_does_it(loop: ServerLoop) -> None:
    settle(loop)
    done: list[int] = []
    thread = threading.Thread(target=loop.post, args=(done.append, 1))
    thread.start()
    assert is_readable(loop.fileno(), PATIENCE)
    thread.join()
    loop.turn()
    assert done == [1]
    assert not is_readable(loop.fileno())


def test_what_is_asked_for_at_the_end_of_a_turn_is_done_once_when_all_has_been_read(loop: ServerLoop) -> None:
    done: list[str] = []
    pairs = [socket.socketpair() for _ in range(3)]

    def end() -> None:
        done.append("end")

    def read(left: socket.socket) -> None:
        done.append(left.recv(1).decode())
        loop.at_end_of_turn(end)

    for left, right in pairs:
        loop.add_reader(left, read, left)
        right.send(b"a")
    loop.turn()
    assert done == ["a", "a", "a", "end"]
    pairs[0][1].send(b"b")
    loop.turn()
    assert done[4:] == ["b", "end"]
    for left, right in pairs:
        loop.remove_reader(left)
        left.close()
        right.close()


def test_the_end_of_a_turn_is_now_for_those_who_are_not_on_the_loop(loop: ServerLoop) -> None:
    done: list[int] = []
    loop.at_end_of_turn(lambda: done.append(1))
    assert done == [1]


@pytest.mark.parametrize("new_loop", [ServerLoop, fastest_loop])
def test_a_loop_is_here_in_the_thread_that_runs_it_and_only_then(new_loop: Callable[[], LoopBase]) -> None:
    loop, here = new_loop(), dict[str, bool]()

    async def look() -> None:
        here["in it"] = loop.is_here()
        here["in another thread"] = await asyncio.to_thread(loop.is_here)
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()
        here["after that"] = loop.is_here()

    assert not loop.is_here()
    loop.complete(look())
    assert here == {"in it": True, "in another thread": False, "after that": True}
    assert not loop.is_here()
    loop.close()


def test_a_loop_that_drives_another_one_is_here_as_well(loop: ServerLoop) -> None:
    inner, here, done = ServerLoop(), list[bool](), list[str]()

    def within() -> None:
        here.extend((loop.is_here(), inner.is_here()))
        loop.post(done.append, "posted from within")

    loop.call_soon(inner.turn)
    inner.call_soon(within)
    loop.turn()
    inner.close()
    assert here == [True, True]
    assert done == ["posted from within"]


def test_a_turn_goes_on_until_nothing_is_ready(loop: ServerLoop, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    received: list[bytes] = []

    async def converse() -> None:
        for _ in range(3):
            received.append(await loop.sock_recv(left, 1))

    task = loop.spawn(converse())
    loop.turn()
    right.send(b"abc")
    assert is_readable(loop.fileno())
    loop.turn()
    assert received == [b"a", b"b", b"c"]
    assert task.done()


def test_a_turn_ends_although_the_work_does_not_and_asks_for_another(loop: ServerLoop) -> None:
    rounds: list[int] = []

    def again() -> None:
        rounds.append(1)
        loop.call_soon(again)

    loop.call_soon(again)
    started = time.monotonic()
    loop.turn()
    assert TURN_SECONDS <= time.monotonic() - started < TURN_SECONDS + PATIENCE
    assert is_readable(loop.fileno())
    before = len(rounds)
    loop.turn()
    assert len(rounds) > before


def test_a_turn_that_is_over_when_the_loop_was_woken_asks_for_another_all_the_same(
    loop: ServerLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyronym.server.loop.TURN_SECONDS", -1.0)
    done: list[str] = []
    loop.post(loop.call_soon, done.append, "what follows")
    loop.turn()
    assert done == []
    assert is_readable(loop.fileno())
    loop.turn()
    assert done == ["what follows"]


def test_timers_make_it_readable_when_they_are_due(loop: ServerLoop) -> None:
    fired: list[str] = []
    loop.call_later(0.05, fired.append, "early")
    loop.call_later(0.1, fired.append, "late")
    loop.turn()
    settle(loop)
    assert fired == []
    while len(fired) < 2:
        assert is_readable(loop.fileno(), PATIENCE)
        loop.turn()
    assert fired == ["early", "late"]


def test_an_earlier_timer_overtakes_a_later_one(loop: ServerLoop) -> None:
    fired: list[int] = []
    loop.call_later(3600, fired.append, 0)
    loop.turn()
    settle(loop)
    loop.call_later(0.05, fired.append, 1)
    loop.wake()
    settle(loop)
    assert is_readable(loop.fileno(), PATIENCE)
    settle(loop)
    assert fired == [1]


def test_pending_timers_cost_one_thread_at_most_and_closing_ends_it(loop: ServerLoop) -> None:
    before = set(threading.enumerate())
    for seconds in range(100, 150):
        loop.call_later(seconds, pytest.fail)
        loop.wake()
        settle(loop)
    alarms = set(threading.enumerate()) - before
    assert len(alarms) == 1
    loop.close()
    alarms.pop().join(PATIENCE)
    assert set(threading.enumerate()) <= before


def test_an_error_out_of_a_turn_leaves_the_loop_usable(loop: ServerLoop) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.turn()
    assert asyncio._get_running_loop() is None
    loop.turn()


def test_turns_and_coroutines_run_inside_a_task_of_another_loop(loop: ServerLoop) -> None:
    async def inner() -> tuple[object, object]:
        await asyncio.sleep(0)
        return asyncio.get_running_loop(), asyncio.current_task()

    async def outer() -> None:
        me = asyncio.current_task()
        running, task = loop.complete(inner())
        assert running is loop
        assert task is not me
        spawned = loop.spawn(inner())
        loop.turn()
        assert spawned.result() == (loop, spawned)
        assert asyncio.get_running_loop() is not loop
        assert asyncio.current_task() is me
        await asyncio.sleep(0)

    asyncio.run(outer())


def test_an_asyncio_loop_can_watch_it(loop: ServerLoop) -> None:
    async def outer() -> None:
        done = asyncio.Event()
        watchers = Watchers()
        watchers.add(asyncio.get_running_loop(), loop.fileno(), loop.turn)
        threading.Thread(target=loop.post, args=(done.set,)).start()
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        watchers.remove_all()
        assert not asyncio.get_running_loop().remove_reader(loop.fileno())

    asyncio.run(outer())


def test_loops_can_watch_each_other_in_a_chain(loop: ServerLoop) -> None:
    middle, innermost = ServerLoop(), ServerLoop()
    try:
        loop.add_reader(middle.fileno(), middle.turn)
        middle.add_reader(innermost.fileno(), innermost.turn)
        innermost.post(loop.interrupt)
        loop.serve(None, 60)
    finally:
        innermost.close()
        middle.close()


def test_a_watching_loop_of_another_thread_lets_go_before_remove_all_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = asyncio.new_event_loop()
    thread = threading.Thread(target=watching.run_forever)
    reading, writing = os.pipe()
    watchers = Watchers()
    watchers.add(watching, reading, lambda: None)
    removers: list[object] = []
    remove_reader = watching.remove_reader

    def remove(descriptor: int) -> bool:
        removers.append(threading.current_thread())
        return remove_reader(descriptor)

    monkeypatch.setattr(watching, "remove_reader", remove)
    thread.start()
    watchers.remove_all()
    assert removers == [thread]  # loops are not safe to be changed by other threads
    os.close(reading)
    os.close(writing)
    assert not watching.remove_reader(reading)
    watching.call_soon_threadsafe(watching.stop)
    thread.join(PATIENCE)
    watching.close()


def test_a_watching_loop_that_is_stopped_or_closed_is_no_obstacle() -> None:
    reading, writing = os.pipe()
    stopped, closed = asyncio.new_event_loop(), asyncio.new_event_loop()
    watchers = Watchers()
    for watching in (stopped, closed):
        watchers.add(watching, reading, lambda: None)
    closed.close()
    started = time.monotonic()
    watchers.remove_all()
    assert time.monotonic() - started < LET_GO_SECONDS
    assert not stopped.remove_reader(reading)
    stopped.close()
    os.close(reading)
    os.close(writing)


def test_a_closed_loop_has_no_descriptor_and_takes_posts_without_a_word() -> None:
    loop = ServerLoop()
    loop.close()
    loop.close()
    assert loop.fileno() == -1
    loop.post(pytest.fail)
    loop.wake()
    loop.interrupt()


def test_a_spawned_task_survives_the_garbage_collector(loop: ServerLoop) -> None:
    import gc

    finished: list[int] = []

    async def wait_for_something_that_only_this_holds() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            finished.append(1)

    loop.spawn(wait_for_something_that_only_this_holds())
    loop.turn()
    gc.collect()
    assert finished == []
    assert len(asyncio.all_tasks(loop)) == 1
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.turn()
    assert finished == [1]
