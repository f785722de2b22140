"""Our client for event loops, stock servers: daemons and name servers of Pyro4 and Pyro5."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loops import LOOPS, OnLoop
from processes import NameServers, StockDaemons
from pyronym import aio
from pyronym.errors import CommunicationError, NameServerNotFoundError, NamingError, UnknownNameError
from pyronym.rpc.exposed import expose
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from pyronym.uri import URI
from server.serving import serving
from tls_files import Certificates


@pytest.fixture(params=LOOPS)
def on_loop(request: pytest.FixtureRequest) -> OnLoop[Any]:
    play: OnLoop[Any] = request.param
    return play


@pytest.mark.parametrize("dialect", [4, 5])
def test_stock_daemons_are_called_many_times_at_once(
    dialect: int, on_loop: OnLoop[None], stock4_daemon: StockDaemons, stock5_daemon: StockDaemons
) -> None:
    uri = {4: stock4_daemon, 5: stock5_daemon}[dialect]()["echo"]

    async def main() -> None:
        async with aio.Proxy(uri) as proxy:
            assert await asyncio.gather(*(proxy.echo(number) for number in range(50))) == list(range(50))
            assert await proxy.dialect() == dialect
            with pytest.raises(ValueError, match=r"^no$"):
                await proxy.fail("no")
            await proxy._pyroSet("mood", "wild")
            assert await proxy.mood == "wild"
            assert await proxy.note("a note") is None
            assert [number async for number in await proxy.numbers(3)] == [0, 1, 2]
            with pytest.raises(AttributeError, match="has no exposed attribute or method 'nothing'"):
                await proxy.nothing()

    on_loop(main())


@pytest.mark.parametrize("dialect", [4, 5])
def test_stock_name_servers_are_located_asked_and_changed(
    dialect: int, on_loop: OnLoop[None], serve_stock4: NameServers, serve_stock5: NameServers
) -> None:
    where = {4: serve_stock4, 5: serve_stock5}[dialect]().location

    async def main() -> None:
        async with await aio.locate_ns(f"127.0.0.1:1,{where}") as ns:
            await ns.register("lab.camera", "PYRO:cam@localhost:1", metadata={"camera"})
            assert await ns.lookup("lab.camera") == URI("PYRO:cam@localhost:1")
            with pytest.raises(UnknownNameError):
                await ns.lookup("lab.nothing")
            with pytest.raises(NamingError, match="has no watch"):
                await anext(ns.watch())
        for name in ("PYRONAME:lab.camera", "PYROMETA:camera"):
            assert await aio.resolve(f"{name}@{where}") == URI("PYRO:cam@localhost:1")

    on_loop(main())


def test_a_stock_daemon_wants_its_key(on_loop: OnLoop[None], serve_stock4: NameServers) -> None:
    where = serve_stock4(key="secret").location

    async def main() -> None:
        async with await aio.locate_ns(where, hmac_key="secret") as ns:
            assert await ns.lookup("Pyro.NameServer")
        with pytest.raises(NameServerNotFoundError):
            await aio.locate_ns(where, hmac_key="other")

    on_loop(main())


@expose
class Thing:
    async def echo(self, value: object) -> object:
        return value


def test_tls_is_spoken_and_certificates_are_checked(on_loop: OnLoop[None], certificates: Certificates) -> None:
    async def main() -> None:
        async with aio.Proxy(uri, settings=certificates.client()) as proxy:
            assert await proxy.echo("x" * 1_000_000) == "x" * 1_000_000
            assert await asyncio.gather(*(proxy.echo(number) for number in range(20))) == list(range(20))
        with pytest.raises(CommunicationError, match=r"speaks TLS|closed"):
            await aio.Proxy(uri).echo(1)
        with pytest.raises(CommunicationError, match="SSL_CACERTS must hold the CA"):
            await aio.Proxy(uri, settings=Settings(ssl=True)).echo(1)

    with serving(Daemon(host="127.0.0.1", settings=certificates.server())) as daemon:
        uri = daemon.register(Thing())
        on_loop(main())
