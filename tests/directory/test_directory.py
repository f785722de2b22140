import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyronym.directory.directory import MANY, Directory
from pyronym.directory.record import EXPIRED, REGISTERED, Change, Record

# Neighbours in sort order, in looks and in what other storages confuse: case, % and _, combining marks, the ends of
# the code point ranges with surrogates, NUL.
CHARACTERS = "abAB%_./ ée\u0301ß\x00\ud7ff\ud800\udfff\ue000\uffff\U00010000\U0001f600\U0010ffff"
names = st.text(CHARACTERS, max_size=4) | st.sampled_from(["a" * 3000, "a" * 3000 + "b", "", "Pyro.NameServer"])
tags = st.frozensets(st.sampled_from(["class:A", "class:a", "%", "_", "", "é", "\U0001f600"]), max_size=4)
records = st.builds(Record, names, st.sampled_from(["PYRO:a@h:1", "PYRO:b@h:1"]), tags)
changes = st.builds(lambda name, uri: Change(name, None), names, st.none()) | records.map(lambda r: Change(r.name, r))


def put(name, uri="PYRO:o@h:1", tags=()):
    return Change(name, Record(name, uri, frozenset(tags)))


def apply_now(directory, *changes):
    directory.apply(directory.stage(changes))


def apply_to_model(model, changes):
    for change in changes:
        if change.record is None:
            model.pop(change.name, None)
        else:
            model[change.name] = change.record


def by_name(records):
    return sorted(records, key=lambda record: record.name)


def assert_pages_are_right(directory, records, prefix, beyonds):
    for beyond in (None, *beyonds):
        after = [record for record in records if beyond is None or record.name > beyond]
        before = [record for record in reversed(records) if beyond is None or record.name < beyond]
        for limit in (1, 2, 100):
            assert directory.page(prefix, beyond, limit) == after[:limit]
            assert directory.page(prefix, beyond, limit, backwards=True) == before[:limit]


def assert_equal_to_model(directory, model, asked_names, asked_tags):
    assert list(directory) == list(model)
    assert directory.everything() == list(model.values())
    assert len(directory) == len(model)
    for name in asked_names:
        assert directory.get(name) == model.get(name)
        assert (name in directory) == (name in model)
        with_prefix = [record for record in model.values() if record.name.startswith(name)]
        assert directory.with_prefix(name) == by_name(with_prefix)
        assert directory.count_with_prefix(name) == len(with_prefix)
        assert_pages_are_right(directory, by_name(with_prefix), name, asked_names)
    with_all = [record for record in model.values() if asked_tags <= record.metadata]
    assert by_name(directory.with_all(asked_tags)) == by_name(with_all)
    with_any = [record for record in model.values() if asked_tags & record.metadata]
    assert by_name(directory.with_any(asked_tags)) == by_name(with_any)


@settings(max_examples=150, deadline=None)
@given(
    loaded=st.lists(records, max_size=6),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["stage", "stage", "apply", "abandon", "make"]), st.lists(changes, max_size=4), names
        ),
        max_size=25,
    ),
    asked_tags=tags,
    chance=st.randoms(use_true_random=False),
)
def test_any_sequence_of_stages_applies_and_abandons_equals_a_plain_dict(loaded, steps, asked_tags, chance):
    directory = Directory()
    directory.load(loaded)
    model = {}
    apply_to_model(model, [Change(record.name, record) for record in loaded])
    outstanding, applied = [], 0
    touched = {record.name for record in loaded} | {"", "a", "A", "\U0010ffff"}
    for step, batch, name in steps:
        touched |= {name} | {change.name for change in batch}
        if step == "stage":
            outstanding.append(directory.stage(batch))
        elif step == "apply" and outstanding:
            staged = outstanding.pop(0)
            directory.apply(staged)
            apply_to_model(model, staged.changes)
            applied += len(staged.changes)
        elif step == "abandon" and outstanding:
            directory.abandon(outstanding.pop(chance.randrange(len(outstanding))))
        elif step == "make" and not outstanding:
            directory.make(batch)
            apply_to_model(model, batch)
            applied += len(batch)
        assert directory.revision == applied
        upcoming = dict(model)
        for staged in outstanding:
            apply_to_model(upcoming, staged.changes)
        assert {name: directory.upcoming(name) for name in touched} == {name: upcoming.get(name) for name in touched}
        assert directory.staged_names == {change.name for staged in outstanding for change in staged.changes}
    assert_equal_to_model(directory, model, touched, asked_tags)


