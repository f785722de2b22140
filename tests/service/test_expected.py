"""Changes that are made only to the record that their caller has seen: compare and set."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyronym.errors import RecordChangedError
from pyronym.service.nameservice import NameService
from pyronym.service.pipeline import waited_for
from pyronym.settings import Settings
from pyronym.storage.choose import storage_by_name

NO_TAGS = frozenset()
OLD, NEW = "PYRO:old@h:1", "PYRO:new@h:1"


@pytest.fixture(params=["memory", "sql"])
def service(request, tmp_path):
    where = "memory" if request.param == "memory" else f"sql:{tmp_path / 'names.sqlite'}"
    service = NameService(storage_by_name(where, Settings()))
    yield service
    service.close()


def register(service, name="a", uri=OLD, **more):
    waited_for(service.register(name, uri, NO_TAGS, **more))
    return service.get(name)


CHANGES = {
    "register": lambda service, expected: service.register("a", NEW, NO_TAGS, expected=expected),
    "set_metadata": lambda service, expected: service.set_metadata("a", frozenset("x"), expected=expected),
    "remove": lambda service, expected: service.remove(["a"], expected=expected),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_record_that_was_seen_is_changed(service, change):
    seen = register(service)
    waited_for(CHANGES[change](service, seen))
    assert service.get("a") != seen


@pytest.mark.parametrize("change", CHANGES)
def test_another_record_stays_even_if_it_looks_the_same(service, change):
    seen = register(service)
    other = register(service)
    with pytest.raises(RecordChangedError, match="'a' has changed meanwhile"):
        CHANGES[change](service, seen)
    assert service.get("a") is other


@pytest.mark.parametrize("change", ["register", "remove"])
def test_a_record_that_is_gone_does_not_come_back(service, change):
    seen = register(service)
    waited_for(service.remove(["a"]))
    with pytest.raises(RecordChangedError):
        CHANGES[change](service, seen)
    assert "a" not in service


def test_what_is_on_its_way_counts(tmp_path):
    with NoCommits(tmp_path) as service:
        seen = service.get("a")
        first = service.register("a", NEW, NO_TAGS, expected=seen)
        with pytest.raises(RecordChangedError):
            service.register("a", "PYRO:third@h:1", NO_TAGS, expected=seen)
        service.go_on.set()
        waited_for(first)
        assert service.get("a").uri == NEW


class NoCommits:
    """A service whose storage waits before it commits."""

    def __init__(self, folder):
        storage = storage_by_name(f"sql:{folder / 'names.sqlite'}", Settings())
        self._service = NameService(storage)
        register(self._service)
        self._commit, storage.commit = storage.commit, self._wait
        self._service.go_on = threading.Event()

    def _wait(self, changes):
        assert self._service.go_on.wait(20)
        self._commit(changes)

    def __enter__(self):
        return self._service

    def __exit__(self, *_):
        self._service.go_on.set()
        self._service.close()


def test_of_many_who_have_seen_the_same_one_wins(service):
    seen = register(service)
    barrier = threading.Barrier(8)

    def attempt(number):
        barrier.wait()
        try:
            waited_for(service.register("a", f"PYRO:o{number}@h:1", NO_TAGS, expected=seen))
        except RecordChangedError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(attempt, range(8)) if number is not None]
    assert service.get("a").uri == f"PYRO:o{winner}@h:1"
