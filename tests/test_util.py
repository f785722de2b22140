"""Tracebacks that show both sides of a call."""

from __future__ import annotations

import sys

import pytest

from pyronym.settings import config
from pyronym.util import excepthook, getPyroTraceback

REMOTE = ["Traceback (most recent call last):\n", '  File "there.py", line 3, in work\n', "ValueError: no\n"]


def failure(remote: object = None) -> ValueError:
    try:
        raise ValueError("no")
    except ValueError as problem:
        if remote is not None:
            problem._pyroTraceback = remote  # type: ignore[attr-defined]
        return problem


def test_a_local_exception_is_shown_as_python_shows_it() -> None:
    lines = getPyroTraceback(failure())
    assert lines[0] == "Traceback (most recent call last):\n"
    assert lines[-1] == "ValueError: no\n"


def test_the_remote_traceback_follows_in_a_frame() -> None:
    text = "".join(getPyroTraceback(failure(REMOTE)))
    local, _, remote = text.partition(" +--- ")
    assert local.endswith("ValueError: no\n")
    assert remote.splitlines() == [
        "This exception occurred remotely (Pyro) - Remote traceback:",
        " | Traceback (most recent call last):",
        ' |   File "there.py", line 3, in work',
        " | ValueError: no",
        " +--- End of remote traceback",
    ]


def test_all_ways_to_name_an_exception_give_the_same() -> None:
    problem = failure(REMOTE)
    expected = getPyroTraceback(problem)
    assert getPyroTraceback(ValueError, problem, problem.__traceback__) == expected
    assert getPyroTraceback(ex_value=problem) == expected
    try:
        raise problem
    except ValueError:
        assert getPyroTraceback() == getPyroTraceback(*sys.exc_info())


def test_without_an_exception_there_is_nothing_to_show() -> None:
    assert getPyroTraceback() == ["NoneType: None\n"]


def test_a_type_alone_is_no_exception() -> None:
    with pytest.raises(TypeError, match="ValueError"):
        getPyroTraceback(ValueError)


@pytest.mark.parametrize("remote", ["a text", 7, []], ids=repr)
def test_a_remote_traceback_that_is_none_is_left_out(remote: object) -> None:
    assert not any(line.startswith(" +---") for line in getPyroTraceback(failure(remote)))


def test_details_show_the_variables() -> None:
    config.DETAILED_TRACEBACK = True
    try:
        assert "remote = None" in "".join(getPyroTraceback(failure()))
    finally:
        config.reset()


def test_the_hook_writes_both_tracebacks_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    problem = failure(REMOTE)
    excepthook(ValueError, problem, problem.__traceback__)
    assert capsys.readouterr().err == "".join(getPyroTraceback(problem))
