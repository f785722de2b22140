"""Whether the checker finds what is wrong, and nothing else: a sound history, broken in one place each time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.availability import longest
from chaos.checker import violations
from chaos.history import Answer, Commit, History, Kind, Operation, Outcome, Told

A, B, C = "PYRO:a@h:1", "PYRO:b@h:1", "PYRO:c@h:1"


def sound() -> History:
    """One name, on two nodes: registered safely, replaced, removed, and registered with a lease, which ends."""
    return History(
        operations=[
            Operation("ann", "register_safe", "x", "n0", 1.0, 1.1, uri=A),
            Operation("bob", "register_safe", "x", "n1", 1.0, 1.2, Outcome.TAKEN, uri="PYRO:z@h:1", words="taken"),
            Operation("ann", "lookup", "x", "n0", 2.0, 2.1, uri=A),
            Operation("bob", "register", "x", "n1", 3.0, 3.1, uri=B),
            Operation("ann", "lookup", "x", "n0", 3.2, 3.3, uri=A),  # n0 has not heard of it yet
            Operation("ann", "list", "", "n0", 4.0, 4.1, listing={"x": B}),
            Operation("ann", "remove", "x", "n0", 5.0, 5.1, count=1),
            Operation("bob", "remove", "x", "n0", 5.2, 5.3, count=0),
            Operation("bob", "lookup", "x", "n0", 5.4, 5.5, uri=None),
            Operation("bob", "register", "x", "n1", 6.0, 6.1, uri=C, lease=5.0),
            Operation("bob", "renew", "x", "n0", 7.0, 7.1, count=1, lease=5.0),
        ],
        answers=[
            Answer("eve", "", "n0", 0.5, 0.6, None, 1),
            Answer("eve", "", "n0", 0.7, 1.1, 1, 2, [Told(2, "registered", "x", A)]),
            Answer("eve", "", "n1", 1.2, 5.1, 2, 4, [Told(3, "updated", "x", B), Told(4, "removed", "x", B)]),
            Answer("eve", "", "n1", 5.2, 12.5, 4, 7, [Told(5, "registered", "x", C), Told(6, "updated", "x", C)]),
            Answer("eve", "", "n1", 12.6, 13.0, 7, 8, [Told(8, "expired", "x", C)]),
        ],
        commits=[
            Commit(2, "x", A),
            Commit(3, "x", B),
            Commit(4, "x", None),
            Commit(5, "x", C, leased=True),
            Commit(6, "x", C, leased=True),
            Commit(8, "x", None),
        ],
        ends={"n0": {}, "n1": {}},
    )


def test_a_sound_history_passes() -> None:
    assert violations(sound()) == []


def changed(part: str, index: int, /, **values: object) -> Callable[[History], None]:
    """Breaks one part of a history."""

    def breaks(history: History) -> None:
        items = getattr(history, part)
        items[index] = replace(items[index], **values)

    return breaks


def dropped(kind: str, number: int) -> Callable[[History], None]:
    return lambda history: getattr(history, kind).pop(number)


def added(kind: str, *what: object) -> Callable[[History], None]:
    return lambda history: getattr(history, kind).extend(what)


def uncertain_removal(history: History) -> None:
    """A second deletion, which nobody but one who does not know whether it was done can have made."""
    history.commits[6:] = [Commit(9, "x", "PYRO:d@h:1"), Commit(10, "x", None)]
    history.operations += [Operation("bob", "register", "x", "n1", 20.0, 20.1, uri="PYRO:d@h:1")]
    history.answers += [Answer("eve", "", "n1", 20.0, 21.0, 8, 10, told_of_d())]


def told_of_d() -> list[Told]:
    return [Told(9, "registered", "x", "PYRO:d@h:1"), Told(10, "removed", "x", "PYRO:d@h:1")]


REMOVED_LATER = Operation("ann", "remove", "x", "n0", 20.2, 20.3, Outcome.UNKNOWN)

BROKEN = {
    "an acknowledged registration that etcd never had": (
        added("operations", Operation("ann", "register", "y", "n0", 8.0, 8.1, uri="PYRO:y@h:1")),
        ["LOST: ann at n0, 8.000-8.100: register y = PYRO:y@h:1 (ok): etcd has never had it"],
    ),
    "an acknowledged removal that etcd never had": (
        added("operations", Operation("ann", "remove", "x", "n0", 5.15, 5.16, count=1)),
        ["LOST: "],
    ),
    "a removal that is acknowledged long before etcd has it": (
        changed("operations", 6, invoked=2.2, returned=2.3),
        ["LOST: ann at n0, 2.200-2.300: remove x = 1 (ok): there is no deletion for it, expected after 2 and before 3",
         "FROM NOWHERE: revision 4: x was deleted"],
    ),
    "a refused registration that was made": (
        changed("operations", 3, outcome=Outcome.REFUSED, words="nothing was changed"),
        ["DONE ALTHOUGH REFUSED"],
    ),
    "a registration that overtakes one which was acknowledged before it began": (
        changed("operations", 3, invoked=0.1, returned=0.2),
        ["OUT OF ORDER: bob at n1, 0.100-0.200: register x"],
    ),
    "a safe registration of a name that was there": (
        changed("operations", 3, kind="register_safe"),
        ["NOT SAFE: bob at n1, 3.000-3.100: register_safe x = PYRO:b@h:1 (ok): at revision 3 it replaced PYRO:a@h:1"],
    ),
    "a safe registration that is refused although nobody had the name": (
        added("operations", Operation("ann", "register_safe", "y", "n0", 8.0, 8.1, Outcome.TAKEN, uri="PYRO:y@h:1")),
        ["NEVER SO: ann at n0, 8.000-8.100: register_safe y"],
    ),
    "a removal that finds nothing where there always was something": (
        changed("operations", 7, invoked=2.2, returned=2.3),
        ["BACK IN TIME: bob at n0, 2.200-2.300: remove x = 0 (ok): this was over at revision 2"],
    ),
    "a record that nobody has registered": (changed("operations", 3, uri="PYRO:q@h:1"), ["LOST", "FROM NOWHERE"]),
    "a deletion that nobody has asked for": (dropped("operations", 6), ["FROM NOWHERE: revision 4"]),
    "a deletion too many": (uncertain_removal, ["FROM NOWHERE: revision 10"]),
    "a record without a lease that is written twice": (changed("commits", 3, leased=False), ["TWICE: revision 6"]),
    "a record that comes back": (
        changed("commits", 4, uri=B),
        ["CAME BACK: revision 6: x = PYRO:b@h:1: it was registered at 3, then PYRO:c@h:1"],
    ),
    "a lookup of what never was": (changed("operations", 2, uri="PYRO:q@h:1"), ["NEVER SO: ann at n0, 2.000"]),
    "a lookup that goes back in time": (
        added("operations", Operation("bob", "lookup", "x", "n0", 4.2, 4.3, uri=A)),
        ["BACK IN TIME: bob at n0, 4.200-4.300: lookup x = PYRO:a@h:1 (ok): this was over at revision 3, and the node "
         "had come to 3 before, with ann at n0, 4.000-4.100: list"],
    ),
    "a lookup that does not see what its node has acknowledged": (
        added("operations", Operation("bob", "lookup", "x", "n1", 3.2, 3.3, uri=A)),
        ["BACK IN TIME: bob at n1, 3.200"],
    ),
    "a lookup that does not see what its node has told a watcher": (
        added("operations", Operation("bob", "lookup", "x", "n1", 5.3, 5.4, uri=B)),
        ["BACK IN TIME: bob at n1, 5.300"],
    ),
    "a lookup that sees what is registered later": (
        changed("operations", 2, uri=B),
        ["FROM THE FUTURE: ann at n0, 2.000"],
    ),
    "a list that was never so": (changed("operations", 5, listing={"x": B, "y": B}), ["NEVER SO: ann at n0, 4.000"]),
    "a watcher who is not told of a change": (
        changed("answers", 2, changes=[Told(4, "removed", "x", B)]),
        ["NOT TOLD: eve at n1, 5.100: watch  since 2: Told(revision=3"],
    ),
    "a watcher who is told of what was not": (
        changed("answers", 1, changes=[Told(2, "registered", "x", A), Told(2, "registered", "y", A)]),
        ["TOLD WRONGLY: eve at n0"],
    ),
    "a watcher who is told something twice": (
        changed("answers", 1, changes=[Told(2, "registered", "x", A)] * 2),
        ["TOLD TWICE"],
    ),
    "a watcher who is told in another order": (
        changed("answers", 2, changes=[Told(4, "removed", "x", B), Told(3, "updated", "x", B)]),
        ["OUT OF ORDER: eve at n1, 5.100"],
    ),
    "a watcher who is told that an unleased record has expired": (
        changed("answers", 2, changes=[Told(3, "updated", "x", B), Told(4, "expired", "x", B)]),
        ["NOT TOLD", "TOLD WRONGLY"],
    ),
    "a watcher who is led back": (
        added("answers", Answer("eve", "", "n1", 13.1, 13.2, 8, 6)),
        ["BACK IN TIME: eve", "NOT TOLD"],
    ),
    "a watcher who goes on from somewhere else": (
        changed("answers", 4, since=5),
        ["ASKED WRONGLY: eve", "NOT TOLD: eve at n1, 13.000: watch  since 5: Told(revision=6"],
    ),
    "a watcher who hears nothing any more": (dropped("answers", 4), ["NOT TOLD: eve at n1, 12.500"]),
    "a list after a reset that is older than it": (
        lambda history: (
            history.answers.append(Answer("eve", "", "n1", 13.1, 13.2, 8, 8, reset=True)),
            history.operations.append(Operation("eve", "list", "", "n1", 13.3, 13.4, listing={"x": C})),
        ),
        ["BACK IN TIME: eve at n1, 13.300"],
    ),
    "a lease that ends too early": (
        changed("operations", 10, invoked=12.0, returned=12.1),
        ["ENDED EARLY: bob at n0, 12.000-12.100: renew x = 1 (ok): its lease of 5 s had ended at 13.000"],
    ),
    "a node that never hears of the end": (
        lambda history: history.ends.update(n1={"x": C}),
        ["NEVER KNOWN: n1 has x = PYRO:c@h:1 in the end, and etcd has None"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_history_is_found(what: str) -> None:
    breaks, expected = BROKEN[what]
    history = sound()
    breaks(history)
    found = violations(history)
    for words in expected:
        assert any(violation.startswith(words) for violation in found), found


@pytest.mark.parametrize(
    "unknown",
    [
        Operation("bob", "register", "x", "", 3.15, 3.2, Outcome.UNKNOWN, uri="PYRO:u@h:1"),
        Operation("bob", "remove", "x", "", 1.0, 1.1, Outcome.UNKNOWN),
    ],
)
def test_what_is_unknown_may_not_have_happened(unknown: Operation) -> None:
    history = sound()
    history.operations.append(unknown)
    assert violations(history) == []


def test_what_is_unknown_may_happen_long_after_its_client_has_given_up() -> None:
    history = sound()
    history.operations[3] = replace(history.operations[3], invoked=1.3, returned=1.4, outcome=Outcome.UNKNOWN)
    history.operations[6] = replace(history.operations[6], invoked=1.3, returned=1.4, outcome=Outcome.UNKNOWN)
    assert violations(history) == []


def test_a_reset_may_lead_anywhere_and_is_followed_by_what_comes_next() -> None:
    history = sound()
    history.answers[4:] = [
        Answer("eve", "", "n1", 12.6, 13.0, 7, 5, reset=True),
        Answer("eve", "", "n1", 13.1, 13.2, 5, 8, [Told(6, "updated", "x", C), Told(8, "removed", "x", C)]),
    ]
    assert violations(history) == []


def test_what_is_unknown_explains_one_deletion() -> None:
    history = sound()
    uncertain_removal(history)
    history.operations.append(REMOVED_LATER)
    assert violations(history) == []


def test_what_is_unknown_cannot_happen_before_it_is_asked_for() -> None:
    history = sound()
    history.operations[3] = replace(history.operations[3], invoked=6.2, returned=6.3, outcome=Outcome.UNKNOWN)
    assert any(violation.startswith("OUT OF ORDER: bob at n1, 6.200") for violation in violations(history))


def test_who_finds_a_name_taken_may_have_met_one_who_fails_in_the_end() -> None:
    history = sound()
    history.operations += [
        Operation("ann", "register", "y", "n0", 8.0, 9.0, Outcome.REFUSED, uri="PYRO:y@h:1"),
        Operation("bob", "register_safe", "y", "n0", 8.5, 8.6, Outcome.TAKEN, uri="PYRO:v@h:1"),
    ]
    assert violations(history) == []


def test_leases_may_end_early_where_faults_last_longer() -> None:
    history = sound()
    history.operations[10] = replace(history.operations[10], invoked=12.0, returned=12.1)
    assert violations(history, calm_until=12.9) == []


NAMES = ["x", "y", "yz"]


def simulated(seed: int, steps: int) -> History:
    """What clients of two nodes would see if all were right. Everything happens at a whole second; it is asked for some
    time before, and answered some time after that.
    """
    chance = random.Random(seed)
    history, state, states, known = History(), {}, [{}], {"n0": 0, "n1": 0}
    for now in range(steps):
        node = chance.choice(list(known))
        times = {"invoked": now - chance.random() * 4, "returned": now + chance.random() * 4}
        name, kind = (
            chance.choice(NAMES),
            chance.choice(["register", "register_safe", "remove", "lookup", "list", "lag"]),
        )
        operation = Operation("c", "lookup", name, node, **times)
        if kind.startswith("register"):
            uri, taken = f"PYRO:o{now}@h:1", kind == "register_safe" and name in state
            outcome = Outcome.TAKEN if taken else chance.choice([Outcome.OK, Outcome.OK, Outcome.UNKNOWN])
            operation = replace(operation, kind=kind, uri=uri, outcome=outcome)
            if not taken:
                state[name] = uri
                history.commits.append(Commit(len(states), name, uri))
        elif kind == "remove":
            operation = replace(operation, kind=kind, count=int(name in state))
            if name in state:
                del state[name]
                history.commits.append(Commit(len(states), name, None))
        if history.commits and history.commits[-1].revision == len(states):
            states.append(dict(state))
            known[node] = len(states) - 1
        if kind == "lag":
            known[node] = chance.randint(known[node], len(states) - 1)
            continue
        if kind == "lookup":
            operation = replace(operation, uri=states[known[node]].get(name))
        elif kind == "list":
            seen = {key: uri for key, uri in states[known[node]].items() if key.startswith(name)}
            operation = replace(operation, kind=kind, listing=seen)
        history.operations.append(operation)
    history.ends = {"n0": state, "n1": state}
    return history


@given(st.integers(), st.integers(0, 200))
def test_whatever_right_nodes_do_passes(seed: int, steps: int) -> None:
    assert violations(simulated(seed, steps)) == []


@given(st.integers(), st.data())
def test_whatever_acknowledged_change_is_lost_is_found(seed: int, data: st.DataObject) -> None:
    history = simulated(seed, 100)
    acknowledged = {op.uri for op in history.operations if op.kind.startswith("register") and op.outcome is Outcome.OK}
    lost = data.draw(st.sampled_from([commit for commit in history.commits if commit.uri in acknowledged]))
    history.commits.remove(lost)
    assert any(violation.startswith("LOST") for violation in violations(history))


@pytest.mark.parametrize(
    ("kind", "outcome", "count", "expected"),
    [
        ("register", Outcome.OK, 0, True),
        ("register_safe", Outcome.OK, 0, True),
        ("register_safe", Outcome.TAKEN, 0, False),
        ("register_safe", Outcome.REFUSED, 0, True),
        ("remove", Outcome.OK, 1, True),
        ("remove", Outcome.OK, 0, False),
        ("remove", Outcome.UNKNOWN, 0, True),
        ("lookup", Outcome.OK, 0, False),
        ("renew", Outcome.OK, 1, False),
    ],
)
def test_only_what_needs_etcd_says_how_long_it_was_away(
    kind: Kind, outcome: Outcome, count: int, expected: bool
) -> None:
    assert Operation("ann", kind, "x", "n0", 1.0, 1.1, outcome, count=count).needs_etcd is expected


def test_a_wait_goes_from_the_first_call_in_vain_to_the_next_answer() -> None:
    calls = [
        Operation("ann", "lookup", "x", "n0", 1.0, 1.1),
        Operation("ann", "lookup", "x", "", 2.0, 2.5, Outcome.REFUSED),
        Operation("bob", "lookup", "x", "n1", 2.0, 2.6),
        Operation("ann", "lookup", "x", "", 2.5, 3.0, Outcome.REFUSED),
        Operation("ann", "lookup", "x", "n1", 3.0, 3.25),
        Operation("ann", "lookup", "x", "", 9.0, 11.0, Outcome.REFUSED),
    ]
    found = longest(calls, 2.2, 8.0)
    assert found is not None
    assert (found.client, found.began, found.ended) == ("ann", 2.0, 3.25)
    assert longest(calls, 1.5, 1.9) is None
    late = longest(calls, 8.5, 20.0)
    assert late is not None
    assert late.seconds == 2.0  # the last call of all was in vain
