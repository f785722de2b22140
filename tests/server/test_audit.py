"""The file of the audit log: in order, complete at the end, begun afresh when it is full or was moved away."""

import json
import queue
import resource
import threading
from contextlib import contextmanager

import pytest

from pyronym.server import audit
from pyronym.server.audit import AuditLog


def read(*paths):
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_lines_are_there_in_order_when_it_is_closed(tmp_path):
    log = AuditLog(str(tmp_path / "log"))
    for number in range(1000):
        log({"number": number, "text": "ü\n"})
    log.close()
    found = read(tmp_path / "log")
    assert [line["number"] for line in found] == list(range(1000))
    assert found[0]["text"] == "ü\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_there_is_added_to(tmp_path):
    for number in (1, 2):
        log = AuditLog(str(tmp_path / "log"))
        log({"number": number})
        log.close()
    assert [line["number"] for line in read(tmp_path / "log")] == [1, 2]


def test_a_full_file_is_kept_and_a_new_one_begun(tmp_path):
    log = AuditLog(str(tmp_path / "log"), max_bytes=1000)
    for number in range(45):
        log({"number": number})
    log.close()
    files = [tmp_path / "log.2", tmp_path / "log.1", tmp_path / "log"]
    assert all(file.stat().st_size <= 1000 and file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert [line["number"] for line in read(*files)] == list(range(45))


class Gate:
    """Lets the writing thread go on when the test says so."""

    def __init__(self, log):
        self.arrived, self.open = threading.Event(), threading.Event()
        self._emit = log._file.emit
        log._file.emit = self.emit

    def emit(self, record):
        self.arrived.set()
        assert self.open.wait(10)
        self._emit(record)


def test_a_file_that_was_moved_away_is_begun_afresh(tmp_path):
    log = AuditLog(str(tmp_path / "log"))
    log({"number": 1})
    gate = Gate(log)
    log({"number": 2})
    assert gate.arrived.wait(10)
    (tmp_path / "log").rename(tmp_path / "moved")
    gate.open.set()
    log.close()
    assert [line["number"] for line in read(tmp_path / "log")][-1] == 2
    assert [line["number"] for line in read(tmp_path / "moved") + read(tmp_path / "log")] == [1, 2]


def test_a_slow_disk_holds_nobody_up_and_what_is_lost_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "MOST_WAITING", 3)
    log = AuditLog(str(tmp_path / "log"))
    gate = Gate(log)
    log({"number": 0})
    assert gate.arrived.wait(10)
    for number in range(1, 10):
        log({"number": number})
    gate.open.set()
    log.close()
    found = read(tmp_path / "log")
    assert [line.get("number") for line in found] == [0, 1, 2, 3, None]
    assert found[-1]["lines"] == 6


@contextmanager
def file_size_limit(size):
    """As good as a full disk: what is written goes up to there, and then fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("max_bytes", [0, 10**6])
def test_a_full_disk_costs_whole_lines_and_how_many_is_written_when_there_is_room(tmp_path, caplog, max_bytes):
    log = AuditLog(str(tmp_path / "log"), max_bytes)
    tried = queue.SimpleQueue()
    handle = log._file.handle

    def handle_and_tell(record):
        try:
            return handle(record)
        finally:
            tried.put(record)

    log._file.handle = handle_and_tell
    with file_size_limit(1000):
        for number in range(30):
            log({"number": number})
        for _ in range(30):
            tried.get(timeout=10)
    log({"number": 30})
    log.close()
    *before, lost, last = read(tmp_path / "log")
    assert [line["number"] for line in before] == list(range(len(before)))
    assert 0 < len(before) < 30
    assert (lost["what"], lost["lines"]) == ("lost", 30 - len(before))
    assert last["number"] == 30
    error, warning = (record.getMessage() for record in caplog.records)
    assert error.startswith("cannot write to the audit log, its lines are lost until that is over: [Errno 27]")
    assert warning == f"the audit log can be written to again, {lost['lines']} lines were lost"


def test_a_disk_that_stays_full_does_not_hinder_the_end(tmp_path, caplog):
    with file_size_limit(200):
        log = AuditLog(str(tmp_path / "log"))
        for number in range(30):
            log({"number": number})
        log.close()
    assert {line.get("number", "lost") for line in read(tmp_path / "log")} <= {0, 1, 2, "lost"}
    assert [record.levelname for record in caplog.records if "lost until" in record.getMessage()] == ["ERROR"]
    assert len(caplog.records) <= 2


def test_a_file_that_cannot_be_is_an_error_at_once(tmp_path):
    with pytest.raises(IsADirectoryError):
        AuditLog(str(tmp_path))
