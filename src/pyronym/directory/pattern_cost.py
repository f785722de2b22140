"""How long a regular expression can take on one name, told from its structure before it is tried.

Python's `re` goes back and tries again wherever it had a choice, so what counts is how many choices there are. Of a
sequence, each part is tried again for each *way* in which the parts before it can match; a repeat within a repeat
multiplies its ways with every round, unless the text leaves no choice: in ``(\\w+\\.)+`` each character says which
part it belongs to. The numbers are upper bounds, and often far too high; they only have to be right about what is safe.

A tree is what `re._parser.parse` makes: a sequence of (operator, argument). There is no public way to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from re import _constants as op  # type: ignore[attr-defined]
from typing import Any, Final

Tree = Any
"""A `re._parser.SubPattern`."""

_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)
_CHARACTERS: Final = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)


class PatternCost:
    """What one regular expression costs. ValueError, perhaps from `steps`, for an operator that is not known here."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._ignore_case = bool(tree.state.flags & re.IGNORECASE) or _ignores_case_somewhere(tree)
        self._one_way = _leaves_no_choice(tree, self._ignore_case)
        self._one_way_bodies: dict[int, bool] = {}

    def steps(self, length: int) -> float:
        """What matching a name of `length` characters takes at most, in steps of some 5 nanoseconds, whether it matches
        or not. ``inf``: too many to be told.
        """
        cost, _ = _Steps(length, self._repeats_in_one_way).sequence(self._tree)
        return min(cost, _steps_of_one_way(self._tree, length)) if self._one_way else cost

    def _repeats_in_one_way(self, body: Tree) -> bool:
        """Whether a text can be matched in one way only by `body` as often as one likes."""
        known = self._one_way_bodies.get(id(body))
        if known is None:
            repeat = [(op.MAX_REPEAT, (0, op.MAXREPEAT, body))]
            known = self._one_way_bodies[id(body)] = not _is_character(body) and _leaves_no_choice(
                repeat, self._ignore_case
            )
        return known


