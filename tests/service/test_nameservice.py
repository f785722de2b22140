"""The name server itself: staged changes, storages that fail, storages that are slow."""

import gc
import queue
import threading
import weakref

import pytest

from pyronym.directory.record import Record
from pyronym.errors import NameTakenError, StorageError, UnknownNameError
from pyronym.service.alarm import Alarm
from pyronym.service.nameservice import NameService
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.uri import NAMESERVER_NAME

NO_TAGS = frozenset()
WAIT = 10.0


class GatedStorage:
    """A storage whose commits wait at a gate, and fail while it is told to."""

    immediate = False
    description = "gated:"

    def __init__(self, records=()):
        self.records = list(records)
        self.gate = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)
        self.failing = False
        self.commits = []
        self.closed = False

    def load(self):
        return self.records

    def commit(self, changes):
        self.arrived.release()
        assert self.gate.acquire(timeout=WAIT)
        if self.failing:
            raise StorageError("cannot write to gated: the disk is full; make room on it")
        self.commits.append(list(changes))

    def close(self):
        self.closed = True

    def open_for(self, commits):
        for _ in range(commits):
            self.gate.release()


@pytest.fixture
def storage():
    return GatedStorage()


@pytest.fixture
def service(storage):
    service = NameService(storage)
    yield service
    storage.open_for(100)
    service.close()
    assert storage.closed


def uri(number):
    return f"PYRO:object{number}@localhost:{number}"


def test_a_change_is_seen_only_when_it_is_durable(service, storage):
    outcome = service.register("a", uri(1), NO_TAGS)
    assert storage.arrived.acquire(timeout=WAIT)
    assert service.get("a") is None
    assert not outcome.done()
    storage.open_for(1)
    assert outcome.result(WAIT) is None
    assert service.get("a") == Record("a", uri(1), NO_TAGS)


def test_changes_that_arrive_during_a_commit_share_the_next_one(service, storage):
    first = service.register("a", uri(1), NO_TAGS)
    assert storage.arrived.acquire(timeout=WAIT)
    others = [service.register(f"b{number}", uri(number), NO_TAGS) for number in range(20)]
    storage.open_for(2)
    for outcome in [first, *others]:
        outcome.result(WAIT)
    assert [len(commit) for commit in storage.commits] == [1, 20]


def test_a_safe_registration_sees_one_that_is_on_its_way(service, storage):
    outcome = service.register("a", uri(1), NO_TAGS, safe=True)
    with pytest.raises(NameTakenError):
        service.register("a", uri(2), NO_TAGS, safe=True)
    storage.open_for(1)
    outcome.result(WAIT)
    assert service.get("a").uri == uri(1)


def test_after_a_failed_commit_nothing_has_changed(service, storage):
    storage.failing = True
    outcome = service.register("a", uri(1), NO_TAGS)
    storage.open_for(2)
    with pytest.raises(StorageError, match="disk is full"):
        outcome.result(WAIT)
    assert service.get("a") is None
    assert "a" not in service
    storage.failing = False
    again = service.register("a", uri(2), NO_TAGS, safe=True)
    storage.open_for(2)
    again.result(WAIT)
    assert service.get("a").uri == uri(2)


def test_tags_of_a_registration_that_fails_do_not_bring_it_to_life(service, storage):
    storage.failing = True
    registration = service.register("a", uri(1), NO_TAGS)
    assert storage.arrived.acquire(timeout=WAIT)
    tags = service.set_metadata("a", frozenset({"x"}))
    storage.open_for(1)
    with pytest.raises(StorageError):
        registration.result(WAIT)
    storage.failing = False
    storage.open_for(3)
    with pytest.raises(StorageError):
        tags.result(WAIT)
    assert service.get("a") is None
    assert not any(storage.commits)


def test_a_safe_registration_does_not_outlive_the_removal_that_it_builds_on(storage):
    storage.records = [Record("a", uri(1), NO_TAGS)]
    service = NameService(storage)
    removal = service.remove(["a"])
    assert storage.arrived.acquire(timeout=WAIT)
    registration = service.register("a", uri(2), NO_TAGS, safe=True)
    storage.failing = True
    storage.open_for(1)
    with pytest.raises(StorageError, match="disk is full"):
        removal.result(WAIT)
    storage.failing = False
    storage.open_for(100)
    with pytest.raises(StorageError, match="disk is full"):
        registration.result(WAIT)
    assert service.get("a").uri == uri(1), "it is still there, so nobody has won the name"
    service.close()


def test_an_outcome_is_told_after_the_change_is_visible(service, storage):
    seen = []
    outcome = service.register("a", uri(1), NO_TAGS)
    outcome.add_done_callback(lambda _: seen.append(service.get("a")))
    storage.open_for(1)
    outcome.result(WAIT)
    service.close()
    assert seen == [Record("a", uri(1), NO_TAGS)]


