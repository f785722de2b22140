"""Keys: the same one on both sides, or a clear refusal. Pyro5 has none and cannot use a name server that has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import SERIALIZERS, ask

from processes import PYRONYM, NameServers, run

REGISTER = "ns.register('a', 'PYRO:a@host:1')"


@pytest.mark.parametrize("serializer", SERIALIZERS[4])
def test_the_same_key_on_both_sides(serializer: str, serve: NameServers, stock4_python: Path) -> None:
    server = serve(key="open sesame ü")
    answers = ask(
        stock4_python, server.uri, REGISTER, "ns.lookup('a')", "ns.count()", serializer=serializer, key="open sesame ü"
    )
    assert answers == ["None", "Pyro4.core.URI('PYRO', 'a', None, 'host', 1)", "2"]


def test_the_key_comes_from_the_environment_too(serve: NameServers, stock4_python: Path) -> None:
    server = serve(env={"PYRO_HMAC_KEY": "secret"})
    assert ask(stock4_python, server.uri, REGISTER, key="secret") == ["None"]
    assert ask(stock4_python, server.uri, REGISTER)[0].startswith("!! ")


def test_a_batch_and_a_oneway_call_are_signed_as_well(serve: NameServers, stock4_python: Path) -> None:
    server = serve(key="secret")
    answers = ask(
        stock4_python,
        server.uri,
        "ns._pyroInvoke('register', ['a', 'PYRO:a@host:1'], {}, flags=4)",
        "b = batch(ns); b.lookup('a'); b.ping()",
        "tuple(b())",
        key="secret",
        env={"PYRO_COMPRESSION": "on"},
    )
    assert answers[2] == "(Pyro4.core.URI('PYRO', 'a', None, 'host', 1), None)"


@pytest.mark.parametrize(
    ("server_key", "client_key", "words"),
    [
        ("right", "wrong", "message hmac mismatch"),
        ("right", "", "hmac key config not symmetric"),
        (None, "some", "hmac key config not symmetric"),
    ],
    ids=["wrong", "missing", "not-expected"],
)
def test_a_key_that_does_not_fit_is_refused_in_the_stock_servers_words(
    server_key: str | None,
    client_key: str,
    words: str,
    serve: NameServers,
    serve_stock4: NameServers,
    stock4_python: Path,
) -> None:
    server, stock = serve(key=server_key), serve_stock4(key=server_key)
    answer = ask(stock4_python, server.uri, REGISTER, key=client_key)[0]
    stock_answer = ask(stock4_python, stock.uri, REGISTER, key=client_key)[0]
    assert answer.startswith("!! Pyro4.errors.CommunicationError(")
    assert words in answer
    assert answer.replace(str(server.port), "PORT") == stock_answer.replace(str(stock.port), "PORT")
    assert ask(stock4_python, server.uri, "ns.count()", key=server_key or "") == ["1"]


def test_a_pyro5_client_of_a_server_with_a_key_is_told_why_it_cannot(serve: NameServers, stock5_python: Path) -> None:
    server = serve(key="secret")
    answer = ask(stock5_python, server.uri, REGISTER)[0]
    assert answer.startswith("!! Pyro5.errors.CommunicationError(")
    assert "hmac" in answer.lower()


def test_a_key_on_the_command_line_is_warned_about(serve: NameServers) -> None:
    server = serve(key="secret")
    assert "-k" in server.process.output
    assert "secret" not in server.process.output


def test_a_server_without_a_key_says_so(serve: NameServers) -> None:
    server = serve()
    assert "HMAC key not set" in server.process.output


def test_a_key_from_two_places_is_refused() -> None:
    command = [PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", "-k", "one"]
    done = run(command, env={"PYRO_HMAC_KEY": "other"})
    assert done.status != 0
    assert "PYRO_HMAC_KEY" in done.stderr
