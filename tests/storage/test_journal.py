import errno
import fcntl
import io
import logging
import os
import threading
from contextlib import closing

import pytest
from generated import changes, delete, put
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import StorageError
from pyronym.storage import journal as journal_module
from pyronym.storage.journal import Journal, Tail, decode_line, encode_line


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "names.journal")


def content(path):
    with open(path, "rb") as file:
        return file.read()


@given(st.lists(changes, max_size=5))
def test_a_line_read_back_is_what_was_written(some_changes):
    line = encode_line(some_changes)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_line(line[:-1]) == some_changes


@given(st.lists(changes, max_size=3), st.data())
def test_a_line_with_any_byte_changed_is_broken(some_changes, data):
    line = bytearray(encode_line(some_changes)[:-1])
    index = data.draw(st.integers(0, len(line) - 1))
    line[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"checksum|"):
        decode_line(bytes(line))


def test_the_form_of_a_line():
    line = encode_line([put("a", "PYRO:o@h:1", ["y", "x"]), delete("ü")])
    assert line == b'82e5c7fd [["a","PYRO:o@h:1",["x","y"]],["\xc3\xbc"]]\n'


def test_changes_are_there_when_the_file_is_opened_again(path):
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a"), delete("b")])
        journal.append([put("c")])
        assert journal.size == 3
        assert journal.read() == [put("a"), delete("b"), put("c")]
    with closing(Journal(path, timeout=0)) as journal:
        assert journal.size == 3
        assert journal.read() == [put("a"), delete("b"), put("c")]


def test_a_journal_without_changes_is_removed_on_closing(path):
    journal = Journal(path, timeout=0)
    journal.append([put("a")])
    journal.drop(Tail(journal))
    assert journal.size == 0
    assert journal.read() == []
    journal.close()
    journal.close()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_last_line_that_is_torn_anywhere_is_ignored_and_written_over(path, caplog):
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        journal.append([put("b", tags=["x"])])
    data = content(path)
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        with open(path, "wb") as file:
            file.write(data[:end])
        caplog.clear()
        with closing(Journal(path, timeout=0)) as journal:
            assert journal.read() == [put("a")]
            assert bool(caplog.records) == (end > first)
            journal.append([put("c")])
        with closing(Journal(path, timeout=0)) as journal:
            assert journal.read() == [put("a"), put("c")]


@pytest.mark.parametrize("garbage", [b"\x00" * 30, b"\x00" * 30 + b"\n", b"00000000 []\n", b"\xff\xfe", b"0"])
def test_garbage_at_the_end_is_ignored(path, garbage):
    with open(path, "wb") as file:
        file.write(encode_line([put("a")]) + garbage)
    with closing(Journal(path, timeout=0)) as journal:
        assert journal.read() == [put("a")]


def test_a_broken_line_before_the_end_is_an_error_that_names_file_and_line(path):
    with open(path, "wb") as file:
        file.write(encode_line([put("a")]) + b"00000000 []\n" + encode_line([put("b")]))
    before = content(path)
    with pytest.raises(StorageError, match=r"names.journal: line 2 is damaged .*; restore it from a backup"):
        Journal(path, timeout=0)
    assert content(path) == before


def test_a_second_opener_is_kept_out(path):
    with closing(Journal(path, timeout=0)), pytest.raises(BlockingIOError):
        Journal(path, timeout=0.02)
    Journal(path, timeout=0).close()


