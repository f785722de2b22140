"""One name server for both kinds of programs: what one registers, the other finds, with its own types."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pytest
from asking import SERIALIZERS, ask

from processes import NameServer, NameServers, StockDaemons


@pytest.fixture
def server(serve: NameServers) -> NameServer:
    return serve()


def environment(server: NameServer) -> dict[str, str]:
    """What makes a stock program find this name server when it is not told where."""
    return {"PYRO_NS_HOST": server.host, "PYRO_NS_PORT": str(server.port)}


# Each serializer of either side at least once: the records between them are the same for all.
PAIRS = list(zip(SERIALIZERS[4], cycle(SERIALIZERS[5]), strict=False))


@pytest.mark.parametrize(("serializer4", "serializer5"), PAIRS)
def test_tags_written_by_one_are_read_by_the_other_in_its_own_types(
    serializer4: str, serializer5: str, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    tags = ["one", "two ü"]
    from4 = ask(
        stock4_python, server.uri, f"ns.register('four', 'PYRO:four@host:4', metadata={tags})", serializer=serializer4
    )
    from5 = ask(
        stock5_python,
        server.uri,
        "uri, tags = ns.lookup('four', return_metadata=True)",
        "uri",
        "sorted(tags)",
        f"ns.register('five', 'PYRO:five@host:5', metadata={tags})",
        "sorted(ns.yplookup(meta_all=['one', 'two ü'], return_metadata=False).items()) == "
        "[('five', 'PYRO:five@host:5'), ('four', 'PYRO:four@host:4')]",
        "ns.set_metadata('four', ['changed'])",
        serializer=serializer5,
    )
    back = ask(
        stock4_python,
        server.uri,
        "uri, tags = ns.lookup('five', return_metadata=True)",
        "uri",
        "type(tags) is list and sorted(tags)",
        "sorted(ns.list(metadata_any=['changed', 'one']))",
        serializer=serializer4,
    )
    assert from4 == ["None"]
    assert from5[1:] == [
        "Pyro5.core.URI('PYRO', 'four', None, 'host', 4)",
        "['one', 'two ü']",
        "None",
        "True",
        "None",
    ]
    assert back[1:] == ["Pyro4.core.URI('PYRO', 'five', None, 'host', 5)", "['one', 'two ü']", "['five', 'four']"]


def test_a_registration_with_a_uri_object_is_found_by_the_other_kind(
    server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    for serializer in SERIALIZERS[4]:
        if serializer != "marshal":  # with it the stock clients themselves cannot send URI objects
            line = f"ns.register('by4.{serializer}', URI('PYRO:x@host:4'))"
            assert ask(stock4_python, server.uri, line, serializer=serializer) == ["None"]
    for serializer in SERIALIZERS[5]:
        if serializer != "marshal":
            line = f"ns.register('by5.{serializer}', URI('PYRO:x@host:5'))"
            assert ask(stock5_python, server.uri, line, serializer=serializer) == ["None"]
    wanted = "Pyro{}.core.URI('PYRO', 'x', None, 'host', {})"
    by5 = ask(stock4_python, server.uri, *(f"ns.lookup('by5.{name}')" for name in SERIALIZERS[5] if name != "marshal"))
    by4 = ask(stock5_python, server.uri, *(f"ns.lookup('by4.{name}')" for name in SERIALIZERS[4] if name != "marshal"))
    assert set(by5) == {wanted.format(4, 5)}
    assert set(by4) == {wanted.format(5, 4)}


def test_safe_registration_has_one_winner_across_both_kinds(
    server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    assert ask(stock4_python, server.uri, "ns.register('a', 'PYRO:a@host:4', safe=True)") == ["None"]
    refusal = ask(stock5_python, server.uri, "ns.register('a', 'PYRO:a@host:5', safe=True)", "ns.remove('a')")
    assert refusal == ["!! Pyro5.errors.NamingError('name already registered: a') with remote traceback", "1"]
    assert ask(stock4_python, server.uri, "ns.lookup('a')")[0].startswith("!! Pyro4.errors.NamingError(")


def test_both_kinds_list_the_same_names(server: NameServer, stock4_python: Path, stock5_python: Path) -> None:
    ask(stock4_python, server.uri, "[ns.register(f'four.{i}', 'PYRO:x@host:4') for i in range(3)]")
    ask(stock5_python, server.uri, "[ns.register(f'five.{i}', 'PYRO:x@host:5') for i in range(3)]")
    lines = ("ns.list()", "ns.list(prefix='four')", "ns.list(regex='.*1$')", "ns.count()")
    assert ask(stock4_python, server.uri, *lines) == ask(stock5_python, server.uri, *lines)


@pytest.mark.parametrize("dialect", [4, 5])
def test_a_daemon_registers_its_object_and_a_program_of_its_kind_calls_it_by_name_and_by_tag(
    dialect: int,
    server: NameServer,
    stock4_python: Path,
    stock5_python: Path,
    stock4_daemon: StockDaemons,
    stock5_daemon: StockDaemons,
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    start = {4: stock4_daemon, 5: stock5_daemon}[dialect]
    uri = start("lab.echo=echo", env=environment(server))["echo"]
    answers = ask(
        python,
        "",
        "connect('PYRONAME:lab.echo').echo('by name')",
        f"connect('PYRONAME:lab.echo@{server.location}').echo('by name and place')",
        f"connect('PYROMETA:dialect:{dialect}').echo('by tag')",
        f"connect('PYROMETA:dialect:{dialect}@{server.location}').echo('by tag and place')",
        f"str(resolve('PYRONAME:lab.echo')) == str(resolve('PYROMETA:dialect:{dialect}')) == '{uri}'",
        "locate().lookup('lab.echo') == resolve('PYRONAME:lab.echo')",
        env=environment(server),
    )
    assert answers == ["'by name'", "'by name and place'", "'by tag'", "'by tag and place'", "True", "True"]


@pytest.mark.parametrize("dialect", [4, 5])
def test_a_program_of_the_other_kind_finds_the_object_and_where_it_is(
    dialect: int,
    server: NameServer,
    stock4_python: Path,
    stock5_python: Path,
    stock4_daemon: StockDaemons,
    stock5_daemon: StockDaemons,
) -> None:
    """It cannot call it (the daemon speaks one protocol only), but every way of finding it gives its URI."""
    start = {4: stock4_daemon, 5: stock5_daemon}[dialect]
    uri = start("lab.echo=echo", env=environment(server))["echo"]
    other = stock5_python if dialect == 4 else stock4_python
    search = f"ns.yplookup(['dialect:{dialect}'])" if dialect == 4 else f"ns.list(metadata_any=['dialect:{dialect}'])"
    answers = ask(
        other,
        server.uri,
        "str(ns.lookup('lab.echo'))",
        "str(resolve('PYRONAME:lab.echo'))",
        f"str(resolve('PYROMETA:dialect:{dialect}'))",
        "ns.list(prefix='lab.')['lab.echo']",
        f"list({search})",
        env=environment(server),
    )
    assert answers == [repr(uri)] * 4 + ["['lab.echo']"]


@pytest.mark.parametrize("dialect", [4, 5])
def test_a_name_that_nobody_has_is_the_clients_own_naming_error(
    dialect: int, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    answers = ask(python, "", "resolve('PYRONAME:nope')", "resolve('PYROMETA:nope')", env=environment(server))
    assert answers[0] == f"!! Pyro{dialect}.errors.NamingError('unknown name: nope') with remote traceback"
    assert answers[1].startswith(f"!! Pyro{dialect}.errors.NamingError(")


@pytest.mark.parametrize("dialect", [4, 5])
def test_the_name_server_finds_itself_under_its_name_and_by_the_class_that_the_client_knows(
    dialect: int, server: NameServer, stock4_python: Path, stock5_python: Path
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    tag = {4: "class:Pyro4.naming.NameServer", 5: "class:Pyro5.nameserver.NameServer"}[dialect]
    lines = (f"str(resolve('PYRONAME:Pyro.NameServer')) == '{server.uri}'", f"str(resolve('PYROMETA:{tag}'))")
    assert ask(python, "", *lines, env=environment(server)) == ["True", repr(server.uri)]
