from pyronym.directory.tagsets import TagSets


def text(value):
    """A str object of its own."""
    return "".join(list(value))


def test_equal_sets_are_one_object():
    sets = TagSets()
    assert sets.take(frozenset({text("ab")})) is sets.take(frozenset({text("ab")}))


def test_sets_that_differ_share_their_texts():
    sets = TagSets()
    one = sets.take(frozenset({text("class:Camera"), "1"}))
    two = sets.take(frozenset({text("class:Camera"), "2"}))
    assert {id(tag) for tag in one} & {id(tag) for tag in two}


def test_a_set_is_forgotten_when_it_was_dropped_as_often_as_taken():
    sets = TagSets()
    tags = frozenset({"ab", "cd"})
    sets.take(tags)
    sets.take(tags)
    sets.drop(tags)
    assert len(sets) == 1
    sets.drop(tags)
    assert len(sets) == 0
    assert not sets._texts


def test_a_text_stays_shared_while_another_set_has_it():
    sets = TagSets()
    kept = sets.take(frozenset({text("class:Camera"), "1"}))
    sets.take(frozenset({"class:Camera", "2"}))
    sets.drop(frozenset({"class:Camera", "2"}))
    again = sets.take(frozenset({text("class:Camera"), "3"}))
    assert {id(tag) for tag in kept} & {id(tag) for tag in again}


def test_a_set_is_found_only_while_it_is_in_use():
    sets = TagSets()
    tags = frozenset({text("ab")})
    assert sets.find(tags) is tags
    shared = sets.take(frozenset({text("ab")}))
    assert sets.find(tags) is shared
    sets.drop(shared)
    assert sets.find(tags) is tags


def test_no_tags_are_one_object_that_is_not_counted():
    sets = TagSets()
    assert sets.take(frozenset()) is sets.take(frozenset(set()))
    sets.drop(frozenset())
    assert len(sets) == 0
