"""Exceptions to and from peers."""

import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym import errors
from pyronym.errors import NamingError, SerializeError, StorageError, UnknownNameError
from pyronym.serializers.exceptions import (
    SHARED_ERRORS,
    build_exception,
    exception_class,
    name_and_args,
    travelling_attributes,
)


class ApplicationError(Exception):
    pass


class ApplicationNamingError(NamingError):
    pass


@pytest.mark.parametrize("name", ["builtins.ValueError", "exceptions.ValueError", "ValueError"])
def test_pythons_exceptions_are_found_by_all_their_names(name):
    assert exception_class(name) is ValueError


@pytest.mark.parametrize("namespace", ["Pyro4.errors", "Pyro5.errors", "pyronym.errors"])
@pytest.mark.parametrize("name", SHARED_ERRORS)
def test_shared_errors_are_found_in_all_their_modules(namespace, name):
    assert exception_class(f"{namespace}.{name}") is getattr(errors, name)


@pytest.mark.parametrize(
    "name",
    [
        "builtins.SystemExit",
        "builtins.KeyboardInterrupt",
        "builtins.GeneratorExit",
        "builtins.BaseException",
        "builtins.ExceptionGroup",
        "builtins.eval",
        "builtins.int",
        "builtins.NoSuchError",
        "builtins.",
        "",
        "Pyro4.errors.UnknownNameError",
        "Pyro4.errors.Iterable",
        "os.error",
        "tests.ApplicationError",
    ],
)
def test_nothing_else_is_found(name):
    assert exception_class(name) is None


def test_arguments_and_attributes_are_restored():
    problem = build_exception(ValueError, ["a", 1], {"_pyroTraceback": ("line\n",), "detail": [2]})
    assert type(problem) is ValueError
    assert problem.args == ("a", 1)
    assert vars(problem) == {"_pyroTraceback": ["line\n"], "detail": [2]}


def test_words_tell_the_subclass_of_a_naming_error():
    problem = build_exception(NamingError, ("unknown name: x",), {"_pyroTraceback": []})
    assert type(problem) is UnknownNameError
    assert (str(problem), problem.name, problem._pyroTraceback) == ("unknown name: x", "x", [])
    assert type(build_exception(NamingError, ("something else",))) is NamingError
    assert build_exception(NamingError, ()).args == ()


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (ValueError, None),
        (ValueError, "text"),
        (UnicodeDecodeError, ["x"]),
        (UnicodeDecodeError, []),
        (UnicodeEncodeError, ["utf-8", b"bytes", 0, 1, "reason"]),
    ],
)
def test_arguments_that_the_class_does_not_take_are_refused(kind, args):
    with pytest.raises(SerializeError, match=f"^invalid {kind.__name__}: "):
        build_exception(kind, args)


@pytest.mark.parametrize(("start", "end"), [(-(10**15), 1 - 10**15), (-1, 0), (0, 4), (2, 1), (10**30, 10**30 + 1)])
def test_a_unicode_error_that_reads_outside_its_text_is_refused(start, end):
    for kind, args in (
        (UnicodeDecodeError, ("utf-8", b"abc", start, end, "reason")),
        (UnicodeEncodeError, ("utf-8", "abc", start, end, "reason")),
        (UnicodeTranslateError, ("abc", start, end, "reason")),
    ):
        with pytest.raises(SerializeError, match="do not describe a place in a text"):
            build_exception(kind, args)
    problem = build_exception(UnicodeDecodeError, ("utf-8", b"abc", 0, 1, "reason"), {"start": -(10**15)})
    assert str(problem) == "'utf-8' codec can't decode byte 0x61 in position 0: reason"


def test_a_file_error_keeps_its_arguments_but_not_a_file_name_that_cannot_be_printed():
    problem = build_exception(OSError, (2, "gone", "file"))
    assert (type(problem), problem.filename) == (FileNotFoundError, "file")
    with pytest.raises(SerializeError, match="its args are not texts and numbers"):
        build_exception(OSError, (2, "gone", ["file"]))


def test_a_syntax_error_keeps_its_message_only():
    problem = build_exception(SyntaxError, ("bad", ("file", 1, 10**9, "text", 1, 10**9)))
    assert (problem.args, problem.offset) == (("bad",), None)


@pytest.mark.parametrize("name", ["args", "__class__", "__traceback__", "__notes__", "with_traceback", "not a name", 3])
def test_attributes_that_mean_something_to_python_are_left_out(name):
    problem = build_exception(ValueError, ("x",), {name: "forged"})
    assert (problem.args, vars(problem), problem.__traceback__) == (("x",), {}, None)


@pytest.mark.parametrize("lines", ["text", {"a": 1}, ["text", 5], 0])
def test_a_traceback_that_is_no_list_of_texts_is_left_out(lines):
    assert vars(build_exception(ValueError, (), {"_pyroTraceback": lines})) == {}


def test_a_traceback_may_be_missing():
    problem = build_exception(ValueError, (), {"_pyroTraceback": None})
    assert problem._pyroTraceback is None
    assert travelling_attributes(problem) == {"_pyroTraceback": None}


def test_attributes_must_be_a_dict():
    with pytest.raises(SerializeError, match="a list \\(expected a dict\\)"):
        build_exception(ValueError, (), [])


REBUILT = sorted(name for name in vars(builtins) if exception_class(name) is not None)


@given(
    name=st.sampled_from(REBUILT),
    args=st.lists(
        st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3) | st.lists(st.integers()), max_size=5
    ),
)
def test_any_arguments_give_an_exception_that_can_be_printed_or_a_refusal(name, args):
    kind = exception_class(name)
    try:
        problem = build_exception(kind, args)
    except SerializeError:
        return
    assert isinstance(str(problem), str)
    assert isinstance(repr(problem), str)


@pytest.mark.parametrize("peer", ["Pyro4", "Pyro5"])
def test_shared_errors_travel_under_the_peers_own_name(peer):
    for name, kind in SHARED_ERRORS.items():
        assert name_and_args(kind("a", 1), peer) == (f"{peer}.errors.{name}", ("a", 1))


def test_errors_that_peers_do_not_have_travel_as_the_nearest_that_they_have():
    assert name_and_args(UnknownNameError("x"), "Pyro4") == ("Pyro4.errors.NamingError", ("unknown name: x",))
    problem = StorageError("full", "disk")
    assert name_and_args(problem, "Pyro5") == ("Pyro5.errors.NamingError", (str(problem),))


def test_other_exceptions_travel_under_their_own_name():
    assert name_and_args(ValueError("a", 1), "Pyro4") == ("builtins.ValueError", ("a", 1))
    assert name_and_args(ApplicationError("a"), "Pyro4") == (f"{__name__}.ApplicationError", ("a",))
    assert name_and_args(ApplicationNamingError("a"), "Pyro4") == (f"{__name__}.ApplicationNamingError", ("a",))


def test_of_our_errors_only_the_traceback_travels():
    problem = UnknownNameError("x")
    assert travelling_attributes(problem) == {}
    problem._pyroTraceback = ["line\n"]
    assert travelling_attributes(problem) == {"_pyroTraceback": ["line\n"]}


def test_attributes_of_other_exceptions_travel_but_for_pythons_own():
    problem = ApplicationError("x")
    problem.detail = 1
    problem._pyroTraceback = ["line\n"]
    problem.add_note("a note")
    assert travelling_attributes(problem) == {"detail": 1, "_pyroTraceback": ["line\n"]}
