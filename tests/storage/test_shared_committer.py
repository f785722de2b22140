"""When a group of changes goes to a storage that several nodes share; with a storage that only takes note of it."""

import threading
from dataclasses import dataclass, field

from generated import put

from pyronym.errors import StorageError
from pyronym.storage.health import CommitTimes
from pyronym.storage.shared import Basis, Condition, Outcomes
from pyronym.storage.shared_committer import SharedCommitter

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
        yield Outcomes([None] * len(items), 0.0)

    def close(self):
        pass


def test_those_whose_changes_are_made_hear_of_it_while_others_still_wait():
    first_told, outcomes = threading.Event(), []

    class OneByOne(Storage):
        def transact(self, items):
            for number, _ in enumerate(items, 1):
                yield Outcomes([None], float(number))
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
    assert committer.health.times == CommitTimes(commits=2, total=3.0, longest=2.0, changes=2)  # each its own


def test_neighbours_hear_of_it_together_if_the_same_has_come_of_them():
    lost = StorageError("lost")

    class Losing(Storage):
        def transact(self, items):
            yield Outcomes([None, None, lost, None], 0.0)
            yield Outcomes([None] * (len(items) - 4), 0.0)

    outcomes, held = [], []
    committer = SharedCommitter(Losing(), lambda items, error: outcomes.append(("".join(i.name for i in items), error)))
    committer.gather = held.append
    for name in "abcdef":
        committer.submit(Item(name))
    held[0]()
    committer.close()
    assert outcomes == [("ab", None), ("c", lost), ("d", None), ("ef", None)]
