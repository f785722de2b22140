"""The `regex` library is told what `re` understood, and then finds the same."""

import re
import warnings
from re import _parser

import pytest
import regex
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from patterns_to_try import names, patterns
from pyronym.directory.pattern_text import regex_text

SECONDS = 2.0


def both_find(text, asked):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain, tree = re.compile(text), _parser.parse(text)
        except re.error:
            return
    other = regex.compile(regex_text(tree), regex.VERSION0)
    for name in asked:
        try:
            found = other.match(name, timeout=SECONDS)
        except TimeoutError:
            assume(False)  # then `re` does not come to an end either
        assert bool(found) == bool(plain.match(name)), name


@settings(max_examples=1500, deadline=None)
@given(patterns, st.lists(names, max_size=6))
@example("a{e}", ["a", "a{e}", "b"])
@example("a{e<=1}b", ["a{e<=1}b", "ab", "cb"])
@example("[[:alpha:]]", ["a]", "a", ":]"])
@example("[[a]x]", ["ax]", "[x]", "a"])
@example("[a||b]", ["|", "a", "b"])
@example("[a&&b]--", ["&--", "a--"])
@example(r"(?x) a \ b # (", ["a b"])
@example(r"(a)|b(?(1)c|d)", ["a", "bd", "bc"])
@example(r"(?P<one>a|b)(?P=one)", ["aa", "ab"])
@example(r"(a)\1{2}", ["aaa", "aa"])
@example(r"(?<=a)b|(?<!a)c|a(?<=a)b", ["ab", "c", "b"])
@example(r"(?s-i:.)(?i:A)(?m:^|a)", ["\na", "\naa"])
@example("a(?!)", ["a"])
@example("(?:a|ab){2}+", ["aba", "aa"])
@example("\U0001f600[\U0001f600-\U0001f602]", ["\U0001f600\U0001f601"])
@example(r"\Aa$", ["a", "a\n", "a\n\n"])
@example(r"a\Z", ["a", "a\n"])
@example(r"(?a)\w+\Z", ["é", "e"])
@example(r"\w\B\w\b.", ["ab.", "abc"])
@example("(?i)é[^é]", ["É", "Éa", "ÉÉ"])
def test_both_libraries_find_the_same(text, asked):
    both_find(text, asked)


@pytest.mark.parametrize("text", ["(?a:\\w)", "(?u:\\w)"])
def test_what_cannot_be_said_is_an_error(text):
    with pytest.raises(ValueError, match="flags a and u for a part"):
        regex_text(_parser.parse(text))
