import logging
import queue
import threading
from dataclasses import dataclass, field

import pytest
from generated import put

from pyronym.errors import StorageError
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.committer import Committer

TIMEOUT = 30


@dataclass(eq=False)
class Item:
    name: str
    changes: list = field(default_factory=list)

    def __post_init__(self):
        self.changes = self.changes or [put(self.name)]

    def __repr__(self):
        return self.name


class BlockingStorage:
    """Commits only when the test lets it; says when it has begun."""

    description = "fake:storage"

    immediate = False

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.commits = []
        self.threads = set()
        self.errors = {}
        self.closed = 0
        self.closed_on = None

    def commit(self, changes):
        names = [change.name for change in changes]
        self.threads.add(threading.current_thread())
        self.begun.release()
        assert self.may_go_on.acquire(timeout=TIMEOUT)
        self.commits.append(names)
        for name in names:
            if name in self.errors:
                raise self.errors[name]

    def let(self, commits):
        for _ in range(commits):
            self.may_go_on.release()

    def wait_until_begun(self):
        assert self.begun.acquire(timeout=TIMEOUT)

    def close(self):
        self.closed += 1


class Owner:
    """Writes down what the committer tells."""

    def __init__(self):
        self.told = []
        self.some = threading.Semaphore(0)

    def done(self, items, error):
        self.told.append(([item.name for item in items], error))
        self.some.release()

    def wait(self, times=1):
        for _ in range(times):
            assert self.some.acquire(timeout=TIMEOUT)


@pytest.fixture
def storage():
    return BlockingStorage()


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def committer(storage, owner):
    committer = Committer(storage, owner.done)
    yield committer
    storage.let(1000)
    committer.close()


def test_what_arrives_during_a_commit_goes_into_the_next_one_together(committer, storage, owner):
    committer.submit(Item("a"))
    storage.wait_until_begun()
    for name in "bcd":
        committer.submit(Item(name))
    storage.let(2)
    owner.wait(2)
    assert storage.commits == [["a"], ["b", "c", "d"]]
    assert owner.told == [(["a"], None), (["b", "c", "d"], None)]


class Turn:
    """What an event loop has been asked to do at the end of its turn."""

    def __init__(self):
        self.functions = []

    def ask(self, function):
        if function not in self.functions:
            self.functions.append(function)

    def end(self):
        while self.functions:
            self.functions.pop()()


def test_what_is_submitted_in_one_turn_of_a_loop_is_committed_together(committer, storage, owner):
    turn = Turn()
    committer.gather = turn.ask
    storage.let(1000)
    for names in ("abc", "d", "ef"):
        for name in names:
            committer.submit(Item(name))
        assert len(turn.functions) == 1
        turn.end()
        owner.wait()
    assert storage.commits == [["a", "b", "c"], ["d"], ["e", "f"]]


def test_others_do_not_wait_for_a_loop_that_has_not_ended_its_turn(committer, storage, owner):
    turn = Turn()
    committer.gather = turn.ask
    storage.let(1000)
    committer.submit(Item("a"))
    committer.gather = lambda function: function()  # as from another thread
    committer.submit(Item("b"))
    owner.wait()
    assert storage.commits == [["a", "b"]]
    turn.end()
    committer.submit(Item("c"))
    owner.wait()
    assert storage.commits == [["a", "b"], ["c"]]


def test_who_is_in_a_hurry_does_not_wait_for_the_end_of_a_turn(committer, storage, owner):
    turn = Turn()
    committer.gather = turn.ask
    storage.let(1000)
    for name in "ab":
        committer.submit(Item(name))
    committer.hurry()
    owner.wait()
    assert owner.told == [(["a", "b"], None)]
    turn.end()
    committer.submit(Item("c"))
    committer.hurry()
    owner.wait()
    assert owner.told[1:] == [(["c"], None)]


def test_a_hurry_before_there_is_anything_does_not_keep_back_what_comes(committer, storage, owner):
    committer.hurry()
    storage.let(1000)
    committer.submit(Item("a"))
    owner.wait()
    assert owner.told == [(["a"], None)]


