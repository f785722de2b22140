"""Names, tags and changes as only a generator comes up with, for the tests of all storages."""

from hypothesis import strategies as st

from pyronym.directory.record import Change, Lease, Record

# What storages are known to confuse: case, % and _, quotes, line ends, NUL, combining marks, astral characters.
CHARACTERS = "abAB%_*./\\'\"\n\r\t\x00\x7f éÉe\u0301ßİ\ud7ff\ue000\u2028\uffff\U0001f600\U0010ffff"
few_names = st.sampled_from(["a", "A", "ab", "a%", "a_", "", "é", "e\u0301", "Pyro.NameServer", "n" * 5000, "n" * 5001])
names = few_names | st.text(CHARACTERS, max_size=6)
uris = st.sampled_from(["PYRO:a@h:1", "PYRO:b@h:1", "PYRO:ü☃@h:1", "u" * 3000])
tags = st.sampled_from(["x", "X", "", "%", "é", "e\u0301", "t" * 2000]) | st.text(CHARACTERS, max_size=3)
tag_sets = st.frozensets(tags, max_size=4)
owners = st.sampled_from(["key:lab", "tls:CN=é", ""])
leases = st.builds(
    Lease, st.sampled_from(["a1", "b2-0"]), st.sampled_from([None, 0.1, 10.0, 31622400.0]), st.booleans()
)


def changes_with(owners, leases):
    """Changes of records with such owners and leases, and deletes."""
    records = st.builds(Record, names, uris, tag_sets, owners, leases)
    return records.map(lambda record: Change(record.name, record)) | names.map(lambda name: Change(name, None))


changes = changes_with(st.none(), st.none())  # a mapping of name -> (URI, tags) has no place for more
full_changes = changes_with(st.none() | owners, st.none() | leases)


def put(name, uri="PYRO:o@h:1", tags=()):
    return Change(name, Record(name, uri, frozenset(tags)))


def delete(name):
    return Change(name, None)


def apply_to(model, changes):
    """Make changes in a dict of name -> Record."""
    for change in changes:
        if change.record is None:
            model.pop(change.name, None)
        else:
            model[change.name] = change.record


def stored(store):
    """All records of a storage, as a dict by name."""
    records = list(store.load())
    by_name = {record.name: record for record in records}
    assert len(by_name) == len(records)
    return by_name


def finish_writing(store):
    """Wait until the dbm of a DbmStore is no longer being written afresh."""
    writer = store._writer
    if writer is not None:
        writer.join()
