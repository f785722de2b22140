"""The bound for the steps of a match is one, and what it calls harmless is."""

import math
import re
from functools import cache
from re import _compiler, _parser
from re import _constants as op

import pytest
from hypothesis import example, given, settings

from patterns_to_try import names, patterns
from pyronym.directory.pattern_cost import PatternCost, range_width, size


def steps(tree, length):
    return PatternCost(tree).steps(length)


ENOUGH = 20_000
"""Steps after which the model stops counting."""


class TooManyError(Exception):
    pass


class Model:
    """A matcher that tries everything in the order in which `re` does, and counts what it tries.

    It asks `re` about single characters only. `ways` yields the ends of all ways to match, one after the other.
    """

    def __init__(self, text, flags):
        self.text, self.flags, self.steps, self.groups = text, flags, 0, {}

    def sequence(self, nodes, at, index=0):
        if index == len(nodes):
            yield at
            return
        for end in self.node(*nodes[index], at):
            yield from self.sequence(nodes, end, index + 1)

    def node(self, kind, value, at):
        self.steps += 1
        if self.steps > ENOUGH:
            raise TooManyError
        if kind in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            if at < len(self.text) and accepts(kind, value, self.text[at], self.flags):
                yield at + 1
        elif kind is op.SUBPATTERN:
            for end in self.sequence(value[3], at):
                before = self.groups.get(value[0])
                self.groups[value[0]] = (at, end)
                yield end
                self.groups[value[0]] = before
        elif kind is op.BRANCH:
            for branch in value[1]:
                yield from self.sequence(branch, at)
        elif kind is op.MAX_REPEAT:
            yield from self.greedy(*value, at, 0)
        elif kind is op.MIN_REPEAT:
            yield from self.lazy(*value, at, 0)
        elif kind is op.AT:
            yield at  # as if it always held: more is tried then
        elif kind in (op.ASSERT, op.ASSERT_NOT):
            for _ in self.sequence(value[1], at):
                pass
            yield at
        elif kind is op.ATOMIC_GROUP:
            yield from list(self.sequence(value, at))[:1]
        elif kind is op.POSSESSIVE_REPEAT:
            yield from self.possessive(*value, at)
        else:
            raise NotImplementedError(kind)

    def greedy(self, least, most, body, at, done):
        if done < most:
            for end in self.sequence(body, at):
                if end > at or done < least:
                    yield from self.greedy(least, most, body, end, done + 1)
        if done >= least:
            yield at

    def possessive(self, least, most, body, at):
        done = 0
        while done < most:
            end = next(self.sequence(body, at), None)
            if end is None or (end == at and done >= least):
                break
            at, done = end, done + 1
        if done >= least:
            yield at

    def lazy(self, least, most, body, at, done):
        if done >= least:
            yield at
        if done < most:
            for end in self.sequence(body, at):
                if end > at or done < least:
                    yield from self.lazy(least, most, body, end, done + 1)


@cache
def asked_of_re(kind, value, flags):
    tree = _parser.parse(".")
    tree.data = [(kind, value)]
    return _compiler.compile(tree, flags).match


def accepts(kind, value, character, flags):
    hashable = tuple(value) if kind is op.IN else value
    return asked_of_re(kind, hashable, flags)(character) is not None


def parsed(text):
    try:
        re.compile(text)
        return _parser.parse(text)
    except re.error:  # a lookbehind of no certain width, for example
        return None


@settings(max_examples=1500, deadline=None)
@given(patterns, names)
@example(r"(?:(\w+\.)+99){1,3}", "ab.ab.99")
@example(r"(a|b|ab)*", "ababab")
@example(r"(?:a?){5}a{5}", "aaaaa")
@example(r"(?:(?:a|b)*1)*", "ab1ab1a")
@example(r"(?i)(?:a|A)*", "aAaA")
@example(r"(?:\s|[^\s])*", "\x1c\x1c")
def test_no_match_takes_more_steps_than_are_told(text, name):
    tree = parsed(text)
    if tree is None:
        return
    bound = steps(tree, len(name))
    if bound > ENOUGH:
        return
    model = Model(name, tree.state.flags)
    for _ in model.sequence(tree, 0):
        pass
    assert model.steps <= bound


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "(a|aa)+$",
        "(.*)*x",
        r"(\w+\s?)+$",
        "(a|a)*$",
        "(ab|[ac]b)*$",
        "(?i)(ab|[A1]b)*$",
        "(?:a*b?)*c",
        "(a?){40}a{40}$",
        "(?:a*)*",
        "(a{1,30}){1,30}$",
        "((?:a|b)+|c)*$" + "(a+)*",
        "(?=(a+)+$)b",
        "(?!(a+)+$)b",
        "(?>(a+)+$)b",
        "(?:(a+)+$)++b",
        "(a)?(?(1)(a+)+|(b+)+)$",
        "(?:[^a]|b)*$",
        "a*" * 20 + "$",
    ],
)
def test_what_can_take_for_ever_is_told(text):
    assert steps(_parser.parse(text), 60) > 1e9


@pytest.mark.parametrize(
    "text",
    [
        "lab",
        r"lab\.camera\.\d+$",
        r".*\.00012\..*",
        r"(\w+\.)+99$",
        r"(lab|office)\.(door|camera)\.\d+",
        r"(\d{1,3}\.){3}\d{1,3}$",
        r"(?i)[a-z_]+(-[a-z_]+)*\.\d*",
        "(a|b|c)*d",
        ".*a.*",
        r"^(?!test)\S+$",
        "(((a{1000}){1000}){1000})",
    ],
)
def test_what_people_write_is_harmless(text):
    assert steps(_parser.parse(text), 64) < 20_000


def test_a_longer_name_takes_more_steps():
    tree = _parser.parse(".*a.*b")
    bounds = [steps(tree, length) for length in (0, 10, 100, 1000, 1_000_000)]
    assert bounds == sorted(bounds)
    assert bounds[2] < 1e6 < bounds[3]
    assert math.isinf(steps(_parser.parse("(a+)+$"), 1_000_000))


def test_size_counts_what_is_repeated_once_or_as_often_as_it_has_to_be_there():
    tree = _parser.parse("(?:ab){3,9}[cd]?")
    assert size(tree) == 1 + 2 + 1 + 1 + 2
    assert size(tree, expanded=True) == 1 + 3 * 2 + 1 + 1 + 2
    assert size(_parser.parse("(((a{1000}){1000}){1000})"), expanded=True) > 1e9


def test_the_width_of_all_ranges_wherever_they_are():
    assert range_width(_parser.parse("([a-z]|(?=[0-9_]))*")) == 36
    assert range_width(_parser.parse("[\uff00-\U00010fff]")) == 0x100


def test_an_operator_that_is_not_known_is_an_error():
    tree = _parser.parse("a")
    tree.data = [("NEW", None)]
    with pytest.raises(ValueError, match="NEW is not supported"):
        steps(tree, 1)
