"""Replacing things inside plain containers."""

from collections import OrderedDict

from pyronym.rpc.references import replace_values


def double(part):
    return part * 2 if isinstance(part, int) else part


def test_values_are_replaced_at_any_depth_and_containers_keep_their_kind():
    value = {"a": [1, (2, {3})], "b": {"c": 4}, "d": "text"}
    assert replace_values(value, double) == {"a": [2, (4, {6})], "b": {"c": 8}, "d": "text"}


def test_keys_are_left_alone():
    assert replace_values({1: 1}, double) == {1: 2}


def test_what_needs_no_change_comes_back_itself():
    value = {"a": ["x", ("y",)]}
    assert replace_values(value, double) is value


def test_only_plain_containers_are_entered():
    ordered = OrderedDict(a=1)
    assert replace_values(ordered, double) is ordered
