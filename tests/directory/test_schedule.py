"""What comes up when, held against a plain dict of times."""

from hypothesis import example, given
from hypothesis import strategies as st

from pyronym.directory.schedule import Schedule

keys = st.sampled_from("abcd")
times = st.integers(0, 20)
steps = st.lists(
    st.tuples(st.just("set"), keys, times)
    | st.tuples(st.just("drop"), keys)
    | st.tuples(st.just("due"), times, st.integers(1, 4)),
    max_size=40,
)


@given(steps)
@example([("set", "a", 1), ("set", "c", 0), ("set", "c", 2), ("due", 2, 1)])
def test_any_sequence_of_steps_equals_a_dict_of_times(steps):
    schedule, model = Schedule(), {}
    for step in steps:
        match step:
            case ("set", key, when):
                schedule.set(key, when)
                model[key] = when
            case ("drop", key):
                schedule.drop(key)
                model.pop(key, None)
            case ("due", now, limit):
                expected = sorted(when for when in model.values() if when <= now)[:limit]
                found = schedule.due(now, limit)
                assert sorted(model.pop(key) for key in found) == expected
        assert len(schedule) == len(model)
        assert {key: schedule.get(key) for key in "abcd" if key in schedule} == model
        following = schedule.next()
        if model:
            assert following is not None
            assert following <= min(model.values())
        if not schedule._heap:
            assert following is None


def test_keys_come_up_in_the_order_of_their_times():
    schedule = Schedule()
    for key, when in [("late", 3), ("early", 1), ("middle", 2)]:
        schedule.set(key, when)
    assert schedule.due(10, 2) == ["early", "middle"]
    assert schedule.due(10, 2) == ["late"]
    assert schedule.due(10, 2) == []


def test_a_key_that_is_put_off_again_and_again_takes_no_room():
    schedule = Schedule()
    for when in range(100_000):
        schedule.set("renewed", when)
    assert len(schedule._heap) == 1


def test_keys_that_are_dropped_do_not_pile_up():
    schedule = Schedule()
    schedule.set("stays", 5)
    for number in range(100_000):
        schedule.set(number, 1_000_000)
        schedule.drop(number)
    assert len(schedule._heap) < 100
    assert schedule.due(5, 10) == ["stays"]


def test_a_key_that_is_put_forward_comes_up_once():
    schedule = Schedule()
    schedule.set("key", 10)
    schedule.set("key", 1)
    assert schedule.due(20, 10) == ["key"]
    assert schedule.next() is None
