"""Run an example from the documentation, given on the standard input, with the names that it takes for granted.

There is a name server where the environment says, and a camera registered in it. ``await`` may be used
as in a coroutine.
"""

import ast
import asyncio
import inspect
import sys
import threading
from types import SimpleNamespace

import pyronym


@pyronym.expose
class Camera:
    mood = property(lambda self: "bright")

    def take(self) -> str:
        return "a picture"


async def serve() -> None:
    """What a program on an event loop does all day."""


def main() -> None:
    example = compile(sys.stdin.read(), "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with pyronym.Daemon() as hosting:
        threading.Thread(target=hosting.requestLoop, daemon=True).start()
        uri = hosting.register(Camera())
        names = {"pyronym": pyronym, "Pyro4": pyronym, "asyncio": asyncio, "uri": uri, "serve": serve}
        names["daemon"] = SimpleNamespace(requestLoop=lambda: None)
        if "startNS" not in example.co_names:
            names["nameserver"] = names["ns"] = pyronym.locateNS()
            names["nameserver"].register("lab.camera", uri)
        result = eval(example, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)


if __name__ == "__main__":
    main()