class _Steps:
    """For names of one length. Each method gives the steps to try all ways from one place, and the number of ways."""

    def __init__(self, length: int, repeats_in_one_way: Callable[[Tree], bool]) -> None:
        self._length = length
        self._repeats_in_one_way = repeats_in_one_way

    def sequence(self, nodes: Tree) -> tuple[float, float]:
        cost = ways = 1.0
        for kind, value in nodes:
            more, factor = self._node(kind, value)
            cost += ways * more
            ways *= factor
        return cost, ways

    def _node(self, kind: Any, value: Any) -> tuple[float, float]:
        if kind in _CHARACTERS:
            return 1.0 + (len(value) if kind is op.IN else 0), 1.0
        if kind in _REPEATS:
            cost, ways = self._repeat(*value, possessive=kind is op.POSSESSIVE_REPEAT)
            return cost, 1.0 if kind is op.POSSESSIVE_REPEAT else ways
        if kind is op.SUBPATTERN:
            return self.sequence(value[3])
        if kind is op.BRANCH:
            return self._either(value[1])
        if kind in (op.ASSERT, op.ASSERT_NOT):
            return self.sequence(value[1])[0], 1.0
        if kind is op.ATOMIC_GROUP:
            return self.sequence(value)[0], 1.0
        if kind is op.GROUPREF:
            return 1.0 + self._length, 1.0
        if kind is op.GROUPREF_EXISTS:
            return self._either([branch or () for branch in value[1:]])
        if kind in (op.AT, op.FAILURE):
            return 1.0, 1.0
        raise ValueError(f"{kind} is not supported")

    def _either(self, branches: Iterable[Tree]) -> tuple[float, float]:
        costs, ways = zip(*map(self.sequence, branches), strict=True)
        return 1.0 + sum(costs), sum(ways)

    def _repeat(self, least: int, most: int, body: Tree, *, possessive: bool) -> tuple[float, float]:
        length = self._length
        shortest, longest = body.getwidth()
        rounds = int(min(most, length // shortest if shortest else max(least, length + 1)))
        if self._repeats_in_one_way(body):
            # One way for each end that it can have.
            return _steps_of_one_way(body, length), 1.0 + min(length, int(most) * longest)
        cost, ways = self.sequence(body)
        if ways == 1 or possessive:
            return 1.0 + (rounds + 1) * cost, float(max(1, rounds - least + 1))
        total = all_ways = paths = 1.0
        for _ in range(rounds + 1):
            total += paths * cost
            paths *= ways
            all_ways += paths
            if math.isinf(total):
                break
        return total, all_ways


def size(nodes: Tree, *, expanded: bool = False) -> float:
    """The number of operators in a tree; `expanded`: with what is repeated as often as it has to be there."""
    total = 0.0
    for kind, value in nodes:
        inside = sum(size(part, expanded=expanded) for part in parts(kind, value))
        if expanded and kind in _REPEATS:
            inside *= max(1, value[0])
        total += 1 + inside + (len(value) if kind is op.IN else 0)
    return total


def range_width(nodes: Tree) -> int:
    """The number of characters in all ranges of all sets. `re.compile` looks at each of those below U+10000."""
    total = 0
    for kind, value in nodes:
        total += sum(range_width(part) for part in parts(kind, value))
        if kind is op.IN:
            total += sum(min(bounds[1], 0xFFFF) - bounds[0] + 1 for item, bounds in value if item is op.RANGE)
    return total


def parts(kind: Any, value: Any) -> Iterable[Tree]:
    """The sequences that are inside of an operator."""
    if kind in _REPEATS:
        return (value[2],)
    if kind is op.SUBPATTERN:
        return (value[3],)
    if kind is op.BRANCH:
        return value[1]  # type: ignore[no-any-return]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return (value[1],)
    if kind is op.ATOMIC_GROUP:
        return (value,)
    if kind is op.GROUPREF_EXISTS:
        return [branch for branch in value[1:] if branch]
    return ()


def _ignores_case_somewhere(nodes: Tree) -> bool:
    return any(
        (kind is op.SUBPATTERN and value[1] & re.IGNORECASE) or any(map(_ignores_case_somewhere, parts(kind, value)))
        for kind, value in nodes
    )


def _is_character(nodes: Tree) -> bool:
    return len(nodes) == 1 and nodes[0][0] in _CHARACTERS


# Sets of characters as bits: one for each of ASCII, and one for all others together. They may have bits too many, so
# that sets without a common bit have no common character for sure.

_BEYOND: Final = 1 << 128
_ALL: Final = (1 << 129) - 1


def _bits(accepts: str) -> int:
    pattern = re.compile(accepts)
    return sum(1 << code for code in range(128) if pattern.match(chr(code)))


_LETTERS: Final = _bits("[A-Za-z]")
_SOMETIMES_SPACE: Final = _bits("[\x1c-\x1f]")
"""Space only where `re.ASCII` is not set."""
_CATEGORIES: Final = {
    op.CATEGORY_DIGIT: _bits(r"\d") | _BEYOND,
    op.CATEGORY_NOT_DIGIT: _bits(r"\D") | _BEYOND,
    op.CATEGORY_SPACE: _bits(r"\s") | _BEYOND,
    op.CATEGORY_NOT_SPACE: _bits(r"\S") | _SOMETIMES_SPACE | _BEYOND,
    op.CATEGORY_WORD: _bits(r"\w") | _BEYOND,
    op.CATEGORY_NOT_WORD: _bits(r"\W") | _BEYOND,
}


def _range_bits(first: int, last: int) -> int:
    below = ((1 << min(last + 1, 128)) - 1) & ~((1 << min(first, 128)) - 1)
    return below | (_BEYOND if last >= 128 else 0)


def _character_bits(kind: Any, value: Any, ignore_case: bool) -> int:
    """What a character may be."""
    if kind is op.LITERAL:
        return _any_case(_range_bits(value, value), ignore_case)
    if kind is op.RANGE:
        return _any_case(_range_bits(*value), ignore_case)
    if kind is op.CATEGORY:
        return _CATEGORIES[value]
    if kind is op.IN:
        negated = value[0][0] is op.NEGATE
        bits = 0
        for item, what in value[negated:]:
            bits |= _character_bits(item, what, ignore_case)
        return _other_than(bits, ignore_case) if negated else bits
    return _other_than(_range_bits(value, value), ignore_case) if kind is op.NOT_LITERAL else _ALL


def _any_case(bits: int, ignore_case: bool) -> int:
    # The Kelvin sign is a "k" then, and there are a few more like it.
    return bits | _LETTERS | _BEYOND if ignore_case and bits & (_LETTERS | _BEYOND) else bits


def _other_than(bits: int, ignore_case: bool) -> int:
    return _ALL if ignore_case else (_ALL & ~bits) | _SOMETIMES_SPACE | _BEYOND


class _Choice(Exception):
    """There is a text that can be matched in more than one way."""


class _Follow:
    """Which characters may come next at each place of a pattern: Glushkov's construction, with sets of characters.

    If no two continuations of a place share a character, a text can be matched in one way only.
    """

    def __init__(self, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._next: list[int] = []

    def sequence(self, nodes: Tree) -> tuple[int, list[int], bool]:
        """What a match can begin with, the places where it can end, and whether it can be empty."""
        first, last, empty = 0, list[int](), True
        for node in nodes:
            begins, ends, may_be_empty = self._node(node)
            self._connect(last, begins)
            if empty:
                first = _joined(first, begins)
            last = last + ends if may_be_empty else ends
            empty = empty and may_be_empty
        return first, last, empty

    def _node(self, node: tuple[Any, Any]) -> tuple[int, list[int], bool]:
        kind, value = node
        if kind in _CHARACTERS:
            self._next.append(0)
            return _character_bits(kind, value, self._ignore_case), [len(self._next) - 1], False
        if kind is op.SUBPATTERN:
            return self.sequence(value[3])
        if kind is op.BRANCH:
            return self._branches(value[1])
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT):
            return self._repeated(*value)
        if kind is op.AT:
            return 0, [], True
        raise _Choice

    def _branches(self, branches: Iterable[Tree]) -> tuple[int, list[int], bool]:
        first, last, empty = 0, list[int](), False
        for branch in branches:
            begins, ends, may_be_empty = self.sequence(branch)
            if empty and may_be_empty:
                raise _Choice
            first = _joined(first, begins)
            last += ends
            empty = empty or may_be_empty
        return first, last, empty

    def _repeated(self, least: int, most: int, body: Tree) -> tuple[int, list[int], bool]:
        first, last, empty = self.sequence(body)
        if empty:
            raise _Choice
        if most > 1:
            self._connect(last, first)
        return first, last, least == 0

    def _connect(self, places: list[int], begins: int) -> None:
        for place in places:
            self._next[place] = _joined(self._next[place], begins)


def _joined(bits: int, more: int) -> int:
    if bits & more:
        raise _Choice
    return bits | more


def _steps_of_one_way(nodes: Tree, length: int) -> float:
    """Where a text leaves no choice: at each character, every part may be asked whether it takes that."""
    return (1 + length) * (2 + size(nodes))


def _leaves_no_choice(nodes: Tree, ignore_case: bool) -> bool:
    """Whether a text can be matched by this sequence in one way only."""
    try:
        _Follow(ignore_case).sequence(nodes)
    except _Choice:
        return False
    return True
