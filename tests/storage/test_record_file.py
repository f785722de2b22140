"""Records as lines of JSON: whatever is written is read again, and whatever is broken is told with its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.directory.record import Lease, Record
from pyronym.storage.record_file import checksum, lines_of, records_in

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEASES = st.one_of(
    st.none(),
    st.builds(Lease, st.text("0123456789abcdef", min_size=1), st.floats(0.1, 1e6), st.booleans(), st.none()),
    st.just(Lease("a", None, ephemeral=True)),
)
RECORDS = st.lists(
    st.builds(
        Record,
        TEXTS,
        st.just("PYRO:o@h:1"),
        st.frozensets(TEXTS, max_size=3),
        st.one_of(st.none(), TEXTS),
        LEASES,
    ),
    unique_by=lambda record: record.name,
    max_size=5,
)


def read(text: str) -> list[Record]:
    return records_in(text.encode().splitlines(keepends=True))


@given(RECORDS)
def test_what_is_written_is_read_again(records: list[Record]) -> None:
    assert read("".join(lines_of(records))) == records


@given(RECORDS)
def test_the_checksum_is_that_of_names_uris_and_tags_in_any_order(records: list[Record]) -> None:
    bare = [record._replace(owner=None, lease=None) for record in reversed(records)]
    assert checksum(bare) == checksum(records)
    if records:
        other = records[0]._replace(uri="PYRO:other@h:1")
        assert checksum([other, *records[1:]]) != checksum(records)


HEAD = '{"format": "pyronym names", "version": 1}\n'


def test_a_file_made_by_hand_needs_no_checksum() -> None:
    text = HEAD + '{"name": "a", "uri": "PYRO:o@h:1"}\n\n{"uri": "PYRO:o@h:1", "name": "b", "tags": ["t"], "more": 1}'
    assert read(text) == [Record("a", "PYRO:o@h:1"), Record("b", "PYRO:o@h:1", frozenset({"t"}))]


GOOD = '{"name": "a", "uri": "PYRO:o@h:1"}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column 1: this is no JSON"),
        ("[]", "line 1, column 1: this is no JSON object"),
        ('{"x": 1}', "line 1, column 1: this is no file of names (expected {"),
        ('{"format": "pyronym names", "version": 2}', "line 1, column 29: it is of version 2, and this program knows"),
        (HEAD + GOOD + '{"name": "b", "uri": PYRO}', "line 3, column 22: this is no JSON (Expecting value)"),
        (HEAD + '{"name": "b"}', "line 2, column 1: there is no uri"),
        (HEAD + '{"uri": "PYRO:o@h:1", "name": 7}', "line 2, column 23: there is no name"),
        (HEAD + '{"name": "b", "uri": "nonsense"}', "line 2, column 15: invalid uri: 'nonsense'"),
        (HEAD + GOOD + GOOD, "line 3, column 2: the name 'a' is there twice"),
        (HEAD + '{"name": "b", "uri": "PYRO:o@h:1", "tags": "t"}', "line 2, column 36: tags must be a list of texts"),
        (HEAD + '{"name": "b", "uri": "PYRO:o@h:1", "tags": [1]}', "line 2, column 36: tags must be a list of texts"),
        (HEAD + '{"name": "b", "uri": "PYRO:o@h:1", "owner": 1}', "line 2, column 36: owner must be a text"),
        (HEAD + '{"name": "b", "uri": "PYRO:o@h:1", "lease": 10}', "line 2, column 36: this is no lease"),
        (
            HEAD + '{"name": "b", "uri": "PYRO:o@h:1", "lease": {"seconds": null, "ephemeral": false}}',
            "line 2, column 36: this is no lease",
        ),
        (HEAD + '{"name": "\\ud800", "uri": "PYRO:o@h:1"}', "line 2, column 2: half of a surrogate pair"),
        (HEAD + "[" * 100_000, "line 2, column 1: this is nested too deeply"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="line") as caught:
        read(text)
    assert str(caught.value).startswith(words)


def test_bytes_that_are_no_text_are_told_with_line_and_column() -> None:
    with pytest.raises(ValueError, match="line 2, column 11: this is not UTF-8"):
        records_in([HEAD.encode(), b'{"name": "\xff"}'])


def test_a_file_that_was_cut_short_or_changed_is_noticed() -> None:
    lines = list(lines_of([Record(name, "PYRO:o@h:1") for name in "abc"]))
    with pytest.raises(ValueError, match="line 3, column 1: the file ends after 2 names, not 3"):
        read("".join(lines[:-1]))
    changed = "".join(lines).replace("PYRO:o@h:1", "PYRO:o@h:2", 1)
    with pytest.raises(ValueError, match=r"line 1, column \d+: the names have the checksum [0-9a-f]{64} \(if you"):
        read(changed)
    assert json.loads(lines[0])["count"] == 3
