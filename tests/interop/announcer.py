"""A program that announces names and says what happens: ``announcer.py HOST LEASE MANNER NAME...``.

MANNER is ``with`` (in a with block), ``loose`` (announced and not thought of again), ``aio`` or ``fork`` (as loose, and
with a child that ends by sys.exit). SIGTERM makes it call sys.exit(3), SIGUSR1 raises an exception, SIGUSR2 ends it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pyronym
from pyronym import Notice, aio

URI = f"PYRO:thing@127.0.0.1:{os.getpid() % 60000 + 1000}"


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # at once: two threads do


def tell(notice: Notice) -> None:
    say(f"{notice.kind} {notice.name} {notice.where}")


def leave(number: int, _: Any) -> None:
    if number == signal.SIGTERM:
        sys.exit(3)
    if number == signal.SIGUSR1:
        raise RuntimeError("something is wrong")
    raise KeyboardInterrupt


def wait() -> None:
    say("ready")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("interrupted")


async def announce_on_a_loop(names: list[str], options: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(aio.announce(name, URI, **options))
        say("ready")
        await asyncio.Event().wait()


def fork() -> None:
    child = os.fork()
    if not child:
        say(f"child: {threading.active_count()} thread")
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    say("the child has ended")


def main(host: str, lease: str, manner: str, *names: str) -> None:
    options: dict[str, Any] = {"host": host, "lease": float(lease), "notify": tell}
    if manner == "aio":
        asyncio.run(announce_on_a_loop(list(names), options))
        return
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, leave)
    with ExitStack() as stack:
        for name in names:
            announcement = pyronym.announce(name, URI, **options)
            if manner == "with":
                stack.enter_context(announcement)
        if manner == "fork":
            fork()
        wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(*sys.argv[1:])
