"""When leases end, by tables of what happens when. No clock."""

import pytest

from pyronym.directory.leases import Leases
from pyronym.directory.record import Lease

GRACE = 5.0
TIMED = Lease("id", 10.0)
EPHEMERAL = Lease("id", None, ephemeral=True)
BOTH = Lease("id", 10.0, ephemeral=True)


@pytest.mark.parametrize(
    ("lease", "connected", "steps", "end"),
    [
        (TIMED, False, [], 10.0),
        (TIMED, False, [("renew", 4.0)], 14.0),
        (TIMED, False, [("renew", 4.0), ("renew", 9.0)], 19.0),
        (EPHEMERAL, True, [], None),
        (EPHEMERAL, True, [("disconnect", 100.0)], 105.0),
        (EPHEMERAL, True, [("disconnect", 100.0), ("renew", 103.0)], None),
        (EPHEMERAL, False, [], 5.0),  # as a storage had it: the connection is gone
        (EPHEMERAL, False, [("renew", 3.0)], None),
        (BOTH, True, [], 10.0),
        (BOTH, True, [("disconnect", 2.0)], 7.0),
        (BOTH, True, [("disconnect", 8.0)], 10.0),
        (BOTH, True, [("disconnect", 2.0), ("renew", 3.0)], 13.0),
    ],
)
def test_a_lease_ends_when(lease, connected, steps, end):
    leases = Leases(GRACE)
    leases.start("name", lease, 0.0, connected=connected)
    for step, now in steps:
        if step == "renew":
            leases.renew("name", now, connected=lease.ephemeral)
        else:
            leases.disconnect("name", now)
    assert leases.end("name") == end
    if end is None:
        assert leases.due(1e9, 10) == []
    else:
        assert leases.due(end - 0.001, 10) == []
        assert leases.due(end, 10) == ["name"]
        assert leases.due(1e9, 10) == []


def test_a_lease_that_was_stopped_does_not_end():
    leases = Leases(GRACE)
    leases.start("name", TIMED, 0.0, connected=False)
    leases.stop("name")
    leases.stop("never there")
    assert len(leases) == 0
    assert leases.due(1e9, 10) == []
    assert leases.next_due() is None
    assert leases.end("name") is None


def test_what_is_due_can_be_postponed_and_a_renewal_counts_more():
    leases = Leases(GRACE)
    for name in ("postponed", "renewed", "stopped"):
        leases.start(name, TIMED, 0.0, connected=False)
    assert len(leases.due(10.0, 10)) == 3
    leases.renew("renewed", 10.0, connected=False)
    leases.stop("stopped")
    for name in ("postponed", "renewed", "stopped"):
        leases.postpone(name, 15.0)
    assert leases.due(15.0, 10) == ["postponed"]
    assert leases.due(20.0, 10) == ["renewed"]


def test_no_more_are_told_at_a_time_than_wanted():
    leases = Leases(GRACE)
    for number in range(5):
        leases.start(str(number), TIMED, float(number), connected=False)
    assert leases.due(100.0, 3) == ["0", "1", "2"]
    assert leases.next_due() == 13.0
    assert leases.due(100.0, 3) == ["3", "4"]
