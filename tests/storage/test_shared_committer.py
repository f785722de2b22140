"""When changes go to a storage that several nodes share, and who hears of it; with storages that keep nothing."""

import queue
import threading
from dataclasses import dataclass, field

import pytest
from generated import put

from pyronym.errors import StorageError
from pyronym.storage.shared import Basis, Condition
from pyronym.storage.shared_committer import SharedCommitter

TIMEOUT = 30
LOST = StorageError("lost")


@dataclass(eq=False)
class Item:
    name: str
    basis: Basis = Basis(Condition.NONE, 5)  # noqa: RUF009 (nothing can change it)
    submitted: float = 0.0
    changes: list = field(default_factory=list)

    def __post_init__(self):
        self.changes = [put(self.name)]


class Storage:
    """Makes one item at a time."""

    description = "fake:storage"

    def portion(self, items):
        return 1

    def transact(self, items):
        return [None] * len(items)

    def close(self):
        pass


class Owner:
    """Submits items to a committer and is told what has come of them."""

    def __init__(self, storage):
        self.outcomes = []
        self.held = []
        self.committer = SharedCommitter(storage, self._done)
        self.committer.gather = self.held.append
        self._told = threading.Semaphore(0)

    def _done(self, items, error):
        self.outcomes.append(("".join(item.name for item in items), error))
        self._told.release(len(items))

    def submit(self, names):
        for name in names:
            self.committer.submit(Item(name))

    def hear(self, count):
        """Have those who are gathered make their changes; wait until so many have been told."""
        self.held.pop()()
        self.wait(count)

    def wait(self, count):
        for _ in range(count):
            assert self._told.acquire(timeout=TIMEOUT)


def outcomes_of(storage, names):
    """What the owner of a committer is told when items of these names are submitted together; and its health."""
    owner = Owner(storage)
    owner.submit(names)
    owner.hear(len(names))
    owner.committer.close()
    return owner.outcomes, owner.committer.health


def test_items_without_a_name_in_common_are_made_at_the_same_time():
    begun = threading.Barrier(SharedCommitter._THREADS)

    class Meeting(Storage):
        def transact(self, items):
            begun.wait(TIMEOUT)
            return [None]

    outcomes, health = outcomes_of(Meeting(), "abcdef")
    assert sorted(outcomes) == [(name, None) for name in "abcdef"]
    assert health.times.commits == health.times.changes == 6


def test_items_with_a_name_in_common_are_made_in_the_order_of_their_submission():
    looked, made = queue.SimpleQueue(), []

    class Looking(Storage):
        def portion(self, items):
            looked.put("".join(item.name for item in items))
            return 1

        def transact(self, items):
            if not made:
                made.append("a")
                waiting = [looked.get(timeout=TIMEOUT) for _ in range(4)]  # those who make `b` look again after it
                assert waiting == ["aba", "ba", "a", "a"]
            else:
                made.append(items[0].name)
            return [None]

    outcomes, _ = outcomes_of(Looking(), "aba")
    assert made == ["a", "b", "a"]
    assert outcomes == [("b", None), ("a", None), ("a", None)]


def test_few_items_wait_until_what_is_under_way_is_made():
    looked, looks = queue.SimpleQueue(), []

    class Looking(Storage):
        def portion(self, items):
            looks.append("".join(item.name for item in items))
            looked.put(looks[-1])
            return min(len(items), 3)

        def transact(self, items):
            if len(items) == 3:
                owner.submit("d")
                owner.held.pop()()
                assert [looked.get(timeout=TIMEOUT) for _ in range(2)] == ["abc", "d"]
            return [None] * len(items)

    owner = Owner(Looking())
    owner.submit("abc")
    owner.hear(4)
    owner.committer.close()
    assert looks == ["abc", "d", "d"]  # those who make the first three look again after them
    assert owner.outcomes == [("abc", None), ("d", None)]


def test_those_whose_changes_are_made_hear_of_it_while_earlier_ones_are_not():
    told = threading.Event()

    class Waiting(Storage):
        def transact(self, items):
            assert items[0].name == "b" or told.wait(TIMEOUT)
            return [None]

    owner = Owner(Waiting())
    owner.submit("ab")
    owner.hear(1)
    assert owner.outcomes == [("b", None)]
    told.set()
    owner.committer.close()
    assert owner.outcomes == [("b", None), ("a", None)]


