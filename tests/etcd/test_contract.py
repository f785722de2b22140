"""What every storage does, also one in etcd. See tests/storage/test_storage_contract.py for the others."""

import secrets
from contextlib import closing

import pytest
from generated import apply_to, changes_with, delete, owners, put, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyronym.directory.record import Lease
from pyronym.errors import StorageError
from pyronym.settings import Settings
from pyronym.storage.base import ChangeRefusedError, Storage
from pyronym.storage.choose import storage_by_name
from pyronym.storage.shared import SharedStorage
from pyronym.uri import NAMESERVER_NAME

REOPEN = "reopen"

leases = st.builds(
    Lease,
    st.sampled_from(["a1", "b2-0"]),
    st.sampled_from([None, 0.1, 10.0, 31622400.0]),
    st.booleans(),
    st.sampled_from(["node", ""]),
).filter(lambda lease: lease.seconds is not None or lease.ephemeral)
full_changes = changes_with(st.none() | owners, st.none() | leases).filter(
    lambda change: change.name != NAMESERVER_NAME
)


@pytest.fixture
def opened(cluster, prefix):
    with closing(storage_by_name(cluster.url(prefix), Settings(), wait=False)) as storage:
        storage.load()
        yield storage


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.lists(full_changes, max_size=5) | st.just(REOPEN), max_size=8))
def test_any_sequence_of_commits_equals_a_plain_dict(cluster, steps):
    model = {}
    url = cluster.url(f"contract/{secrets.token_hex(4)}")
    storage = storage_by_name(url, Settings(), wait=False)
    storage.load()
    for step in steps:
        if step == REOPEN:
            storage.close()
            storage = storage_by_name(url, Settings(), wait=False)
        else:
            storage.commit(step)
            apply_to(model, step)
        assert stored(storage) == model
    storage.close()


def test_it_is_a_storage_that_is_shared(opened):
    assert isinstance(opened, Storage)
    assert isinstance(opened, SharedStorage)
    assert not opened.immediate
    assert opened.description.startswith("etcd://")


def test_names_come_in_their_order(opened):
    opened.commit([put("b"), put(""), put("a\x00"), put("a"), put("\U0001f600"), put("\uffff")])
    assert list(stored(opened)) == ["", "a", "a\x00", "b", "\uffff", "\U0001f600"]


@pytest.mark.parametrize("bad", [put("\ud800"), put("a", "PYRO:\udfff@h:1"), put("a", tags=["ok", "\udc80"])])
def test_a_text_with_half_a_surrogate_pair_is_refused_with_its_whole_commit(opened, bad):
    opened.commit([put("a", "PYRO:before@h:1", ["before"])])
    with pytest.raises(ChangeRefusedError, match="surrogate"):
        opened.commit([put("b"), delete("a"), bad, put("c")])
    assert stored(opened) == {"a": put("a", "PYRO:before@h:1", ["before"]).record}


@pytest.mark.parametrize("size", [2_000_000, 3_000_000])
def test_a_record_that_is_too_large_is_refused(opened, size):
    """By etcd, or, from 2 MiB on, by gRPC, with another code."""
    with pytest.raises(ChangeRefusedError, match=r"large.*make it smaller"):
        opened.commit([put("a", "u" * size)])


def test_a_closed_storage_says_so(opened):
    opened.close()
    opened.close()
    with pytest.raises(StorageError, match="closed"):
        opened.commit([put("a")])
    with pytest.raises(StorageError, match="closed"):
        opened.load()


def test_more_names_than_a_page_are_all_read(opened, monkeypatch):
    monkeypatch.setattr("pyronym.storage.etcd.following.PAGE", 7)
    for start in range(0, 30, 10):
        opened.commit([put(f"n{number}") for number in range(start, start + 10)])
    assert len(stored(opened)) == 30
