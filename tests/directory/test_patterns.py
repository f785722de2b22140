import re
from re import _parser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns_to_try import patterns as larger_patterns
from pyronym.directory.patterns import literals

PIECES = [
    *"ab.^$*+?|()[]{}\\-,1 #\n&",
    *(r"\.", r"\|", r"\\", r"\d", r"\A", r"\(", r"\Z", r"\b", "é", r"\é", "(?:", "(?=", "(?!", "(?#", "(?i:", "(?i)"),
    *("{2}", "{,2}", "{0}", "[^", "[]", "[|]", "[(]", "a|", "(?P<x>", "(?(1)", "*?", "*+", "lab"),
]
patterns = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | larger_patterns
names = st.lists(st.sampled_from([*"abAB.|(\\[1 #\né^$", "lab"]), max_size=6).map("".join)


def parsed(text):
    try:
        re.compile(text)
        return _parser.parse(text)
    except (re.error, OverflowError):
        return None


@settings(max_examples=2000, deadline=None)
@given(patterns, st.lists(names, max_size=8))
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_whatever_a_pattern_matches_has_its_literals(text, asked):
    tree = parsed(text)
    if tree is None:
        return
    prefix, inside = literals(tree)
    candidates = [
        *asked,
        *(part + name for name in asked for part in (prefix, prefix[:-1], prefix + inside, prefix + inside[:-1])),
    ]
    for name in candidates:
        assert not re.match(text, name) or (name.startswith(prefix) and inside in name[len(prefix) :])


@pytest.mark.parametrize(
    ("text", "prefix", "inside"),
    [
        ("lab", "lab", ""),
        (r"lab\.camera\.\d+", "lab.camera.", ""),
        (r".*\.camera\.x", "", ".camera.x"),
        (r"lab\..*\.camera[0-9]+", "lab.", ".camera"),
        (r".+7$", "", "7"),
        (r"^lab\.(a|b)", "lab.", ""),
        (r"\Alab$", "lab", ""),
        ("lab.camera", "lab", "camera"),
        ("labs?", "lab", ""),
        ("labs*", "lab", ""),
        ("labs{0}", "lab", ""),
        (r"lab\.*", "lab", ""),
        ("lab[|]", "lab|", ""),
        (r"lab\|", "lab|", ""),
        ("lab(?#|)", "lab", ""),
        ("lab^", "lab", ""),
        ("é😀.", "é😀", ""),
        ("", "", ""),
        (".*", "", ""),
        ("a?b", "", "b"),
        ("(?=lab)x", "", "x"),
        ("(?!lab)x", "", "x"),
        ("lab|x", "", ""),
        ("lab()|x", "", ""),
        ("lab[)]|x", "", ""),
        ("lab[]|]|x", "", ""),
        ("lab(?#()|x", "", ""),
        (r"lab\(|x", "", ""),
        (r"\dlab", "", "lab"),
        ("(?x)l ab", "lab", ""),
        ("(?m)^lab", "lab", ""),
        ("(?i)lab", "", ""),
        ("(?i:lab)x", "", "x"),
    ],
)
def test_the_literals(text, prefix, inside):
    assert literals(_parser.parse(text)) == (prefix, inside)
