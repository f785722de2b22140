"""The serializers of the pickle family."""

import pytest

from pyronym.errors import SecurityError
from pyronym.serializers.pickle_format import PickleFormat

FORMAT = PickleFormat("dill")


def test_the_members_of_the_family_differ_in_their_names_only():
    assert FORMAT.name == "dill"
    assert FORMAT.dumps({"a": 1}) == PickleFormat("pickle").dumps({"a": 1})


def test_answers_may_contain_exceptions_and_calls_may_not():
    data = FORMAT.dumps_call("object", "method", (ValueError("x"),), {})
    assert FORMAT.loads(data)[2][0].args == ("x",)
    with pytest.raises(SecurityError, match=r"refused to unpickle __builtin__.ValueError"):
        FORMAT.loads_call(data)