def test_closing_finishes_what_waits_for_the_end_of_a_turn_that_never_comes(committer, storage, owner):
    committer.gather = Turn().ask
    storage.let(1000)
    committer.submit(Item("a"))
    committer.close()
    assert owner.told == [(["a"], None)]


def test_closing_finishes_what_a_loop_is_only_about_to_tell_of(committer, storage, owner):
    turn = Turn()
    loop = threading.Thread(target=turn.end)
    about_to, may_go_on = threading.Event(), threading.Event()

    class Held(queue.SimpleQueue):
        def put(self, item):
            if threading.current_thread() is loop:
                about_to.set()
                assert may_go_on.wait(TIMEOUT)
            super().put(item)

    committer._wake = Held()
    committer.gather = turn.ask
    storage.let(1000)
    committer.submit(Item("a"))
    loop.start()
    assert about_to.wait(TIMEOUT)
    committer.close()
    may_go_on.set()
    loop.join(TIMEOUT)
    assert owner.told == [(["a"], None)]
    assert storage.closed == 1


def test_nothing_is_told_before_it_is_durable(committer, storage, owner):
    committer.submit(Item("a"))
    storage.wait_until_begun()
    assert owner.told == []
    storage.let(1)
    owner.wait()
    assert owner.told == [(["a"], None)]


def test_the_changes_of_items_are_committed_in_order(committer, storage, owner):
    committer.submit(Item("a"))
    storage.wait_until_begun()
    committer.submit(Item("b", [put("b1"), put("b2")]))
    committer.submit(Item("c", [put("b1")]))
    storage.let(2)
    owner.wait(2)
    assert storage.commits[1] == ["b1", "b2", "b1"]


