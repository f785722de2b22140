"""What is asked of a name server to keep names registered, and what is told of it; without a name server or a clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from pyronym.client.announcing import Notice, NoticeKind, Wish
from pyronym.client.roster import MANY, Ask, Connect, Roster, Wait
from pyronym.errors import (
    ConnectionClosedError,
    NameServerNotFoundError,
    NameTakenError,
    PyroError,
    SecurityError,
    UnchangedError,
    UnknownNameError,
)
from pyronym.uri import URI

HERE, THERE = "ns1:9090", "ns2:9090"
URI_A = "PYRO:a@localhost:1"
URI_B = "PYRO:b@localhost:2"
GONE = ConnectionClosedError("gone")
NOBODY = NameServerNotFoundError([("ns1:9090", "refused")])
CUT_OFF = UnchangedError("etcd://h1/lab: no answer")
NO_RENEW = AttributeError("remote object has no exposed attribute or method 'renew'")
LEASE = 9.0


def pauses() -> Iterator[float]:
    return (float(2**number) for number in count())


def fine(asked: Ask) -> object:
    """What a name server with leases answers when all is well."""
    match asked.method:
        case "renew":
            return {"unknown": [], "taken": []}
        case "register":
            return {"name": asked.args[0], "id": f"id of {asked.args[0]}", "lease": LEASE, "ephemeral": False}
        case "remove":
            return 1
    raise AssertionError(f"nobody should ask {asked}")


def stock(asked: Ask) -> object:
    match asked.method:
        case "renew":
            return NO_RENEW
        case "register":
            assert "lease" not in asked.kwargs
            return None
        case "lookup":
            return URI(URI_A)
        case "remove":
            return 1
    raise AssertionError(f"nobody should ask {asked}")


class Story:
    """A roster, a clock, and what has been asked and told. The answers come from `answer`, or a dict of exceptions."""

    def __init__(self, *names: str, answer: Any = fine, **options: Any) -> None:
        self.now = 100.0
        self.answer = answer
        self.where = HERE
        self.there = True
        self.asked: list[str] = []
        self.roster = Roster(pauses)
        self.notices: list[Notice] = []
        for name in names:
            self.add(name, **options)

    def add(self, name: str, lease: float = LEASE, **options: Any) -> None:
        self.roster.add(Wish(name, URI_A, lease, **options), self.now)

    def end(self, name: str) -> None:
        self.notices += self.roster.end(name, self.now)

    def run(self, limit: int = 5000) -> float:
        """Do what there is to do; the seconds until there is something again."""
        for _ in range(limit):
            step = self.roster.next_step(self.now)
            if isinstance(step, Wait):
                return step.seconds
            self.do(step)
        raise AssertionError("it never rests")

    def until(self, method: str) -> Ask:
        """Do what there is to do until this method is to be called, which is left to be done."""
        while True:
            step = self.roster.next_step(self.now)
            assert not isinstance(step, Wait)
            if isinstance(step, Ask) and step.method == method:
                return step
            self.do(step)

    def do(self, step: Connect | Ask) -> None:
        if isinstance(step, Connect):
            self.asked.append("connect")
            if self.there:
                self.roster.connected(self.where, self.now)
            else:
                self.notices += self.roster.not_found(NOBODY, self.now)
            return
        self.asked.append(f"{step.method} {' '.join(step.names)}".strip())
        answer = self.answer(step)
        if isinstance(answer, ConnectionClosedError | UnchangedError):
            self.notices += self.roster.hung_up(answer, self.now)
        elif isinstance(answer, Exception):
            self.notices += self.roster.refused(answer, self.now)
        else:
            self.notices += self.roster.answered(answer, self.now)

    def later(self, seconds: float) -> float:
        self.now += seconds
        return self.run()

    def told(self) -> list[tuple[str, str]]:
        """What was told since this was asked last."""
        told = [(notice.kind.value, notice.name) for notice in self.notices]
        self.notices = []
        return told

    def heard(self) -> list[str]:
        """What was asked since this was asked last."""
        asked, self.asked = self.asked, []
        return asked


def running(*names: str, **options: Any) -> Story:
    """A story whose names are registered."""
    story = Story(*names, **options)
    story.run()
    story.told()
    story.heard()
    return story


def answering(method: str, answer: object, otherwise: Any = fine) -> Any:
    return lambda asked: answer if asked.method == method else otherwise(asked)


def test_names_are_registered_in_their_order_and_renewed_together_at_a_third_of_the_lease() -> None:
    story = Story("b", "a", "c")
    assert story.run() == pytest.approx(LEASE / 3)
    assert story.heard() == ["connect", "renew", "register b", "register a", "register c"]
    assert story.told() == [("registered", "b"), ("registered", "a"), ("registered", "c")]
    assert story.later(LEASE / 3) == pytest.approx(LEASE / 3)
    assert story.heard() == ["renew b a c"]
    assert story.told() == []


def test_a_registration_has_its_lease_and_tags_and_a_renewal_its_id() -> None:
    asked: list[Ask] = []
    story = Story("a", metadata=frozenset({"y", "x"}), safe=True, answer=lambda ask: asked.append(ask) or fine(ask))
    story.run()
    story.later(LEASE / 3)
    assert asked[1].args == ("a", URI_A)
    assert asked[1].kwargs == {"safe": True, "metadata": ["x", "y"], "lease": LEASE}
    assert asked[2].args == ({"a": "id of a"},)


def test_names_that_were_added_at_different_times_soon_keep_together() -> None:
    story = running("a")
    story.later(2.0)
    story.add("b")
    story.run()
    story.heard()
    story.later(1.0)  # a is due; not half of the interval of b is over
    assert story.heard() == ["renew a"]
    story.later(2.0)
    assert story.heard() == ["renew a b"]
    story.later(3.0)
    assert story.heard() == ["renew a b"]


def test_a_short_lease_does_not_make_long_ones_be_renewed_as_often() -> None:
    story = running("short", lease=0.9)
    story.add("long", lease=900.0)
    story.run()
    story.heard()
    for _ in range(10):
        story.later(0.3)
    assert story.heard() == ["renew short"] * 10


def test_very_many_names_are_renewed_by_several_requests() -> None:
    names = [f"n{number}" for number in range(MANY + 1)]
    story = running(*names)
    story.later(LEASE / 3)
    assert [len(asked.split()) - 1 for asked in story.heard()] == [MANY, 1]


def test_renewals_come_before_registrations() -> None:
    story = running("held")
    for number in range(3):
        story.add(f"new{number}")
    story.now += LEASE / 3
    assert story.roster.next_step(story.now) == Ask("renew", ({"held": "id of held"},), {}, ("held",))


def test_what_the_name_server_has_forgotten_is_registered_again_but_not_in_place_of_others() -> None:
    story = running("a", "b", "c")
    story.answer = answering("renew", {"unknown": ["a", "c"], "taken": []})
    story.later(LEASE / 3)
    assert story.heard() == ["renew a b c", "register a", "register c"]
    assert story.told() == [
        ("lost", "a"),
        ("lost", "c"),
        ("registered again", "a"),
        ("registered again", "c"),
    ]


@pytest.mark.parametrize(("take_back", "safe"), [(False, True), (True, False)])
def test_it_is_registered_again_in_place_of_others_only_where_that_is_wanted(take_back: bool, safe: bool) -> None:
    story = running("a", take_back=take_back)
    asked: list[Ask] = []
    story.answer = lambda ask: (
        asked.append(ask) or ({"unknown": ["a"], "taken": []} if ask.method == "renew" else fine(ask))
    )
    story.later(LEASE / 3)
    assert [ask.kwargs["safe"] for ask in asked if ask.method == "register"] == [safe]


def taken_by(uri: str) -> Any:
    def answer(asked: Ask) -> object:
        if asked.method == "lookup":
            return URI(uri)
        return {"unknown": [], "taken": ["a"]} if asked.method == "renew" else fine(asked)

    return answer


def test_a_name_that_another_has_taken_is_left_to_it() -> None:
    story = running("a", "b")
    story.answer = taken_by(URI_B)
    story.later(LEASE / 3)
    assert story.heard() == ["renew a b", "lookup a"]
    assert [(notice.kind, str(notice.problem)) for notice in story.notices] == [
        (NoticeKind.TAKEN, "name already registered: a"),
        (NoticeKind.ENDED, "None"),
    ]
    story.answer = fine
    story.later(LEASE)
    assert story.heard() == ["renew b"]


def test_a_name_that_another_has_taken_is_taken_back_if_that_is_wanted() -> None:
    story = running("a", take_back=True)
    story.answer = taken_by(URI_B)
    assert story.later(LEASE / 3) == pytest.approx(LEASE / 3)
    assert story.heard() == ["renew a", "lookup a", "register a"]
    assert story.told() == [("taken", "a"), ("registered again", "a")]


def test_an_older_registration_of_our_own_is_replaced_without_a_word() -> None:
    story = running("a")
    story.answer = taken_by(URI_A)
    story.later(LEASE / 3)
    assert story.heard() == ["renew a", "lookup a", "register a"]
    assert story.told() == []


def test_a_name_that_is_taken_at_first_is_told_and_given_up() -> None:
    story = Story("a", safe=True, answer=answering("register", NameTakenError("a")))
    story.run()
    assert story.told() == [("taken", "a"), ("ended", "a")]
    assert len(story.roster) == 0


def test_a_safe_registration_whose_answer_got_lost_finds_itself() -> None:
    story = Story("a", safe=True, answer=answering("register", GONE))
    for _ in range(3):  # connect, renew, register
        step = story.roster.next_step(story.now)
        assert not isinstance(step, Wait)
        story.do(step)

    def answer(asked: Ask) -> object:
        if asked.method == "lookup":
            return URI(URI_A)
        return NameTakenError("a") if asked.method == "register" and asked.kwargs["safe"] else fine(asked)

    story.answer = answer
    story.run()
    assert story.heard()[3:] == ["connect", "renew", "register a", "lookup a", "register a"]
    assert story.told() == [("registered", "a")]


def test_a_safe_registration_whose_answer_got_lost_may_find_somebody_else() -> None:
    story = Story("a", safe=True, take_back=True, answer=answering("register", GONE))
    for _ in range(3):
        step = story.roster.next_step(story.now)
        assert not isinstance(step, Wait)
        story.do(step)
    story.answer = lambda asked: (
        URI(URI_B) if asked.method == "lookup" else NameTakenError("a") if asked.method == "register" else fine(asked)
    )
    story.run()
    assert story.heard()[3:] == ["connect", "renew", "register a", "lookup a"]
    assert story.told() == [("taken", "a"), ("ended", "a")]


def test_one_lost_connection_means_nothing_where_the_name_server_is_there() -> None:
    story = running("a")
    story.now += LEASE / 3
    story.answer = lambda _: GONE
    step = story.roster.next_step(story.now)
    assert isinstance(step, Ask)
    story.do(step)
    story.answer = fine
    assert story.run() == pytest.approx(LEASE / 3)
    assert story.heard() == ["renew a", "connect", "renew a"]
    assert story.told() == []


def test_a_name_server_that_always_hangs_up_is_left_in_peace_for_a_while() -> None:
    story = running("a")
    story.answer = lambda _: GONE
    assert story.later(LEASE / 3) == pytest.approx(1.0)
    assert story.heard() == ["renew a", "connect", "renew a"]
    assert story.told() == [("lost", "a")]


def cut_off(asked: Ask) -> object:
    """What a node answers that can change nothing: to renew no names is no change."""
    return CUT_OFF if asked.names else fine(asked)


def test_a_new_name_fails_and_waits_where_no_node_can_change_anything() -> None:
    story = Story("a", answer=cut_off)
    assert story.run() == pytest.approx(1.0)
    assert story.heard() == ["connect", "renew", "register a"] * 2
    assert [(notice.kind, notice.problem) for notice in story.notices] == [(NoticeKind.FAILED, CUT_OFF)]
    assert story.later(1.0) == pytest.approx(2.0)


def test_a_name_that_was_kept_is_let_go_at_the_end_where_no_node_can_change_anything() -> None:
    story = running("a")
    story.answer = answering("remove", CUT_OFF)
    story.end("a")
    story.run()
    assert story.heard()[:5] == ["renew a", "remove a", "connect", "renew", "remove a"]
    assert story.told() == [("ended", "a")]


def test_what_a_node_could_not_register_is_not_looked_for_at_the_end() -> None:
    story = Story("a", answer=cut_off)
    registration = story.until("register")
    story.end("a")
    story.do(registration)
    assert story.told() == [("ended", "a")]


def test_a_name_server_that_is_gone_is_looked_for_less_and_less_but_once_in_an_interval() -> None:
    story = running("a", "b")
    story.there = False
    story.answer = lambda _: GONE
    waited = [story.later(LEASE / 3), *(story.later(seconds) for seconds in (1.0, 2.0, 3.0, 3.0))]
    assert waited == pytest.approx([1.0, 2.0, 3.0, 3.0, 3.0])
    assert story.told() == [("lost", "a"), ("lost", "b")]


def test_a_name_that_was_kept_is_found_when_the_name_server_is_back() -> None:
    story = running("a")
    story.there, story.answer = False, lambda _: GONE
    story.later(LEASE / 3)
    story.there, story.answer = True, fine
    story.later(1.0)
    assert story.told() == [("lost", "a"), ("found", "a")]


def test_each_loss_is_told() -> None:
    story = running("a")
    for _ in range(2):
        story.there, story.answer = False, lambda _: GONE
        story.later(LEASE / 3)
        story.there, story.answer = True, fine
        story.later(1.0)
    assert story.told() == [("lost", "a"), ("found", "a")] * 2


def test_a_name_that_is_renewed_at_another_node_has_moved() -> None:
    story = running("a")
    story.where = THERE
    story.roster.hung_up(GONE, story.now)
    story.run()
    assert [(notice.kind, notice.where) for notice in story.notices] == [(NoticeKind.MOVED, THERE)]
    story.notices.clear()
    story.later(LEASE / 3)
    assert story.told() == []


def test_searches_begin_anew_for_a_new_name_and_after_an_answer() -> None:
    story = Story("a")
    story.there = False
    assert [story.run(), story.later(1.0)] == [1.0, 2.0]
    story.there = True
    story.add("b")
    story.run()
    story.there = False
    story.roster.hung_up(GONE, story.now)
    assert story.run() == 1.0


def test_without_a_name_server_a_new_name_fails_once_for_each_reason() -> None:
    story = Story("a")
    story.there = False
    story.run()
    story.later(1.0)
    assert [notice.problem for notice in story.notices] == [NOBODY]
    assert [notice.kind for notice in story.notices] == [NoticeKind.FAILED]


def test_a_refused_registration_is_tried_again_at_the_next_interval() -> None:
    story = Story("a", answer=answering("register", SecurityError("not for you")))
    assert story.run() == pytest.approx(LEASE / 3)
    story.later(LEASE / 3)
    assert story.heard() == ["connect", "renew", "register a", "register a"]
    assert story.told() == [("failed", "a")]
    story.answer = fine
    story.later(LEASE / 3)
    assert story.told() == [("registered", "a")]
    story.answer = answering("renew", SecurityError("not for you"))
    story.later(LEASE / 3)
    assert story.told() == [("failed", "a")]


def test_a_refusal_by_the_node_that_it_moves_to_is_a_failure_as_any_other() -> None:
    story = running("a")
    story.answer = answering("renew", SecurityError("not for you"))
    story.roster.hung_up(GONE, story.now)
    assert story.run() == pytest.approx(LEASE / 3)
    assert story.heard() == ["connect", "renew a"]
    assert story.told() == [("failed", "a")]


def test_a_registration_that_gives_no_id_is_a_failure() -> None:
    story = Story("a", answer=answering("register", None))
    assert story.run() == pytest.approx(LEASE / 3)
    assert [(notice.kind, str(notice.problem)) for notice in story.notices] == [
        (NoticeKind.FAILED, "the answer to register is None (expected the id of a lease)")
    ]


def test_one_name_that_may_not_be_renewed_does_not_keep_the_others_from_it() -> None:
    def answer(asked: Ask) -> object:
        return SecurityError("not b") if asked.method == "renew" and "b" in asked.names else fine(asked)

    story = running("a", "b", "c")
    story.answer = answer
    assert story.later(LEASE / 3) == pytest.approx(LEASE / 3)
    assert story.heard() == ["renew a b c", "renew a", "renew b", "renew c"]
    assert story.told() == [("failed", "b")]
    story.later(LEASE / 3)
    assert story.heard() == ["renew a c", "renew b"]
    story.answer = fine
    story.later(LEASE / 3)
    story.later(LEASE / 3)
    assert story.heard() == ["renew a c", "renew b", "renew a b c"]


def test_an_answer_that_makes_no_sense_is_a_failure() -> None:
    story = running("a")
    story.answer = answering("renew", 7)
    story.later(LEASE / 3)
    assert [(notice.kind, str(notice.problem)) for notice in story.notices] == [
        (NoticeKind.FAILED, "the answer to renew is 7 (expected unknown and taken)")
    ]


def test_a_stock_name_server_is_asked_each_interval_whether_the_names_are_there() -> None:
    story = Story("a", "b", answer=stock)
    assert story.run() == pytest.approx(LEASE / 3)
    assert story.roster.leases is False
    assert story.heard() == ["connect", "renew", "register a", "register b"]
    story.later(LEASE / 3)
    assert story.heard() == ["lookup a", "lookup b"]
    story.answer = answering("lookup", UnknownNameError("a"), stock)
    story.later(LEASE / 3)
    assert story.heard() == ["lookup a", "lookup b", "register a", "register b"]
    assert story.told()[2:] == [("lost", "a"), ("lost", "b"), ("registered again", "a"), ("registered again", "b")]
    story.answer = answering("lookup", URI(URI_B), stock)
    story.later(LEASE / 3)
    assert story.told() == [("taken", "a"), ("ended", "a"), ("taken", "b"), ("ended", "b")]


@pytest.mark.parametrize(("before", "after"), [(fine, stock), (stock, fine)])
def test_the_name_server_may_be_replaced_by_one_of_another_kind(before: Any, after: Any) -> None:
    story = running("a", answer=before)
    story.answer = answering("lookup", URI(URI_A), after)
    story.roster.hung_up(GONE, story.now)
    assert story.run() == pytest.approx(LEASE / 3)
    assert story.roster.leases is (after is fine)
    assert story.told() == []
    assert story.heard() == (
        ["connect", "renew a", "lookup a"] if after is stock else ["connect", "renew", "lookup a", "register a"]
    )


def test_at_the_end_only_what_is_still_ours_is_removed() -> None:
    story = running("ours", "gone", "taken")
    story.answer = answering("renew", {"unknown": ["gone"], "taken": ["taken"]})
    for name in ("ours", "gone", "taken"):
        story.end(name)
    story.run()
    assert story.heard() == ["renew ours gone taken", "remove ours"]
    assert story.told() == [("ended", "gone"), ("ended", "taken"), ("ended", "ours")]


@pytest.mark.parametrize(("found", "asked"), [(URI_A, ["lookup a", "remove a"]), (URI_B, ["lookup a"])])
def test_at_a_stock_name_server_as_well(found: str, asked: Sequence[str]) -> None:
    story = running("a", answer=stock)
    story.answer = answering("lookup", URI(found), stock)
    story.end("a")
    story.run()
    assert story.heard() == asked
    assert story.told() == [("ended", "a")]


def test_what_may_have_been_registered_is_removed_at_the_end() -> None:
    story = Story("a", answer=answering("register", GONE))
    for _ in range(3):
        step = story.roster.next_step(story.now)
        assert not isinstance(step, Wait)
        story.do(step)
    story.answer = answering("lookup", URI(URI_A))
    story.end("a")
    story.run()
    assert story.heard()[3:] == ["connect", "renew", "lookup a", "remove a"]
    assert story.told() == [("ended", "a")]


def test_what_was_never_registered_ends_at_once() -> None:
    story = Story("a")
    story.end("a")
    assert story.told() == [("ended", "a")]
    assert len(story.roster) == 0


def test_without_a_name_server_all_ends_without_a_removal() -> None:
    story = running("a", "b")
    story.there = False
    story.end("a")
    story.answer = lambda _: GONE
    story.run()
    story.end("b")
    assert [told for told in story.told() if told[0] == "ended"] == [("ended", "a"), ("ended", "b")]
    assert len(story.roster) == 0


def test_an_end_during_the_registration_removes_what_comes_of_it() -> None:
    story = Story("a")
    registration = story.until("register")
    story.end("a")
    story.do(registration)
    story.run()
    assert story.heard()[-2:] == ["register a", "remove a"]
    assert len(story.roster) == 0


def test_a_removal_that_is_refused_is_told_and_not_tried_again() -> None:
    story = running("a")
    story.answer = answering("remove", SecurityError("not for you"))
    story.end("a")
    assert story.run() == float("inf")
    assert story.told() == [("failed", "a"), ("ended", "a")]


def test_a_name_is_announced_once() -> None:
    story = Story("a")
    with pytest.raises(ValueError, match="announces 'a' already"):
        story.add("a")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((7, URI_A, 1.0, None), TypeError, "name must be a str, not int"),
        (("a", 7, 1.0, None), TypeError, "only URIs or strings can be registered, not int"),
        (("a", "nonsense", 1.0, None), PyroError, "nonsense"),
        (("a", URI_A, None, None), TypeError, "lease must be a number of seconds, not None"),
        (("a", URI_A, 0.0, None), ValueError, "invalid lease: 0.0"),
        (("a", URI_A, 1.0, "tag"), TypeError, "metadata should not be a str"),
    ],
)
def test_what_no_name_server_takes_is_refused_at_once(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Wish.checked(*arguments, safe=False, take_back=False)
