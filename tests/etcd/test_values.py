"""Values as they are in etcd: what is written and read without JSON is the same as with it."""

import json

import pytest
from generated import CHARACTERS, leases, owners, tag_sets, uris
from hypothesis import given
from hypothesis import strategies as st

from pyronym.directory.record import Record
from pyronym.storage.etcd.values import record_from, record_value

texts = uris | st.text(CHARACTERS + " !#$[]^{}~,:")


def as_json(record):
    content = {"v": 1, "uri": record.uri}
    if record.metadata:
        content["tags"] = sorted(record.metadata)
    if record.owner is not None:
        content["owner"] = record.owner
    if record.lease is not None:
        content["lease"] = record.lease._asdict()
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


@given(texts, tag_sets, st.none() | owners, st.none() | leases.map(lambda lease: lease._replace(node="9c6c956de85d")))
def test_each_record_is_written_as_json_and_read_as_it_was(uri, tags, owner, lease):
    record = Record("n", uri, tags, owner, lease)
    value = record_value(record)
    assert value == as_json(record)
    assert record_from("n", value) == record


@given(st.text('a\\"\x7f\x1fé~', max_size=4))
def test_a_uri_of_any_characters_is_written_as_json_and_read_as_it_was(uri):
    record = Record("n", uri)
    assert record_value(record) == as_json(record)
    assert record_from("n", record_value(record)) == record


@given(st.text(CHARACTERS + ' !#$[]^{}~,:u"', max_size=8))
def test_a_value_is_read_as_json_whatever_is_between_the_quotes(content):
    value = f'{{"v":1,"uri":"{content}"}}'.encode()
    try:
        expected = json.loads(value)["uri"]
    except ValueError:
        with pytest.raises(json.JSONDecodeError):
            record_from("n", value)
    else:
        assert record_from("n", value).uri == expected