def test_items_from_many_threads_are_each_told_once_in_the_order_of_each_thread(committer, storage, owner):
    storage.let(1000)

    def work(number):
        for i in range(50):
            committer.submit(Item(f"{number}.{i:02}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    committer.close()
    told = [name for names, error in owner.told for name in names]
    assert len(told) == 200
    for number in range(4):
        mine = [name for name in told if name.startswith(f"{number}.")]
        assert mine == sorted(set(mine))
        assert len(mine) == 50
    assert [name for names in storage.commits for name in names] == told


def test_one_thread_writes_and_only_when_there_is_something(storage, owner):
    before = threading.active_count()
    committer = Committer(storage, owner.done)
    assert threading.active_count() == before
    storage.let(3)
    for name in "abc":
        committer.submit(Item(name))
        owner.wait()
    assert len(storage.threads) == 1
    (thread,) = storage.threads
    assert thread is not threading.current_thread()
    assert thread.daemon
    committer.close()
    assert not thread.is_alive()


def test_an_immediate_storage_is_written_on_the_callers_thread(owner, caplog):
    storage = BlockingStorage()
    storage.let(3)
    committer = Committer(storage, owner.done)
    committer.commit_now([put("a")])
    storage.errors["b"] = StorageError("full")
    with pytest.raises(StorageError, match="full"):
        committer.commit_now([put("b")])
    storage.errors["c"] = ZeroDivisionError("oops")
    with pytest.raises(StorageError, match=r"fake:storage.*ZeroDivisionError"):
        committer.commit_now([put("c")])
    assert "Traceback" in caplog.text
    assert storage.commits == [["a"], ["b"], ["c"]]
    assert storage.threads == {threading.current_thread()}
    assert owner.told == []
    committer.close()


def test_a_failure_of_the_storage_is_told_to_the_whole_batch_without_trying_again(committer, storage, owner):
    error = storage.errors["c"] = StorageError("the disk is full")
    committer.submit(Item("a"))
    storage.wait_until_begun()
    for name in "bcd":
        committer.submit(Item(name))
    storage.let(2)
    owner.wait(2)
    assert storage.commits == [["a"], ["b", "c", "d"]]
    assert owner.told == [(["a"], None), (["b", "c", "d"], error)]


def test_a_change_that_cannot_be_stored_does_not_fail_its_neighbours(committer, storage, owner):
    error = storage.errors["c"] = ChangeRefusedError("half a surrogate pair")
    committer.submit(Item("a"))
    storage.wait_until_begun()
    for name in "bcd":
        committer.submit(Item(name))
    storage.let(5)
    owner.wait(4)
    assert storage.commits == [["a"], ["b", "c", "d"], ["b"], ["c"], ["d"]]
    assert owner.told == [(["a"], None), (["b"], None), (["c"], error), (["d"], None)]


def test_a_single_refused_item_is_not_tried_again(committer, storage, owner):
    error = storage.errors["a"] = ChangeRefusedError("half a surrogate pair")
    committer.submit(Item("a"))
    storage.let(1)
    owner.wait()
    assert storage.commits == [["a"]]
    assert owner.told == [(["a"], error)]


def test_an_owner_may_empty_a_later_item_of_a_batch_when_it_hears_of_an_earlier_one(storage):
    """What builds on a change that failed must not be stored."""
    first, second = Item("bad", [put("bad")]), Item("builds on it")
    told = threading.Semaphore(0)

    def done(items, error):
        if error is not None:
            second.changes = []
        told.release()

    storage.errors["bad"] = ChangeRefusedError("no")
    committer = Committer(storage, done)
    committer.submit(Item("a"))
    storage.wait_until_begun()
    committer.submit(first)
    committer.submit(second)
    storage.let(10)
    committer.close()
    assert ["builds on it"] not in storage.commits


def test_an_unexpected_error_of_the_storage_becomes_a_storage_error_and_work_goes_on(committer, storage, owner, caplog):
    storage.errors["a"] = ZeroDivisionError("oops")
    storage.let(2)
    committer.submit(Item("a"))
    owner.wait()
    committer.submit(Item("b"))
    owner.wait()
    (names, error), second = owner.told
    assert names == ["a"]
    assert type(error) is StorageError
    assert "fake:storage" in str(error)
    assert "ZeroDivisionError('oops')" in str(error)
    assert second == (["b"], None)
    assert "Traceback" in caplog.text


def test_an_owner_that_fails_does_not_stop_the_work(storage, caplog):
    told = threading.Semaphore(0)

    def done(items, error):
        told.release()
        raise RuntimeError("bug")

    committer = Committer(storage, done)
    storage.let(2)
    with caplog.at_level(logging.ERROR):
        for name in "ab":
            committer.submit(Item(name))
            assert told.acquire(timeout=TIMEOUT)
        committer.close()
    assert storage.commits == [["a"], ["b"]]
    assert "failed to take note of a commit" in caplog.text


def test_close_finishes_what_waits_then_closes_the_storage(storage, owner):
    committer = Committer(storage, owner.done)
    committer.submit(Item("a"))
    storage.wait_until_begun()
    committer.submit(Item("b"))
    closing = threading.Thread(target=committer.close)
    closing.start()
    assert storage.closed == 0
    storage.let(2)
    closing.join(TIMEOUT)
    assert not closing.is_alive()
    assert owner.told == [(["a"], None), (["b"], None)]
    assert storage.closed == 1


def test_close_under_load_tells_every_accepted_item_and_refuses_the_others(storage, owner):
    committer = Committer(storage, owner.done)
    storage.let(100_000)
    accepted, running = [], threading.Event()

    def work():
        i = 0
        while True:
            i += 1
            try:
                committer.submit(Item(str(i)))
            except StorageError:
                return
            accepted.append(str(i))
            running.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(TIMEOUT)
    committer.close()
    thread.join(TIMEOUT)
    assert [name for names, _ in owner.told for name in names] == accepted


def test_changes_after_close_are_refused(storage, owner):
    committer = Committer(storage, owner.done)
    committer.close()
    committer.close()
    with pytest.raises(StorageError, match="fake:storage: the storage is closed"):
        committer.submit(Item("a"))
    with pytest.raises(StorageError, match="fake:storage: the storage is closed"):
        committer.commit_now([put("a")])
    assert owner.told == []


def test_what_closing_the_storage_raises_is_raised(storage, owner):
    def fail():
        raise StorageError("cannot write names")

    storage.close = fail
    with pytest.raises(StorageError, match="cannot write names"):
        Committer(storage, owner.done).close()
