"""What is probed, what is removed and when: tables, with times that the tests give."""

from __future__ import annotations

import pytest

from pyronym.directory.record import Lease, Record
from pyronym.service.liveness import (
    ALIVE,
    NOT_PROBED,
    UNKNOWN_OBJECT,
    UNREACHABLE,
    Alive,
    Dead,
    Expected,
    Finding,
    Liveness,
    State,
    is_near,
)
from pyronym.uri import NAMESERVER_NAME, URI

FAR = Record("far", "PYRO:obj@10.0.0.7:5000")
NEAR = Record("near", "PYRO:obj@127.0.0.1:5000")
HERE = Alive({"obj", "Pyro.Daemon"})
EMPTY = Alive({"Pyro.Daemon"})
SILENT = Alive(None)
DEAD = Dead("connection refused")


def test_the_object_and_its_daemon_are_what_is_probed() -> None:
    assert Liveness(20, all_from_here=False).target(FAR) == (URI(FAR.uri), "obj")


@pytest.mark.parametrize(
    "record",
    [
        Record(NAMESERVER_NAME, "PYRO:Pyro.NameServer@10.0.0.7:9090"),
        Record("a", "PYRONAME:b"),
        Record("a", "PYROMETA:b,c"),
        Record("a", "PYRO:obj@[fe80::1]:5000"),
        Record("a", "PYRO:obj@[fe80::1%2]:5000"),
        Record("a", "no URI, but it was in the file"),
    ],
)
def test_what_leads_to_no_daemon_or_to_one_for_some_only_is_not_probed(record: Record) -> None:
    assert Liveness(20, all_from_here=True).target(record) is None


def test_a_record_with_a_lease_is_left_to_its_lease() -> None:
    liveness = Liveness(20, all_from_here=False)
    assert liveness.target(FAR._replace(lease=Lease("a", 10.0))) is None
    assert liveness.target(FAR._replace(lease=Lease("a", None, ephemeral=True))) is None


@pytest.mark.parametrize(
    ("location", "near"),
    [
        ("localhost:1", True),
        ("127.0.0.1:1", True),
        ("127.200.0.1:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", True),
        ("[::]:1", True),
        ("./u:/run/daemon.sock", True),
        ("10.0.0.7:1", False),
        ("127.example:1", False),
        ("[fd00::1]:1", False),
        ("localhost.example:1", False),
    ],
)
def test_some_uris_lead_to_the_machine_of_whoever_uses_them(location: str, near: bool) -> None:
    assert is_near(URI(f"PYRO:obj@{location}")) is near


@pytest.mark.parametrize(
    ("registered", "probed", "warned"),
    [([], False, []), ([True], True, [False]), ([False], False, [True]), ([True, False], False, [False, True])],
)
def test_near_uris_are_probed_if_they_were_registered_from_here(
    registered: list[bool], probed: bool, warned: list[bool]
) -> None:
    liveness = Liveness(20, all_from_here=False)
    assert [liveness.note_registration(NEAR, from_here=from_here) for from_here in registered] == warned
    assert (liveness.target(NEAR) is not None) is probed
    assert liveness.target(NEAR._replace(uri="PYRO:other@127.0.0.1:5000")) is None
    liveness.forget_others(lambda name: name != NEAR.name)
    assert liveness.target(NEAR) is None


def test_where_all_clients_are_here_near_uris_are_probed() -> None:
    assert Liveness(20, all_from_here=True).target(NEAR) is not None


def test_a_far_uri_is_no_reason_to_warn() -> None:
    assert not Liveness(20, all_from_here=False).note_registration(FAR, from_here=False)


@pytest.mark.parametrize(
    ("rounds", "removed_at"),
    [
        ([(0, HERE), (100, HERE)], None),
        ([(0, SILENT), (100, SILENT)], None),
        ([(0, DEAD), (19, DEAD)], None),
        ([(0, DEAD), (19, DEAD), (20, DEAD)], 20),
        ([(0, EMPTY), (30, EMPTY)], 30),
        ([(0, DEAD), (10, EMPTY), (20, EMPTY)], 20),
        ([(0, DEAD), (10, HERE), (20, DEAD), (39, DEAD), (40, DEAD)], 40),
        ([(0, DEAD), (10, None), (20, DEAD)], 20),
        ([(0, None), (30, None)], None),
        ([(0, DEAD), (30, DEAD), (40, DEAD)], 30),
    ],
)
def test_a_record_goes_when_its_object_was_missing_for_so_long(
    rounds: list[tuple[float, Finding]], removed_at: float | None
) -> None:
    liveness = Liveness(20, all_from_here=False)
    due = []
    for now, finding in rounds:
        due += [(now, suspect.record) for suspect in liveness.judge([Expected("obj", FAR)], finding, now)]
        liveness.end_round()
    assert due[:1] == ([] if removed_at is None else [(removed_at, FAR)])


def test_without_grace_it_goes_at_once_and_says_why() -> None:
    liveness = Liveness(0, all_from_here=False)
    other = Record("other", "PYRO:gone@10.0.0.7:5000")
    (suspect,) = liveness.judge([Expected("obj", FAR), Expected("gone", other)], HERE, 0)
    assert (suspect.record, suspect.state) == (other, UNKNOWN_OBJECT)
    assert [suspect.why for suspect in liveness.judge([Expected("obj", FAR)], DEAD, 0)] == ["connection refused"]


def test_a_record_that_was_replaced_has_its_time_anew_even_by_an_equal_one() -> None:
    liveness = Liveness(20, all_from_here=False)
    again = Record(*FAR)
    assert again == FAR
    liveness.judge([Expected("obj", FAR)], DEAD, 0)
    liveness.end_round()
    assert liveness.state_of(again, 10) == State(NOT_PROBED)
    assert not liveness.judge([Expected("obj", again)], DEAD, 20)
    liveness.end_round()
    assert [suspect.since for suspect in liveness.judge([Expected("obj", again)], DEAD, 40)] == [20]


def test_the_state_is_what_the_last_round_found() -> None:
    liveness = Liveness(20, all_from_here=False)
    seen = [liveness.state_of(FAR, 0)]
    for now, finding in ((10, HERE), (20, DEAD), (25, EMPTY), (30, None), (40, HERE)):
        liveness.judge([Expected("obj", FAR)], finding, now)
        liveness.end_round()
        seen.append(liveness.state_of(FAR, now + 1))
    assert seen == [
        State(NOT_PROBED),
        State(ALIVE),
        State(UNREACHABLE, 1),
        State(UNKNOWN_OBJECT, 6),
        State(UNKNOWN_OBJECT, 11),
        State(ALIVE),
    ]
    liveness.end_round()  # in which it was not asked about
    assert liveness.state_of(FAR, 50) == State(NOT_PROBED)
