"""Histograms count values by their size."""

from pyronym.histogram import Histogram


def test_values_are_counted_up_to_each_bound_the_bound_included():
    histogram = Histogram((1.0, 10.0))
    for value in (0.5, 1.0, 2.0, 10.0, 11.0):
        histogram.add(value)
    assert histogram.up_to() == [(1.0, 2), (10.0, 4), (float("inf"), 5)]
    assert (histogram.count, histogram.total, histogram.largest) == (5, 24.5, 11.0)


def test_a_value_can_stand_for_many():
    histogram = Histogram((1.0,))
    histogram.add(0.5, 100)
    assert (histogram.count, histogram.total, histogram.up_to()[0]) == (100, 50.0, (1.0, 100))
