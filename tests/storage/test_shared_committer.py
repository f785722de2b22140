"""When a group of changes goes to a storage that several nodes share; with a storage that only takes note of it."""

import threading
from dataclasses import dataclass, field

import pytest
from generated import put

from pyronym.storage.shared import Basis, Condition
from pyronym.storage.shared_committer import MANY, MOST_SECONDS, SharedCommitter

TIMEOUT = 30


@dataclass(eq=False)
class Item:
    name: str
    basis: Basis = Basis(Condition.NONE, 5)  # noqa: RUF009 (nothing can change it)
    submitted: float = 0.0
    changes: list = field(default_factory=list)

    def __post_init__(self):
        self.changes = [put(self.name)]


class Storage:
    description = "fake:storage"

    def __init__(self):
        self.groups = []

    def transact(self, items):
        self.groups.append([item.name for item in items])
        yield [None] * len(items)

    def close(self):
        pass


@pytest.mark.parametrize(
    ("count", "groups"),
    [(MANY, [MANY, 2]), (MANY - 1, [MANY - 1, 1])],
)
def test_those_who_come_again_soon_after_a_large_group_go_together(count, groups):
    storage, ended, pauses = Storage(), threading.Event(), []

    def done(items, error):
        if len(items) == count:
            committer.submit(Item("soon"))
        else:
            ended.set()

    def pause(seconds):
        pauses.append(seconds)
        committer.submit(Item("a little later"))

    committer = SharedCommitter(storage, done, pause)
    held = []
    committer.gather = held.append
    for number in range(count):
        committer.submit(Item(f"n{number}"))
    committer.gather = lambda function: function()
    held[0]()
    assert ended.wait(TIMEOUT)
    committer.close()
    assert [len(group) for group in storage.groups] == groups
    assert all(0 <= seconds <= MOST_SECONDS for seconds in pauses)


def test_those_whose_changes_are_made_hear_of_it_while_others_still_wait():
    first_told, outcomes = threading.Event(), []

    class OneByOne(Storage):
        def transact(self, items):
            for _ in items:
                yield [None]
                assert first_told.wait(TIMEOUT)

    def done(items, error):
        outcomes.append(([item.name for item in items], error))
        first_told.set()

    committer = SharedCommitter(OneByOne(), done)
    held = []
    committer.gather = held.append
    for name in "ab":
        committer.submit(Item(name))
    held[0]()
    committer.close()
    assert outcomes == [(["a"], None), (["b"], None)]
    assert committer.health.times.commits == 2
