import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyronym.directory.patterns import literal_prefix

PIECES = [
    *"ab.^$*+?|()[]{}\\-,1 #\n&",
    *(r"\.", r"\|", r"\\", r"\d", r"\A", r"\(", r"\Z", r"\b", "é", r"\é", "(?:", "(?=", "(?!", "(?#", "(?i:", "(?i)"),
    *("{2}", "{,2}", "{0}", "[^", "[]", "[|]", "[(]", "a|", "(?P<x>", "(?(1)", "*?", "*+", "lab"),
]
patterns = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
names = st.lists(st.sampled_from([*"ab.|(\\[1 #\né^$A", "lab"]), max_size=6).map("".join)


def compiled(text, flags=0):
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError):
        return None


@settings(max_examples=2000, deadline=None)
@given(patterns, st.lists(names, max_size=8))
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_whatever_a_pattern_matches_starts_with_its_literal_prefix(text, asked):
    pattern = compiled(text)
    if pattern is None:
        return
    prefix = literal_prefix(pattern)
    candidates = [*asked, *(prefix[:-1] + name for name in asked), *(prefix + name for name in asked), prefix[:-1]]
    for name in candidates:
        assert not pattern.match(name) or name.startswith(prefix)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("lab", "lab"),
        (r"lab\.camera\.\d+", "lab.camera."),
        (r"^lab\.(a|b)", "lab."),
        (r"\Alab$", "lab"),
        ("lab.camera", "lab"),
        ("labs?", "lab"),
        ("labs*", "lab"),
        ("labs{0}", "lab"),
        (r"lab\.*", "lab"),
        ("lab[|]", "lab"),
        (r"lab\|", "lab|"),
        ("lab(?#|)", "lab"),
        ("é😀.", "é😀"),
        ("", ""),
        (".*", ""),
        ("a?b", ""),
        ("lab|x", ""),
        ("lab()|x", ""),
        ("lab[)]|x", ""),
        ("lab[]|]|x", ""),
        ("lab(?#()|x", ""),
        (r"lab\(|x", ""),
        (r"\dlab", ""),
        ("(?i)lab", ""),
        ("(?x)l ab", ""),
    ],
)
def test_the_literal_prefix(text, prefix):
    assert literal_prefix(re.compile(text)) == prefix


@pytest.mark.parametrize("flag", [re.IGNORECASE, re.VERBOSE, re.MULTILINE, re.DOTALL, re.ASCII])
def test_patterns_with_flags_have_none(flag):
    assert literal_prefix(re.compile("lab", flag)) == ""
