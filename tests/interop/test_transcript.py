"""Ask the stock name server and ours the same long list of questions; the answers are the same, type by type.

The questions are in `scripts/transcript.py`. Where our answer is meant to be another, `DIFFERENCES` says so and why.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from asking import SERIALIZERS

from beyond_stock import BEYOND_STOCK
from processes import SCRIPTS, NameServer, NameServers, run_stock

Transcript = list[tuple[str, str]]
"""(operation, outcome) in the order in which they were performed."""


@dataclass(frozen=True)
class Difference:
    """Operations that are meant to give something else than with the stock server. All texts but `why` are patterns."""

    why: str
    operation: str
    stock: str
    ours: str


WRONG_TYPE = (
    r"!! TypeError\((['\"])(name|prefix|regex) must be a str, not \w+\1\) with remote traceback"
    r"|!! TypeError\((['\"])meta\w+ should be a collection of str, (not \w+|but contains .*)\3\) with remote traceback"
)
INTERPRETER = (
    r"!! TypeError\((\"'\w+' object is not iterable\"|\"unhashable type: '\w+'\"|'can only concatenate str .*'"
    r"|'startswith first arg must be str .*'|'first argument must be string or compiled pattern'"
    r"|'cannot use a bytes pattern on a string-like object')\) with remote traceback"
)

STOCK_METHODS = frozenset({"count", "list", "lookup", "ping", "register", "remove", "set_metadata"})


def listed(methods: frozenset[str]) -> str:
    """The inside of a list of methods."""
    return ", ".join(map(repr, sorted(methods)))


DIFFERENCES = (
    Difference(
        "An argument of a wrong type is named, instead of the operation of the interpreter that tripped over it.",
        operation=r"ns\..*",
        stock=INTERPRETER,
        ours=WRONG_TYPE,
    ),
    Difference(
        "The same in a batch.",
        operation=r"run_batch\(\('lookup', 1\), \('count',\)\)",
        stock=r"\(TypeError\('can only concatenate str .*'\) with remote traceback,\)",
        ours=r"\(TypeError\('name must be a str, not int'\) with remote traceback,\)",
    ),
    Difference(
        "The name server has methods that the stock ones have not.",
        operation=r"sorted\(ns\._pyroMethods\)|call_on\('Pyro\.Daemon', 'get_metadata', 'Pyro\.NameServer'.*\)",
        stock=rf".*[\[(]{listed(STOCK_METHODS)}(, 'yplookup')?[])].*",
        ours=rf".*[\[(]{listed(STOCK_METHODS | BEYOND_STOCK)}(, 'yplookup')?[])].*",
    ),
    Difference(
        "A registration may have two more arguments, of which the first is its lease.",
        operation=r"ns\.register\('a', 'PYRO:a@host:1', False, None, 'more'\)",
        stock=r"!! TypeError\('.*register\(\) takes from 3 to 5 positional arguments but 6 were given'\)"
        r" with remote traceback",
        ours=r"!! TypeError\('lease must be a number of seconds or None, not str'\) with remote traceback",
    ),
    Difference(
        "A tag is a str. Stock keeps anything that is hashable as long as the storage is memory.",
        operation=r"ns\.register\('odd', .*\)",
        stock=r"None",
        ours=WRONG_TYPE,
    ),
    Difference(
        "Nothing can have a tag that is not a str: who looks for one made a mistake.",
        operation=r"ns\.(list|yplookup)\(meta(data)?_(all|any)=.*\)",
        stock=r"\{\}",
        ours=WRONG_TYPE,
    ),
    Difference(
        "The same with a name.",
        operation=r"ns\.remove\((5|b'a')\)",
        stock=r"0",
        ours=WRONG_TYPE,
    ),
    Difference(
        "What stock has to protect does not exist here.",
        operation=r"call\('(storage|lock)'\)",
        stock=r"!! AttributeError\(\"attempt to access unexposed attribute '(\w+)'\"\) with remote traceback",
        ours=r"!! AttributeError\(\"'NameServer' object has no attribute '(\w+)'\"\) with remote traceback",
    ),
    Difference(
        "Names of the language are private, all of them.",
        operation=r"call\('__dict__'\)",
        stock=r"!! AttributeError\(\"attempt to access unexposed attribute '__dict__'\"\) with remote traceback",
        ours=r"!! AttributeError\(\"attempt to access private attribute '__dict__'\"\) with remote traceback",
    ),
)

STOCK_CANNOT_WRITE = re.compile(
    r"!! (ValueError\('unmarshallable object'\)"
    r"|\w+\.errors\.SerializeError\(\"don't know how to serialize class <class 'frozenset'> .*)"
    r" with remote traceback"
)
"""How the stock servers fail on answers that they cannot write: marshal with URIs inside tuples, and Pyro5's json and
msgpack with names that have no tags. The right answer is the one that they give with serpent, in the shapes below."""

SHAPES: dict[tuple[int, str], tuple[tuple[str, str], ...]] = {
    (4, "marshal"): (),
    (5, "marshal"): ((", ()", ", set()"),),  # only serpent has no empty set
    (5, "json"): (("set(", "["), ("(", "["), (")", "]")),
    (5, "msgpack"): (("set(", "["), ("(", "["), (")", "]")),
}

BY_DIALECT_AND_SERIALIZER = [(dialect, name) for dialect, names in SERIALIZERS.items() for name in names]


@pytest.mark.parametrize(("dialect", "serializer"), BY_DIALECT_AND_SERIALIZER)
def test_every_answer_is_the_stock_servers_answer(
    dialect: int,
    serializer: str,
    serve: NameServers,
    serve_stock4: NameServers,
    serve_stock5: NameServers,
    stock4_python: Path,
    stock5_python: Path,
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    serve_stock = {4: serve_stock4, 5: serve_stock5}[dialect]
    wanted = perform(python, serve_stock(), serializer)
    if any(STOCK_CANNOT_WRITE.fullmatch(outcome) for _, outcome in wanted):
        with_serpent = perform(python, serve_stock(), "serpent")
        wanted = with_what_it_cannot_write(wanted, with_serpent, SHAPES[dialect, serializer])
    # In Pyro5 the tags of a name are a set everywhere but in lists where it has none: there they are a frozenset.
    wanted = [(operation, outcome.replace("frozenset()", "set()")) for operation, outcome in wanted]
    for compression in ("off", "on"):
        ours = perform(python, serve(env={"PYRO_COMPRESSION": compression}), serializer, compression)
        problems = compare(wanted, ours)
        if problems:
            title = f"compression {compression}, {len(problems)} answers differ:"
            pytest.fail("\n\n".join([title, *problems]), pytrace=False)
        if serializer == "serpent":
            used = {meant(*step, outcome) for step, (_, outcome) in zip(wanted, ours, strict=True)}
            assert not set(DIFFERENCES) - used, "what is meant to be different is not: take it out of the table"


def perform(python: Path, server: NameServer, serializer: str, compression: str = "off") -> Transcript:
    script = SCRIPTS / "transcript.py"
    steps = run_stock(python, script, server.uri, serializer, env={"PYRO_COMPRESSION": compression})
    return [(operation, outcome) for operation, outcome in steps]


def with_what_it_cannot_write(
    transcript: Transcript, with_serpent: Transcript, shapes: tuple[tuple[str, str], ...]
) -> Transcript:
    """The transcript with the right answers where the stock server failed to write any."""
    answers: dict[tuple[str, int], str] = {}
    for step, times in numbered(with_serpent):
        answers[step[0], times] = step[1]
    mended = []
    for (operation, outcome), times in numbered(transcript):
        if STOCK_CANNOT_WRITE.fullmatch(outcome):
            outcome = answers[operation, times]
            for before, after in shapes:
                outcome = outcome.replace(before, after)
        mended.append((operation, outcome))
    return mended


def numbered(transcript: Transcript) -> list[tuple[tuple[str, str], int]]:
    """Each step and how often its operation came before it: some are repeated on purpose."""
    seen: dict[str, int] = {}
    result = []
    for step in transcript:
        seen[step[0]] = seen.get(step[0], 0) + 1
        result.append((step, seen[step[0]]))
    return result


def compare(wanted: Transcript, ours: Transcript) -> list[str]:
    """What is wrong with our transcript, each problem as a text to be read by a person."""
    assert [operation for operation, _ in ours] == [operation for operation, _ in wanted]
    problems = []
    for (operation, stock_outcome), (_, our_outcome) in zip(wanted, ours, strict=True):
        if stock_outcome == our_outcome or says_more(stock_outcome, our_outcome):
            continue
        if meant(operation, stock_outcome, our_outcome) is None:
            problems.append(f"{operation}\n  stock {stock_outcome}\n  ours  {our_outcome}")
    return problems


ERROR = re.compile(
    r"(?P<before>.*\b[\w.]*Error\()(?P<text>(['\"]).*\3)(?P<after>\) with remote traceback.*)",
    re.DOTALL,
)


def says_more(stock_outcome: str, our_outcome: str) -> bool:
    """Whether both are the same error and our text begins with the stock server's: programs match on those words."""
    stock, ours = ERROR.fullmatch(stock_outcome), ERROR.fullmatch(our_outcome)
    if stock is None or ours is None or stock["before"] != ours["before"] or stock["after"] != ours["after"]:
        return False
    return str(ast.literal_eval(ours["text"])).startswith(str(ast.literal_eval(stock["text"])))


def meant(operation: str, stock_outcome: str, our_outcome: str) -> Difference | None:
    """The entry of `DIFFERENCES` that speaks of this; None where there is none."""
    for difference in DIFFERENCES:
        patterns = (difference.operation, difference.stock, difference.ours)
        texts = (operation, stock_outcome, our_outcome)
        if all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in zip(patterns, texts, strict=True)):
            return difference
    return None


@pytest.mark.parametrize("dialect", [4, 5])
def test_two_stock_servers_give_the_same_answers(
    dialect: int, serve_stock4: NameServers, serve_stock5: NameServers, stock4_python: Path, stock5_python: Path
) -> None:
    """The method itself: nothing in a transcript depends on chance, so that every difference means something."""
    python = {4: stock4_python, 5: stock5_python}[dialect]
    serve_stock = {4: serve_stock4, 5: serve_stock5}[dialect]
    assert perform(python, serve_stock(), "serpent") == perform(python, serve_stock(), "serpent")
