"""The limits of registrations, as clients of both dialects meet them: clear errors, nothing changed, all counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest

from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError
from pyronym.rpc.offences import Offence
from pyronym.server.nameserver import NameServerDaemon
from pyronym.settings import Settings

DIALECTS = pytest.mark.parametrize("dialect", [4, 5])
URI = "PYRO:obj@host:1"


@contextmanager
def nameserver(**settings: Any) -> Iterator[NameServerDaemon]:
    with NameServerDaemon("127.0.0.1", 0, settings=Settings(**settings)) as daemon:
        thread = Thread(target=daemon.requestLoop)
        thread.start()
        try:
            yield daemon
        finally:
            daemon.close()
            thread.join()


@contextmanager
def client(daemon: NameServerDaemon, dialect: int) -> Iterator[Any]:
    with Proxy(daemon.uriFor("Pyro.NameServer"), protocol=dialect) as proxy:
        yield proxy


def over(daemon: NameServerDaemon) -> int:
    return daemon.offences[Offence.OVER_LIMIT]


@DIALECTS
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("n" * 51, URI), "name is too long: 51 characters (at most 50, MAX_NAME_LENGTH)"),
        (("n", "PYRO:" + "o" * 50 + "@h:1"), "uri is too long: 59 characters (at most 50, MAX_NAME_LENGTH)"),
        (("n", URI, False, ["t" * 51]), "a metadata tag is too long: 51 characters (at most 50, MAX_NAME_LENGTH)"),
        (("n", URI, False, ["1", "2", "3"]), "metadata has too many tags: 3 (at most 2, MAX_TAGS)"),
    ],
    ids=["name", "uri", "tag", "tags"],
)
def test_what_is_registered_has_a_size(dialect: int, arguments: tuple[Any, ...], words: str) -> None:
    with nameserver(max_name_length=50, max_tags=2) as daemon, client(daemon, dialect) as proxy:
        with pytest.raises(NamingError) as refusal:
            proxy.register(*arguments)
        assert str(refusal.value).startswith(words)
        assert list(proxy.list()) == ["Pyro.NameServer"]
        assert over(daemon) == 1
        proxy.register("n", URI, metadata=["1", "2"])


@DIALECTS
def test_a_client_may_have_so_many_names(dialect: int) -> None:
    with nameserver(max_names_per_client=3) as daemon, client(daemon, dialect) as proxy:
        for number in range(3):
            proxy.register(f"n{number}", URI)
        proxy.register("n0", URI)  # again
        for arguments in (("n3", URI), ("n3", URI, True), ("n3", URI, False, ["tag"])):
            with pytest.raises(NamingError, match=r"^too many names: net:127\.0\.0\.1 has registered 3 \(MAX_NAMES"):
                proxy.register(*arguments)
        assert sorted(proxy.list()) == ["Pyro.NameServer", "n0", "n1", "n2"]
        assert over(daemon) == 3
        with client(daemon, 9 - dialect) as same:  # the address is what counts, not the connection
            with pytest.raises(NamingError, match="too many names"):
                same.register("n3", URI)
            assert same.remove(prefix="n1") == 1
        proxy.register("n3", URI)


@DIALECTS
def test_without_the_limit_nobody_counts_names(dialect: int) -> None:
    with nameserver() as daemon, client(daemon, dialect) as proxy:
        for number in range(50):
            proxy.register(f"n{number}", URI)
        assert not over(daemon)


@DIALECTS
@pytest.mark.parametrize("search", ["list", "remove"])
def test_a_regular_expression_over_budget_is_counted(dialect: int, search: str) -> None:
    with nameserver(regex_timeout=0.05) as daemon, client(daemon, dialect) as proxy:
        proxy.register("a" * 40 + "!", URI)
        with pytest.raises(NamingError, match=r"^regex takes too long"):
            getattr(proxy, search)(regex="(a|aa)+$")
        assert daemon.offences[Offence.SLOW_PATTERN] == 1
        assert proxy.count() == 2
