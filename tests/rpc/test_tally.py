"""What a daemon counts of the calls that it answers."""

from pyronym.rpc.tally import REGISTER, Asked, Tally
from pyronym.wire.message import PYRO4, PYRO5


def test_what_the_straight_road_answers_are_lookups_unless_it_says_otherwise():
    tally = Tally()
    lane = tally.lanes[PYRO4]
    lane.answered, lane.registered, lane.batches = 10, 2, 1
    lane.awaited[REGISTER] = 3
    assert tally.counts() == {
        Asked(PYRO4, "lookup", "ok"): 7,
        Asked(PYRO4, "register", "ok"): 5,
        Asked(PYRO4, "batch", "ok"): 1,
    }


def test_both_roads_are_added_up_by_method_protocol_and_result():
    tally = Tally()
    tally.lanes[PYRO5].answered = 3
    for result in ("ok", "ok", "UnknownNameError"):
        tally.note(PYRO5, "lookup", result)
    tally.note(PYRO4, "list", "ok")
    assert tally.counts() == {
        Asked(PYRO5, "lookup", "ok"): 5,
        Asked(PYRO5, "lookup", "UnknownNameError"): 1,
        Asked(PYRO4, "list", "ok"): 1,
    }
