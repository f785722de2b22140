"""The least that an asyncio server can do: answer whatever comes with a number of bytes.

Usage: python echo.py asyncio|uvloop SIZE. Prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Echo(asyncio.Protocol):
    """Takes every piece that arrives for one request."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)


async def serve(size: int) -> None:
    """Until the process is ended."""
    answer = b"x" * size
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answer), "127.0.0.1", 0, backlog=4096)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(serve(int(sys.argv[2])))
    else:
        asyncio.run(serve(int(sys.argv[2])))
