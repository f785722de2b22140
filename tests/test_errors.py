"""The words of errors, which programs match on, and what they carry."""

import copy
import pickle

import pytest

from pyronym.errors import (
    BadPatternError,
    CommunicationError,
    NameServerNotFoundError,
    NameTakenError,
    NamingError,
    StorageError,
    UncertainError,
    UnknownNameError,
)

SENTENCES = [
    (UnknownNameError("lab.camera"), "unknown name: lab.camera"),
    (NameTakenError("lab.camera"), "name already registered: lab.camera"),
    (BadPatternError("missing ) at position 1"), "invalid regex: missing ) at position 1"),
    (NameServerNotFoundError(), "Failed to locate the nameserver"),
    (
        NameServerNotFoundError([("localhost:9090", "connection refused"), ("broadcast", "no answer")]),
        "Failed to locate the nameserver (tried localhost:9090: connection refused; broadcast: no answer)",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), SENTENCES)
def test_errors_say_what_the_stock_ones_say_first(error, sentence):
    assert str(error) == sentence
    assert error.args == (sentence,)
    assert isinstance(error, NamingError)


UNCERTAIN = UncertainError("register", "receiving: ns1:9090 closed the connection", "look the name up")


def test_an_uncertain_change_says_what_to_do():
    assert str(UNCERTAIN) == (
        "register: receiving: ns1:9090 closed the connection; the request had been sent, so whether it was carried out"
        " is not known (look the name up)"
    )
    assert isinstance(UNCERTAIN, CommunicationError)


@pytest.mark.parametrize("error", [UNCERTAIN, *(error for error, _ in SENTENCES)])
def test_errors_survive_copies_and_pickles(error):
    error._pyroTraceback = ["line"]
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert again.args == error.args
        assert vars(again) == vars(error)


def test_the_words_of_a_stock_server_tell_which_error_it_is():
    assert NamingError.from_words("unknown name: a: b").name == "a: b"
    assert type(NamingError.from_words("name already registered: x")) is NameTakenError
    assert type(NamingError.from_words("invalid regex: nothing to repeat")) is BadPatternError
    plain = NamingError.from_words("something else")
    assert type(plain) is NamingError
    assert str(plain) == "something else"


def test_a_storage_error_is_a_naming_error():
    assert issubclass(StorageError, NamingError)
