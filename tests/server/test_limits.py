"""What one client may take from the others: reckoned here without sockets, with times that the tests pass in."""

from __future__ import annotations

from pyronym.rpc.offences import Offence
from pyronym.server.limits import (
    RESERVED_DESCRIPTORS,
    Admission,
    Offences,
    Patience,
    Phase,
    RateLimit,
    connection_limits,
)
from pyronym.settings import Settings


def test_patience_ends_when_the_time_of_a_phase_is_over():
    patience = Patience({Phase.HANDSHAKE: 10, Phase.MESSAGE: 5, Phase.READING: 0})
    patience.note("a", Phase.HANDSHAKE, 100)
    patience.note("b", Phase.MESSAGE, 100)
    patience.note("c", Phase.READING, 100)
    assert patience.overdue(105) == []
    assert patience.overdue(105.1) == [("b", Phase.MESSAGE)]
    assert patience.overdue(1e9) == [("a", Phase.HANDSHAKE), ("b", Phase.MESSAGE)]


def test_patience_is_not_renewed_by_more_of_the_same():
    patience = Patience({Phase.HANDSHAKE: 10, Phase.MESSAGE: 10})
    patience.note("dribbles", Phase.MESSAGE, 0)
    patience.note("goes on", Phase.MESSAGE, 0)
    patience.note("changes", Phase.HANDSHAKE, 0)
    patience.note("is done", Phase.MESSAGE, 0)
    patience.note("dribbles", Phase.MESSAGE, 9)
    patience.note("goes on", Phase.MESSAGE, 9, progress=True)
    patience.note("changes", Phase.MESSAGE, 9)
    patience.note("is done", None, 9)
    assert patience.overdue(11) == [("dribbles", Phase.MESSAGE)]
    assert list(patience) == ["dribbles", "goes on", "changes"]


def test_slow_are_those_who_let_the_server_wait_and_not_those_who_wait_for_it():
    patience = Patience({})
    for who, phase, since in (
        ("a", Phase.READING, 100),
        ("b", Phase.READING, 100.5),
        ("c", Phase.MESSAGE, 101),
        ("d", Phase.CALL, 100),
    ):
        patience.note(who, phase, since)
    assert patience.slow(101.1, 1.0) == {Phase.READING: 1}
    assert patience.slow(102.1, 1.0) == {Phase.READING: 2, Phase.MESSAGE: 1}


def test_admission_counts_in_all_and_for_each_address():
    doors = Admission(3, 2)
    for address in ("1.2.3.4", "1.2.3.4"):
        assert doors.refusal(address) is None
        doors.enter(address)
    assert "from 1.2.3.4 (2 are open)" in doors.refusal("1.2.3.4")
    assert doors.refusal("5.6.7.8") is None
    assert doors.refusal(None) is None
    doors.enter(None)
    assert "too many connections (3 are open)" in doors.refusal("5.6.7.8")
    assert "too many connections (3 are open)" in doors.refusal(None)
    doors.leave("1.2.3.4")
    assert doors.refusal("1.2.3.4") is None
    doors.leave(None)
    doors.leave("1.2.3.4")
    assert doors._by_address == {}


def test_without_a_limit_of_their_own_connections_are_limited_by_descriptors():
    assert connection_limits(Settings(), 1024) == (1024 - RESERVED_DESCRIPTORS, 672)
    assert connection_limits(Settings(), 100) == (1, 1)
    settings = Settings(max_connections=50, max_connections_per_address=60)
    assert connection_limits(settings, 1024) == (50, 60)
    assert connection_limits(Settings(max_connections=40), 1024) == (40, 30)


def test_an_offender_has_one_line_a_minute_and_everything_is_counted():
    offences = Offences()
    assert set(offences.counts) == set(Offence)
    assert not any(offences.counts.values())
    assert offences.note(Offence.IDLE, "1.2.3.4", 0)
    assert not offences.note(Offence.IDLE, "1.2.3.4", 59.9)
    assert offences.note(Offence.IDLE, "5.6.7.8", 59.9)
    assert not offences.note(Offence.HELD, "1.2.3.4", 59.9)
    assert offences.note(Offence.IDLE, "1.2.3.4", 60)
    assert not offences.note(Offence.IDLE, "1.2.3.4", 61)
    assert {kind: count for kind, count in offences.counts.items() if count} == {Offence.IDLE: 5, Offence.HELD: 1}


def test_offenders_beyond_number_are_not_all_remembered():
    offences = Offences()
    for number in range(10_000):
        assert offences.note(Offence.IDLE, str(number), 0)
    assert len(offences._told) < 5000


def test_a_rate_limit_lets_a_burst_through_and_then_so_many_a_second():
    limit = RateLimit(2.0, 3)
    assert [limit.allows("a", 10) for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b", 10)
    assert [limit.allows("a", 11) for _ in range(3)] == [True, True, False]
    assert not limit.allows("a", 11.4)
    assert limit.allows("a", 11.6)
    assert [limit.allows("a", 1000) for _ in range(4)] == [True, True, True, False]


def test_a_rate_limit_does_not_remember_sources_beyond_number():
    limit = RateLimit(1.0, 1)
    for number in range(10_000):
        assert limit.allows(str(number), 0)
    assert len(limit._tokens) < 5000


def test_a_source_that_goes_on_is_not_forgotten_over_many_others():
    limit = RateLimit(1.0, 1)
    assert limit.allows("victim", 0)
    for number in range(10_000):
        limit.allows(str(number), 0)
        if not number % 1000:
            assert not limit.allows("victim", 0)
