import logging

import pytest
from generated import put

from pyronym.errors import StorageError
from pyronym.service.nameservice import NameService
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.health import Health, Trouble


@pytest.fixture
def clock():
    return iter([100.0, 130.0, 200.0]).__next__


def test_a_storage_is_well_until_a_commit_fails_and_again_when_one_succeeds(clock):
    health = Health("sql:names", clock)
    assert health.trouble is None
    health.note(None)
    assert health.trouble is None
    health.note(StorageError("the disk is full"))
    assert health.trouble == Trouble("the disk is full", since=100.0)
    health.note(StorageError("it was deleted"))
    assert health.trouble == Trouble("it was deleted", since=100.0)
    health.note(None)
    assert health.trouble is None


def test_the_log_tells_of_the_beginning_and_of_the_end_once(clock, caplog):
    health = Health("sql:names", clock)
    with caplog.at_level(logging.INFO):
        for error in (None, StorageError("the disk is full"), StorageError("it was deleted"), None, None):
            health.note(error)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "no change can be stored until this is over, lookups go on: the disk is full"),
        ("WARNING", "sql:names works again after 30 seconds"),
    ]


def test_a_change_that_is_refused_says_nothing_about_the_storage(clock):
    health = Health("sql:names", clock)
    health.note(ChangeRefusedError("not a text"))
    assert health.trouble is None
    health.note(StorageError("the disk is full"))
    health.note(ChangeRefusedError("not a text"))
    assert health.trouble == Trouble("the disk is full", since=100.0)


@pytest.mark.parametrize("immediate", [False, True])
def test_a_name_service_knows_what_is_wrong_with_its_storage(immediate):
    class Failing:
        description = "somewhere"
        problem = None

        def __init__(self):
            self.immediate = immediate

        def load(self):
            return []

        def commit(self, changes):
            if self.problem:
                raise self.problem

        def close(self):
            pass

    storage = Failing()
    service = NameService(storage)

    def register():
        commit = service.register("a", put("a").record.uri, frozenset())
        if commit is not None:
            commit.result(20)

    register()
    assert service.trouble is None
    storage.problem = StorageError("the disk is full")
    with pytest.raises(StorageError):
        register()
    assert service.trouble.reason == "the disk is full"
    storage.problem = None
    register()
    assert service.trouble is None
    service.close()