@settings(max_examples=50, deadline=None)
@given(st.lists(records, max_size=30), tags)
def test_loading_equals_applying_one_by_one(loaded, asked_tags):
    directory = Directory()
    directory.load(loaded)
    model = {}
    apply_to_model(model, [Change(record.name, record) for record in loaded])
    assert directory.revision == 0
    assert_equal_to_model(directory, model, {record.name for record in loaded}, asked_tags)


def test_a_prefix_is_exact_text_and_no_wildcard():
    directory = Directory()
    apply_now(directory, *(put(name) for name in ["app_1", "appX1", "APP_1", "app%", "ap", "app_\U0010ffff\U0010ffff"]))
    assert [record.name for record in directory.with_prefix("app_")] == ["app_1", "app_\U0010ffff\U0010ffff"]
    assert [record.name for record in directory.with_prefix("app%")] == ["app%"]
    assert [record.name for record in directory.with_prefix("app_\U0010ffff")] == ["app_\U0010ffff\U0010ffff"]
    assert len(directory.with_prefix("")) == 6


def test_names_are_kept_in_order_of_registration_and_a_second_registration_keeps_the_place():
    directory = Directory()
    apply_now(directory, put("b"), put("a"), put("c"))
    apply_now(directory, put("b", "PYRO:other@h:1"))
    assert list(directory) == ["b", "a", "c"]
    apply_now(directory, Change("b", None), put("b"))
    assert list(directory) == ["a", "c", "b"]


def test_a_staged_change_is_upcoming_but_not_yet_true():
    directory = Directory()
    staged = directory.stage([put("a")])
    assert "a" not in directory
    assert directory.get("a") is None
    assert directory.with_prefix("") == []
    assert directory.upcoming("a") == Record("a", "PYRO:o@h:1")
    directory.abandon(staged)
    assert directory.upcoming("a") is None


def test_a_staged_delete_hides_the_record_from_upcoming_only():
    directory = Directory()
    apply_now(directory, put("a"))
    directory.stage([Change("a", None)])
    assert directory.upcoming("a") is None
    assert directory.get("a") is not None


def test_abandoning_the_later_of_two_stages_shows_the_earlier_one_again():
    directory = Directory()
    first = directory.stage([put("a", "PYRO:first@h:1")])
    second = directory.stage([put("a", "PYRO:second@h:1")])
    directory.abandon(second)
    assert directory.upcoming("a") == first.changes[0].record


def test_applying_out_of_order_is_refused_and_changes_nothing():
    directory = Directory()
    first, second = directory.stage([put("a")]), directory.stage([put("b")])
    with pytest.raises(ValueError, match="in the order"):
        directory.apply(second)
    directory.apply(first)
    directory.apply(second)
    assert list(directory) == ["a", "b"]


def test_changes_are_not_made_past_those_that_are_staged():
    directory = Directory()
    staged = directory.stage([put("a")])
    with pytest.raises(ValueError, match="while others are staged"):
        directory.make([put("b")])
    directory.apply(staged)
    directory.make([put("b")])
    assert list(directory) == ["a", "b"]


def test_a_name_that_is_staged_twice_with_one_change_and_another_between_is_as_the_last_says():
    directory = Directory()
    change, between = put("a", "PYRO:first@h:1"), put("a", "PYRO:between@h:1")
    first, second, _ = directory.stage([change]), directory.stage([between]), directory.stage([change])
    for staged in (first, second):
        directory.apply(staged)
        assert directory.upcoming("a") is change.record


@pytest.mark.parametrize("end", ["apply", "abandon"])
def test_a_stage_ends_only_once(end):
    directory = Directory()
    staged = directory.stage([put("a")])
    getattr(directory, end)(staged)
    with pytest.raises(ValueError, match="staged"):
        directory.apply(staged)
    with pytest.raises(ValueError, match="staged"):
        directory.abandon(staged)


@pytest.mark.parametrize("prepare", [lambda d: apply_now(d, put("a")), lambda d: d.stage([put("a")])])
def test_a_directory_in_use_is_not_loaded(prepare):
    directory = Directory()
    prepare(directory)
    with pytest.raises(ValueError, match="empty directory"):
        directory.load([])


def test_with_all_of_no_tags_is_everything_and_with_any_of_no_tags_is_nothing():
    directory = Directory()
    apply_now(directory, put("a", tags=["x"]), put("b"))
    assert directory.with_all([]) == directory.everything()
    assert directory.with_any([]) == []


def test_tags_are_asked_for_once_however_often_they_are_given():
    directory = Directory()
    apply_now(directory, put("a", tags=["x", "y"]), put("b", tags=["x"]))
    assert [record.name for record in directory.with_all(["x", "x", "y"])] == ["a"]
    assert [record.name for record in directory.with_any(["x", "y", "x"])] == ["a", "b"]


