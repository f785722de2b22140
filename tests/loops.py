"""Event loops for tests of what runs on any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
OnLoop = Callable[[Coroutine[Any, Any, T]], T]
"""Runs a coroutine to its end."""

PATIENCE = 30.0
"""Seconds after which what should happen soon is taken not to happen."""


def on_asyncio(main: Coroutine[Any, Any, T]) -> T:
    return _run(main, asyncio.new_event_loop)


def on_uvloop(main: Coroutine[Any, Any, T]) -> T:
    return _run(main, uvloop.new_event_loop)


LOOPS = [on_asyncio, on_uvloop]


def _run(main: Coroutine[Any, Any, T], make_loop: Callable[[], asyncio.AbstractEventLoop]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE):
            return await main

    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        outcome = runner.run(bounded())
    assert not complaints
    return outcome
