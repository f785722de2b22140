import pytest

from pyronym.directory.record import Change, Record


def test_a_change_cannot_put_the_record_of_another_name():
    with pytest.raises(ValueError, match="change of 'a' has the record of 'b'"):
        Change("a", Record("b", "PYRO:o@h:1"))


def test_records_are_values():
    record = Record("a", "PYRO:o@h:1", frozenset({"x"}))
    assert record == Record("a", "PYRO:o@h:1", frozenset({"x"}))
    assert len({record, Record("a", "PYRO:o@h:1", frozenset({"x"}))}) == 1
    with pytest.raises(AttributeError):
        record.uri = "PYRO:other@h:1"
