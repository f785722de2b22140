"""What coverage-guided fuzzing found worth keeping still ends in a value or a clean error."""

from __future__ import annotations

import pytest

from fuzz import corpus
from fuzz.readers import TARGETS, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_read_or_refused(target: str) -> None:
    inputs = corpus.read(target)
    assert len(inputs) >= 10
    for data in {*inputs, *seeds(target)}:
        TARGETS[target](data)
