"""Searches find what the `re` of the stock servers finds, whatever they leave out."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns_to_try import names, patterns
from pyronym.directory.record import Record
from pyronym.errors import BadPatternError
from pyronym.service.local import NameServer
from pyronym.service.regexes import LENGTHS, Searches, name_pattern

CAMERAS = [f"lab.{room}.{kind}{number}" for room in range(20) for kind in ("cam", "stage") for number in range(5)]


def records(names):
    return [Record(name, "PYRO:object@host:1") for name in names]


def names_of(found):
    return [record.name for record in found]


@pytest.mark.parametrize(
    "text", [".*", ".*cam1", r"lab\..*\.cam[0-9]+", ".+7$", ".+1$", "", r"lab\.3\.", "lab.3", "x|lab"]
)
def test_a_name_server_finds_what_re_finds(text):
    server = NameServer()
    for name in CAMERAS:
        server.register(name, f"PYRO:{name}@host:1")
    assert set(server.list(regex=text)) == {name for name in CAMERAS if re.match(text, name)}
    server.close()


@settings(max_examples=500, deadline=None)
@given(patterns, st.lists(names, max_size=20, unique=True))
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("longest", [9, LENGTHS[-1]], ids=["at once", "in a thread"])
def test_a_search_finds_what_re_finds(longest, text, asked):
    searches = Searches(10.0)
    try:
        found = searches.find(name_pattern(text), lambda prefix: (records(asked), longest), names_of)
        assert (found if isinstance(found, list) else found.result()) == [
            name for name in asked if re.match(text, name)
        ]
    except BadPatternError:
        return
    finally:
        searches.close()


def test_names_without_the_text_that_is_in_every_match_are_not_matched():
    searches = Searches(1.0)
    pattern = name_pattern("(a|aa)+b")  # it would take years for such a name
    assert searches.find(pattern, lambda prefix: (records(["a" * 1000]), 1000), names_of).result() == []
    searches.close()