def test_removal_counts_what_is_there_and_leaves_the_name_server(storage):
    storage.records = [Record(name, uri(1), NO_TAGS) for name in ("app_1", "app_2", "APP_3", "appx", NAMESERVER_NAME)]
    service = NameService(storage)
    storage.open_for(100)
    assert service.remove(["app_1", "app_1", "gone", NAMESERVER_NAME]).result(WAIT) == 1
    assert service.remove_prefix("app_").result(WAIT) == 1
    assert service.remove_matching("a") == 1
    assert service.remove_matching(".*") == 1
    assert [record.name for record in service.everything()] == [NAMESERVER_NAME]
    assert service.remove(["gone"]) == 0
    service.close()


def test_an_adopted_name_server_cannot_be_replaced(service, storage):
    storage.open_for(10)
    service.register(NAMESERVER_NAME, uri(1), NO_TAGS).result(WAIT)
    service.adopt(uri(2), NO_TAGS).result(WAIT)
    with pytest.raises(NameTakenError):
        service.register(NAMESERVER_NAME, uri(3), NO_TAGS)
    assert service.get(NAMESERVER_NAME).uri == uri(2)


def test_tags_can_only_be_set_on_what_is_there(service):
    with pytest.raises(UnknownNameError, match="unknown name: a"):
        service.set_metadata("a", NO_TAGS)


def test_close_finishes_what_is_on_its_way(storage):
    service = NameService(storage)
    outcomes = [service.register(f"n{number}", uri(number), NO_TAGS) for number in range(50)]
    storage.open_for(100)
    service.close()
    assert all(outcome.done() for outcome in outcomes)
    assert sum(map(len, storage.commits)) == 50


@pytest.mark.parametrize("immediate", [True, False])
def test_a_change_after_close_is_refused_and_not_on_its_way(storage, immediate):
    service = NameService(MappingStore(MemoryStorage()) if immediate else storage)
    service.close()
    with pytest.raises(StorageError, match="the storage is closed"):
        service.register("a", uri(1), NO_TAGS)
    assert "a" not in service
    assert service.get("a") is None


def test_a_memory_that_refuses_a_change_leaves_everything_as_it_was():
    class Full(dict):
        def __setitem__(self, name, value):
            if len(self) == 2 and name not in self:
                raise MemoryError("full")
            super().__setitem__(name, value)

    mapping = Full()
    service = NameService(MappingStore(mapping))
    service.register("a", uri(1), NO_TAGS)
    service.register("b", uri(2), NO_TAGS)
    with pytest.raises(StorageError, match="full"):
        service.register("c", uri(3), NO_TAGS, safe=True)
    assert list(mapping) == ["a", "b"]
    assert "c" not in service
    assert service.get("c") is None
    assert service.remove(["a"]) == 1
    assert service.register("c", uri(3), NO_TAGS, safe=True) is None


