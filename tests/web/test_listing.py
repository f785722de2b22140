"""Pages of names are those that sorting everything would give, with the index and without."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pyronym.directory.record import Record
from pyronym.service.guard import Guard
from pyronym.service.nameservice import NameService
from pyronym.service.permissions import OPEN, Client, parse_permissions
from pyronym.storage.mapping import MappingStore
from pyronym.web.listing import Wanted, page_of

texts = st.text("ab.\U0010ffff", max_size=3)
tags = st.frozensets(st.sampled_from("xyz"), max_size=2)
records = st.lists(st.builds(Record, texts, st.sampled_from(["PYRO:a@h:1", "PYRO:b@h:1"]), tags), max_size=12)
RESTRICTED = parse_permissions({"rule": [{"who": ["anyone"], "may": ["read"], "names": ["a", "b"]}]})


@settings(max_examples=200, deadline=None)
@given(
    records=records,
    prefix=texts,
    wanted_tags=tags,
    any_tags=tags,
    sort=st.sampled_from(["name", "-name", "uri", "-uri"]),
    limit=st.integers(1, 5),
    permissions=st.sampled_from([OPEN, RESTRICTED]),
    regex=st.sampled_from([None, "a", ".*b"]),
)
def test_the_pages_together_are_all_that_fits_in_order(
    records, prefix, wanted_tags, any_tags, sort, limit, permissions, regex
):
    service = NameService(MappingStore({record.name: (record.uri, record.metadata) for record in records}))
    guard = Guard(service, permissions.grant(Client()), "here", None)
    expected = [
        record
        for record in service.everything()
        if record.name.startswith(prefix)
        and wanted_tags <= record.metadata
        and (not any_tags or any_tags & record.metadata)
        and (regex is None or ("b" in record.name if regex == ".*b" else record.name.startswith("a")))
        and (permissions is OPEN or record.name.startswith(("a", "b")))
    ]
    expected.sort(key=lambda r: (r.uri, r.name) if "uri" in sort else r.name, reverse=sort.startswith("-"))
    found, cursor = [], None
    while True:
        page = page_of(guard, Wanted(prefix, regex, wanted_tags, any_tags, sort, limit, cursor))
        assert page.total == len(expected)
        assert len(page.records) <= limit
        found += page.records
        cursor = page.next
        if cursor is None:
            break
    service.close()
    assert found == expected