def test_items_that_are_still_being_gathered_wait_for_those_that_come_with_them():
    looks = []

    class Looking(Storage):
        def portion(self, items):
            looks.append("".join(item.name for item in items))
            return 1

        def transact(self, items):
            if not owner.outcomes:
                owner.submit("b")
            return [None]

    owner = Owner(Looking())
    owner.submit("aa")  # the second one is looked at again after the first one has submitted another
    owner.hear(2)
    assert set(looks) == {"aa", "a"}
    owner.submit("c")
    owner.hear(2)
    owner.committer.close()
    assert "bc" in looks


def test_what_waits_is_made_before_the_storage_is_closed():
    class Closing(Storage):
        def close(self):
            owner.outcomes.append("closed")

    owner = Owner(Closing())
    owner.submit("abca")
    owner.committer.close()
    assert sorted(owner.outcomes[:-1]) == [("a", None), ("a", None), ("b", None), ("c", None)]
    assert owner.outcomes[-1] == "closed"


def test_neighbours_hear_of_it_together_if_the_same_has_come_of_them():
    class Losing(Storage):
        def portion(self, items):
            return len(items)

        def transact(self, items):
            return [LOST if item.name == "c" else None for item in items]

    outcomes, _ = outcomes_of(Losing(), "abcde")
    assert outcomes == [("ab", None), ("c", LOST), ("de", None)]


def test_a_transaction_that_fails_in_an_unexpected_way_takes_no_other_with_it():
    class Failing(Storage):
        def transact(self, items):
            if items[0].name == "b":
                raise RuntimeError("a bug")
            return [None]

    outcomes, health = outcomes_of(Failing(), "abc")
    outcomes = dict(outcomes)
    assert outcomes["a"] is outcomes["c"] is None
    assert "it is unknown whether it was changed (RuntimeError('a bug')); see the log" in str(outcomes["b"])
    assert health.times.commits == 3


def test_a_storage_that_cannot_say_how_much_it_makes_is_given_one_item_at_a_time(caplog):
    class Confused(Storage):
        def portion(self, items):
            raise RuntimeError("a bug of portions")

    owner = Owner(Confused())
    for _ in range(2):
        owner.submit("aba")
        owner.hear(3)
    owner.committer.close()
    assert sorted(owner.outcomes) == [("a", None)] * 4 + [("b", None)] * 2
    assert "a bug of portions" in caplog.text


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("error", [None, LOST])
def test_a_transaction_that_tells_too_few_outcomes_or_too_many_has_failed(count, error, caplog):
    class Miscounting(Storage):
        def portion(self, items):
            return min(len(items), 2)

        def transact(self, items):
            return [error] * count if not owner.outcomes else [None] * len(items)

    owner = Owner(Miscounting())
    owner.submit("ab")
    owner.hear(2)
    ((names, told),) = owner.outcomes
    assert names == "ab"
    assert "it is unknown whether it was changed" in str(told)
    for names in ("ab", "c"):  # the same names, and another one
        owner.submit(names)
        owner.hear(len(names))
    owner.committer.close()
    assert owner.outcomes[1:] == [("ab", None), ("c", None)]
    assert "fake:storage failed in an unexpected way" in caplog.text


def test_a_failure_that_is_told_after_what_began_later_has_succeeded_is_no_trouble():
    begun, may_fail = threading.Event(), threading.Event()

    class Overtaken(Storage):
        def transact(self, items):
            if items[0].name == "fast":
                return [None]
            begun.set()
            assert may_fail.wait(TIMEOUT)
            return [LOST]

    owner = Owner(Overtaken())
    owner.submit(["slow"])
    owner.held.pop()()
    assert begun.wait(TIMEOUT)
    owner.submit(["fast"])
    owner.hear(1)
    may_fail.set()
    owner.wait(1)
    health = owner.committer.health
    assert owner.outcomes == [("fast", None), ("slow", LOST)]
    assert health.trouble is None
    owner.submit(["slow"])  # this one has begun after the success
    owner.hear(1)
    assert health.trouble.reason == "lost"
    owner.committer.close()