def test_of_many_safe_registrations_in_memory_one_wins_and_the_others_change_nothing():
    service = NameService(MappingStore(MemoryStorage()))
    won = []

    def work(number):
        for turn in range(200):
            try:
                service.register(f"n{turn}", uri(number), NO_TAGS, safe=True)
            except NameTakenError:
                continue
            won.append((f"n{turn}", uri(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == sorted((record.name, record.uri) for record in service.everything())
    assert len(won) == 200


def test_what_became_durable_together_is_delivered_in_one_call_in_order(service, storage):
    delivered = queue.SimpleQueue()
    service.deliver = delivered.put
    called = []
    first = service.register("a", uri(1), NO_TAGS)
    assert storage.arrived.acquire(timeout=WAIT)
    outcomes = [first, *(service.register(f"b{number}", uri(number), NO_TAGS) for number in range(20))]
    for outcome in outcomes:
        outcome.add_done_callback(called.append)
    storage.open_for(2)
    functions = [delivered.get(timeout=WAIT) for _ in range(2)]
    assert called == []
    for function in functions:
        function()
    assert called == outcomes
    with pytest.raises(queue.Empty):
        delivered.get_nowait()


def test_what_is_delivered_comes_when_others_can_use_the_service_again(service, storage):
    counts = queue.SimpleQueue()

    def deliver(function):
        other = threading.Thread(target=lambda: counts.put(len(service.everything())), daemon=True)
        other.start()
        other.join(WAIT)
        function()

    service.deliver = deliver
    called = threading.Event()
    service.register("a", uri(1), NO_TAGS).add_done_callback(lambda _: called.set())
    storage.open_for(1)
    assert called.wait(2 * WAIT)
    assert counts.get_nowait() == 1


def test_callers_are_called_back_although_what_follows_their_changes_fails(service, storage, monkeypatch, caplog):
    def fail(alarm, when):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Alarm, "by", fail)
    called = queue.SimpleQueue()
    for name, lease in (("leased", service.new_lease(60)), ("other", None)):
        outcome = service.register(name, uri(1), NO_TAGS, lease=lease)
        outcome.add_done_callback(called.put)
        storage.open_for(1)
        assert called.get(timeout=WAIT) is outcome
    assert "can't start new thread" in caplog.text
    assert service.get("leased").lease is not None
    assert service.get("other") is not None


def test_a_batch_with_the_name_of_the_name_server_is_left_to_be_registered_one_by_one(service):
    records = [Record("a", uri(1)), Record(NAMESERVER_NAME, uri(2))]
    assert service.register_all(records) is False
    assert "a" not in service


def test_the_records_of_a_batch_share_the_tags_that_others_have(service, storage):
    storage.open_for(2)
    service.register("a", uri(1), frozenset({"x"})).result(WAIT)
    assert service.register_all([Record("b", uri(2), frozenset({"x"})), Record("c", uri(3))]).result(WAIT) is True
    assert service.get("b").metadata is service.get("a").metadata
    assert [change.record for change in storage.commits[1]] == [service.get("b"), service.get("c")]
    assert storage.commits[1][0].record is service.get("b")  # so it takes no more memory where storages keep it, too


def test_nothing_is_delivered_where_nobody_wants_to_be_called():
    service = NameService(MappingStore(MemoryStorage()))
    service.deliver = pytest.fail
    assert service.register("a", uri(1), NO_TAGS) is None


def test_an_outcome_can_be_waited_for_in_the_thread_that_deliveries_are_for(service, storage):
    service.deliver = lambda function: None  # as a loop that does not come round to it
    storage.open_for(1)
    outcome = service.register("a", uri(1), NO_TAGS)
    assert outcome.result(WAIT) is None
    assert outcome.done()


def test_a_callback_that_comes_late_is_called_at_once(service, storage):
    storage.open_for(1)
    outcome = service.register("a", uri(1), NO_TAGS)
    outcome.result(WAIT)
    called = []
    outcome.add_done_callback(called.append)
    assert called == [outcome]


def test_a_callback_that_was_called_is_kept_by_nothing(service, storage):
    class Caller:
        def __init__(self):
            self.called = False

        def __call__(self, outcome):
            self.called = True

    delivered = queue.SimpleQueue()
    service.deliver = delivered.put
    outcome = service.register("a", uri(1), NO_TAGS)
    caller = Caller()
    outcome.add_done_callback(caller)
    storage.open_for(1)
    delivered.get(timeout=WAIT)()
    assert caller.called
    kept = weakref.ref(caller)
    del caller
    assert kept() is None
    assert outcome.done()


def test_waiting_for_an_outcome_can_be_given_up(service):
    outcome = service.register("a", uri(1), NO_TAGS)
    with pytest.raises(TimeoutError, match=r"not there after 0\.001 seconds"):
        outcome.result(0.001)


def test_a_callback_that_fails_does_not_keep_others_from_being_called(service, storage, caplog):
    called = threading.Event()
    outcome = service.register("a", uri(1), NO_TAGS)
    outcome.add_done_callback(lambda _: 1 / 0)
    outcome.add_done_callback(lambda _: called.set())
    storage.open_for(1)
    assert called.wait(WAIT)
    assert "a callback of a result failed" in caplog.text


def test_many_threads_that_wait_are_all_told(service, storage):
    storage.open_for(1000)
    seen = []

    def work(number):
        for turn in range(10):
            service.register(f"{number}.{turn}", uri(number), NO_TAGS).result(WAIT)
            seen.append(service.get(f"{number}.{turn}").uri)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 160
    assert service.count() == 160


def test_names_with_the_same_tags_share_them_with_the_memory_storage():
    memory = MemoryStorage()
    service = NameService(MappingStore(memory))
    for name in "abc":
        service.register(name, uri(1), frozenset({"class:" + "Camera".lower()}))
    tags = {id(entry[1]) for entry in memory.values()} | {id(service.get(name).metadata) for name in "abc"}
    assert len(tags) == 1


def test_loading_pauses_the_garbage_collector_only_if_it_runs():
    class Watching(GatedStorage):
        def load(self):
            self.collecting = gc.isenabled()
            return []

    for enabled in (True, False):
        storage = Watching()
        try:
            (gc.enable if enabled else gc.disable)()
            NameService(storage).close()
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
        assert not storage.collecting


def test_only_records_that_are_unchanged_and_stay_so_are_removed(service, storage):
    for number, name in enumerate("abcd"):
        service.register(name, uri(number), NO_TAGS)
    storage.open_for(100)
    service.set_metadata("d", NO_TAGS).result(WAIT)
    seen = service.everything()
    storage.gate = threading.Semaphore(0)
    service.register("b", uri(1), NO_TAGS)  # as it was; and not durable yet
    service.remove(["c"])
    outcome = service.remove_unchanged([*seen, Record("e", uri(9), NO_TAGS), Record("a", uri(0), NO_TAGS)])
    storage.open_for(100)
    assert outcome.result(WAIT) == 2
    assert [record.name for record in service.everything()] == ["b"]


def test_with_nothing_to_remove_nothing_is_written(service, storage):
    assert service.remove_unchanged([Record("a", uri(1), NO_TAGS)]) == 0
    assert storage.commits == []