def names_of(records):
    return [record.name for record in records]


def test_candidates_are_those_with_the_prefix_sorted_or_all_in_order_of_registration_where_many_have_it():
    directory = Directory()
    names = ["ba", "ab", "aa", *(f"n{number}" for number in range(MANY * 2 - 3))]
    apply_now(directory, *map(put, names))
    assert names_of(directory.candidates("")) == names
    assert names_of(directory.candidates("n")) == names
    assert names_of(directory.candidates("a")) == ["aa", "ab"]
    assert names_of(directory.candidates("x")) == []
    apply_now(directory, put("ac"))
    assert names_of(directory.candidates("a")) == [*names, "ac"]


def test_the_longest_name_is_remembered():
    directory = Directory()
    directory.load([Record("four", "PYRO:a@h:1")])
    assert directory.longest == 4
    apply_now(directory, put("a"), put("seven.."))
    apply_now(directory, Change("seven..", None))
    assert directory.longest == 7


def test_records_that_are_put_with_shared_tags_are_kept_as_they_are():
    directory = Directory()
    apply_now(directory, put("a", tags=["x", "y"]))
    tags = directory.shared_tags(frozenset(["y", "x"]))
    assert tags is directory.get("a").metadata
    record = Record("b", "PYRO:b@h:1", tags)
    apply_now(directory, Change("b", record))
    assert directory.get("b") is record
    unknown = frozenset(["z"])
    assert directory.shared_tags(unknown) is unknown


class CountingTags(frozenset):
    compared = 0

    def __ge__(self, other):  # what `wanted <= record.metadata` ends in, for a subclass
        type(self).compared += 1
        return super().__ge__(other)


def test_with_all_looks_only_at_the_records_of_the_rarest_tag():
    directory = Directory()
    apply_now(directory, *(put(f"n{i}", tags=["common"]) for i in range(500)))
    apply_now(directory, *(put(f"r{i}", tags=["common", "rare"]) for i in range(3)))
    for tagged in directory._by_tag.values():
        for name, record in tagged.items():
            tagged[name] = Record(name, record.uri, CountingTags(record.metadata))
    assert len(directory.with_all(["common", "rare"])) == 3
    assert CountingTags.compared == 3


def test_a_name_that_changes_its_tags_without_end_leaves_nothing_behind():
    directory = Directory()
    for i in range(200):
        apply_now(directory, put("a", tags=[f"tag{i}", "common"]))
    assert set(directory._by_tag) == {"tag199", "common"}
    assert len(directory._tag_sets) == 1
    apply_now(directory, Change("a", None))
    assert not directory._by_tag
    assert not directory._names
    assert len(directory._tag_sets) == 0
    assert not directory._upcoming


def test_names_stay_small():
    def arriving():
        for i in random.Random(5).sample(range(20_000), 20_000):
            yield Record(
                f"lab.camera.{i:012}", f"PYRO:obj_{i:032}@192.168.100.100:12345", frozenset({"class:" + "lab"})
            )

    tracemalloc.start()
    try:
        directory = Directory()
        directory.load(arriving())
        each = tracemalloc.get_traced_memory()[0] / 20_000
    finally:
        tracemalloc.stop()
    assert each < 330


def test_a_name_that_is_registered_again_keeps_one_copy_of_its_text():
    directory = Directory()
    directory.load(Record(f"name{i}", "PYRO:o@h:1") for i in range(10))
    first = directory.get("name5").name
    apply_now(directory, put("name" + str(5), "PYRO:new@h:1"))
    assert directory.get("name5").name is first


def test_what_has_come_true_elsewhere_is_followed_whatever_is_staged():
    directory = Directory(7)
    staged = directory.stage([Change("a", Record("a", "PYRO:ours@h:1"))])
    events = directory.follow([Change(name, Record(name, "PYRO:theirs@h:1")) for name in "ab"], 12)
    assert [(event.revision, event.kind, event.record.name) for event in events] == [
        (12, REGISTERED, "a"),
        (12, REGISTERED, "b"),
    ]
    assert directory.revision == 12
    assert directory.upcoming("a").uri == "PYRO:ours@h:1"
    directory.abandon(staged)
    assert directory.upcoming("a").uri == "PYRO:theirs@h:1"
    assert [event.kind for event in directory.follow([Change("a", None)], 15, expired=True)] == [EXPIRED]
    assert directory.follow([], 20) == []
    assert directory.revision == 20