def test_a_lock_that_ends_in_time_is_waited_for(path):
    with open(path, "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        unlock = threading.Timer(0.05, fcntl.flock, [other, fcntl.LOCK_UN])
        unlock.start()
        Journal(path, timeout=30).close()
        unlock.join()


@pytest.mark.parametrize("someone_else_was_faster", [False, True])
def test_a_journal_that_its_owner_removes_while_we_wait_is_opened_anew(path, monkeypatch, someone_else_was_faster):
    """Else two processes could each have a lock, one of them on a file that no longer has a name."""
    owner = Journal(path, timeout=0)
    flock = fcntl.flock

    def close_first(file, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        owner.close()
        if someone_else_was_faster:
            with closing(Journal(path, timeout=0)) as other:
                other.append([put("other")])
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", close_first)
    expected = [put("other")] if someone_else_was_faster else []
    with closing(Journal(path, timeout=5)) as journal:
        assert journal.read() == expected
        journal.append([put("a")])
    with closing(Journal(path, timeout=0)) as journal:
        assert journal.read() == [*expected, put("a")]


def test_an_append_is_written_and_synchronised_before_it_returns(path, monkeypatch):
    seen = []
    fsync = os.fsync

    def watched(descriptor):
        seen.append((os.readlink(f"/proc/self/fd/{descriptor}"), content(path)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        line = encode_line([put("a")])
        assert seen == [(path, line), (os.path.dirname(path), line)]  # the folder: the file may be new


def fail_with(number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_failed_append_leaves_no_trace(path, monkeypatch):
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail_with(errno.EIO))
            with pytest.raises(OSError, match="Input/output error"):
                journal.append([put("b")])
        assert journal.read() == [put("a")]
        assert content(path) == encode_line([put("a")])
        journal.append([put("c")])
        assert journal.read() == [put("a"), put("c")]


class FullDisk(io.FileIO):
    """Takes a part of what is written, then nothing more, and does not let the file be cut either."""

    full = True

    def write(self, data):
        if not self.full:
            return super().write(data)
        if len(data) < 10:
            fail_with(errno.ENOSPC)()
        return super().write(data[:7])

    def truncate(self, size=None):
        if self.full and size != os.fstat(self.fileno()).st_size:
            fail_with(errno.EIO)()
        return super().truncate(size)


def test_half_a_line_that_cannot_be_taken_back_is_not_read_and_written_over_later(path, monkeypatch):
    monkeypatch.setattr(journal_module.io, "FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "full", False)
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        FullDisk.full = True
        with pytest.raises(OSError, match="No space left"):
            journal.append([put("b")])
        assert len(content(path)) > len(encode_line([put("a")]))
        assert journal.read() == [put("a")]
        with pytest.raises(OSError, match="Input/output"):
            journal.append([put("b")])
        FullDisk.full = False
        journal.append([put("c")])
        assert journal.read() == [put("a"), put("c")]
    monkeypatch.undo()
    with closing(Journal(path, timeout=0)) as journal:
        assert journal.read() == [put("a"), put("c")]


def test_text_without_a_utf8_form_is_not_written(path):
    with closing(Journal(path, timeout=0)) as journal:
        with pytest.raises(UnicodeEncodeError):
            journal.append([put("a"), put("\ud800")])
        assert content(path) == b""


def test_a_journal_that_cannot_be_read_is_not_kept_locked(path):
    with open(path, "wb") as file:
        file.write(b"broken\nbroken\nbroken\n")
    with pytest.raises(StorageError):
        Journal(path, timeout=0)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_ignored_line_is_told_in_the_log(path, caplog):
    with open(path, "wb") as file:
        file.write(b"torn")
    with caplog.at_level(logging.WARNING):
        Journal(path, timeout=0).close()
    assert "ignored a line at its end" in caplog.text


def test_a_journal_goes_on_in_a_tail_of_what_came_after_some_moment(path, monkeypatch):
    monkeypatch.setattr(journal_module, "_COPIED_AT_ONCE", 7)
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a"), put("b")])
        tail = Tail(journal)
        journal.append([put("c")])
        tail.catch_up()
        journal.append([put("d"), delete("a")])
        journal.drop(tail)
        journal.append([put("e")])
        tail.close()
        expected = [put("c"), put("d"), delete("a"), put("e")]
        assert journal.read() == expected
        assert journal.size == 4
        with pytest.raises(BlockingIOError):  # it is still locked
            Journal(path, timeout=0)
    with closing(Journal(path, timeout=0)) as journal:
        assert journal.read() == expected
        assert journal.size == 4
    assert os.listdir(os.path.dirname(path)) == ["names.journal"]


def test_a_tail_begins_anew_where_a_crash_left_one(path):
    with open(path + ".next", "wb") as file:
        file.write(encode_line([put("long ago")]))
    with closing(Journal(path, timeout=0)) as journal:
        tail = Tail(journal)
        journal.append([put("a")])
        journal.drop(tail)
        assert journal.read() == [put("a")]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_tail_that_cannot_take_the_place_leaves_the_journal_as_it_is(path, monkeypatch, step):
    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        with closing(Tail(journal)) as tail:
            journal.append([put("b")])
            with monkeypatch.context() as patch:
                patch.setattr(os, step, fail_with(errno.EIO))
                with pytest.raises(OSError, match="Input/output error"):
                    journal.drop(tail)
        journal.append([put("c")])
        assert journal.read() == [put("a"), put("b"), put("c")]
        assert journal.size == 3
    assert os.listdir(os.path.dirname(path)) == ["names.journal"]


@pytest.mark.parametrize("begin_again", [False, True])
def test_the_first_append_to_a_file_whose_name_may_not_be_durable_makes_it_so(path, monkeypatch, begin_again):
    synced = []
    fsync = os.fsync

    def watched(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    with closing(Journal(path, timeout=0)) as journal:
        journal.append([put("a")])
        if begin_again:  # its process may have been killed before it came to that
            journal.close()
            journal = Journal(path, timeout=0)
        else:
            journal.drop(Tail(journal))
        with closing(journal):
            monkeypatch.setattr(os, "fsync", watched)
            journal.append([put("b")])
            journal.append([put("c")])
            assert synced == [path, os.path.dirname(path), path]
