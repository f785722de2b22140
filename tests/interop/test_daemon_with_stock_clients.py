"""Stock clients use objects in our daemon. Where stock daemons host the same object, the answers must be the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import SERIALIZERS, ask

from processes import SCRIPTS, run_stock
from pyronym.rpc.exposed import expose, oneway
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings

StartDaemon = Callable[..., dict[str, str]]


@expose
class Echo:
    """The twin of the class in `scripts/daemon.py`, and more."""

    def __init__(self) -> None:
        self._mood = "calm"
        self._noted: list[str] = []

    def echo(self, value: object) -> object:
        return value

    def fail(self, text: str) -> None:
        raise ValueError(text)

    def dialect(self) -> int:
        return 0

    @oneway
    def note(self, text: str) -> None:
        self._noted.append(text)

    def noted(self) -> list[str]:
        return list(self._noted)

    @property
    def mood(self) -> str:
        return self._mood

    @mood.setter
    def mood(self, value: str) -> None:
        self._mood = value

    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)


@expose
class More:
    def __init__(self) -> None:
        self.barrier = asyncio.Barrier(2)

    async def add_later(self, a: int, b: int) -> int:
        await asyncio.sleep(0.01)
        return a + b

    async def meet(self) -> str:
        async with self.barrier:
            return "met"

    def itself(self) -> object:
        return self

    def mood_of(self, other: Any) -> object:
        return other.mood

    def register(self, name: str, uri: str) -> None:
        """With `lookup` enough of a name server for `scripts/crowd.py`."""

    def lookup(self, name: str) -> str:
        return f"PYRO:member@{name}:1"


@contextmanager
def serving(daemon: Daemon) -> Iterator[Daemon]:
    thread = threading.Thread(target=daemon.requestLoop)
    thread.start()
    try:
        daemon.register(Echo(), "echo")
        daemon.register(More(), "more")
        yield daemon
    finally:
        daemon.close()
        thread.join()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with serving(Daemon("127.0.0.1")) as daemon:
        yield daemon


@pytest.fixture(params=[4, 5], ids=["pyro4", "pyro5"])
def dialect(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def python(dialect: int, request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(f"stock{dialect}_python"))


@pytest.fixture
def stock_daemon(dialect: int, request: pytest.FixtureRequest) -> StartDaemon:
    start: StartDaemon = request.getfixturevalue(f"stock{dialect}_daemon")
    return start


VALUES = (
    "None",
    "True",
    "-3",
    "2**40",
    "1.5",
    "'ä\\u20ac\\U0001f600'",
    "''",
    "[1, [2, []], {}]",
    "{'a': 1, 'b': [None]}",
)
CALLS = (
    *(f"ns.echo({value})" for value in VALUES),
    "ns.echo(value=1)",
    "ns.mood",
    "ns.mood = 'merry'",
    "ns.mood",
    "list(ns.numbers(3))",
    "list(ns.numbers(0))",
    "stream = ns.numbers(3)",
    "next(stream), next(stream), stream.close()",
    "ns.note('one')",
    "ns.fail('on purpose')",
    "ns.echo()",
    "ns.echo(1, 2)",
    "ns.nope()",
    "ns.nope",
    "ns.numbers = 1",
    "ns._pyroInvoke('_noted', [], {})",
    "ns._pyroInvoke('__init__', [], {})",
    "ns._pyroInvoke('nope', [], {})",
    "ns._pyroInvoke('mood', [], {})",
    "ns._pyroInvoke('__getattr__', ['_mood'], {})",
    "ns._pyroInvoke('__getattr__', ['echo'], {})",
    "ns._pyroInvoke('__getattr__', ['nope'], {})",
    "ns._pyroInvoke('__setattr__', ['_mood', 1], {})",
    "sorted(ns._pyroMethods), sorted(ns._pyroAttrs), sorted(ns._pyroOneway)",
)
BATCH = (
    "b = batch(ns)",
    "b.echo(1)",
    "b.fail('on purpose')",
    "b.echo(2)",
    "answers = b()",
    "next(answers)",
    "next(answers)",
)


@pytest.mark.parametrize("serializer", SERIALIZERS[4])
def test_answers_are_those_of_a_stock_daemon(
    dialect: int, serializer: str, daemon: Daemon, python: Path, stock_daemon: StartDaemon
) -> None:
    if serializer not in SERIALIZERS[dialect]:
        return
    lines = CALLS if serializer == "marshal" else CALLS + BATCH  # stock clients cannot send batches with marshal
    accepted = {"PYRO_SERIALIZERS_ACCEPTED": ",".join(SERIALIZERS[4])} if dialect == 4 else {}
    theirs, ours = (
        [answer.replace(uri, "URI") for answer in ask(python, uri, *lines, serializer=serializer, env=accepted)]
        for uri in (stock_daemon(env=accepted)["echo"], str(daemon.uriFor("echo")))
    )
    assert list(zip(lines, ours, strict=True)) == list(zip(lines, theirs, strict=True))


def test_oneway_calls_arrive(daemon: Daemon, python: Path) -> None:
    echo = daemon.objectsById["echo"]
    assert isinstance(echo, Echo)
    ask(python, str(daemon.uriFor("echo")), "for i in range(20): ns.note(str(i))", "ns.echo(1)")
    while len(echo.noted()) < 20:
        pass
    assert sorted(echo.noted(), key=int) == [str(i) for i in range(20)]


def test_async_methods_answer_and_wait_for_each_other(daemon: Daemon, python: Path) -> None:
    uri = str(daemon.uriFor("more"))
    answers = ask(
        python,
        uri,
        "ns.add_later(1, 2)",
        "from concurrent.futures import ThreadPoolExecutor",
        f"def meet(_): return connect({uri!r}).meet()",
        "list(ThreadPoolExecutor(2).map(meet, range(2)))",
    )
    assert answers == ["3", "None", "None", "['met', 'met']"]


def test_registered_objects_and_proxies_travel_both_ways(daemon: Daemon, python: Path) -> None:
    answers = ask(
        python,
        str(daemon.uriFor("more")),
        "type(ns.itself()).__name__",
        "str(ns.itself()._pyroUri)",
        "ns.itself().itself().add_later(1, 2)",
        f"ns.mood_of(connect('{daemon.uriFor('echo')}'))",
    )
    assert answers == ["'Proxy'", f"'{daemon.uriFor('more')}'", "3", "'calm'"]


def test_the_daemon_object_answers_stock_clients(dialect: int, daemon: Daemon, python: Path) -> None:
    arguments = "'echo', as_lists=True" if dialect == 4 else "'echo'"
    answers = ask(
        python,
        f"PYRO:Pyro.Daemon@{daemon.locationStr}",
        "ns.ping()",
        "ns.registered()",
        f"sorted(ns.get_metadata({arguments})['attrs'])",
        "ns.get_metadata('nope')",
        "ns.info().startswith('Pyro.Daemon bound on ')",
    )
    assert answers == [
        "None",
        "['Pyro.Daemon', 'echo', 'more']",
        "['mood']",
        f"!! Pyro{dialect}.errors.DaemonError('unknown object') with remote traceback",
        "True",
    ]


@pytest.mark.parametrize("compression", ["on", "off"])
def test_long_values_come_back_with_and_without_compression(daemon: Daemon, python: Path, compression: str) -> None:
    settings = Settings(compression=compression == "on")
    with serving(Daemon("127.0.0.1", settings=settings)) as daemon:
        line = "ns.echo('ab' * 500_000) == 'ab' * 500_000"
        env = {"PYRO_COMPRESSION": compression}
        assert ask(python, str(daemon.uriFor("echo")), line, env=env) == ["True"]


def test_unix_sockets_and_ipv6(python: Path, tmp_path: Path) -> None:
    for daemon in (Daemon(unixsocket=str(tmp_path / "socket")), Daemon("::1")):
        with serving(daemon):
            assert ask(python, str(daemon.uriFor("echo")), "ns.echo(1)", "list(ns.numbers(2))") == ["1", "[0, 1]"]


def test_a_daemon_with_a_key_answers_those_who_have_it(daemon: Daemon, stock4_python: Path) -> None:
    daemon._pyroHmacKey = "secret"
    uri = str(daemon.uriFor("echo"))
    assert ask(stock4_python, uri, "ns.echo(1)", key="secret") == ["1"]
    for key in ("", "wrong"):
        (answer,) = ask(stock4_python, uri, "ns.echo(1)", key=key)
        assert "hmac" in answer


def test_both_dialects_at_once_in_hundreds(daemon: Daemon, stock4_python: Path, stock5_python: Path) -> None:
    counts: list[object] = []
    uri = str(daemon.uriFor("more"))
    visits = [
        threading.Thread(
            target=lambda python: counts.append(run_stock(python, SCRIPTS / "crowd.py", uri, 250)), args=(p,)
        )
        for p in (stock4_python, stock5_python)
    ]
    for visit in visits:
        visit.start()
    for visit in visits:
        visit.join()
    assert counts == [250, 250]


def test_streams_are_off_if_the_settings_say_so(python: Path) -> None:
    with serving(Daemon("127.0.0.1", settings=replace(Settings(), iter_streaming=False))) as daemon:
        (answer,) = ask(python, str(daemon.uriFor("echo")), "list(ns.numbers(2))")
    assert "result of call is an iterator" in answer
