"""A dashboard of what is registered: it prints each change, and asks every new camera for a picture meanwhile.

Give it one or several name servers: ``python dashboard_asyncio.py ns1:9090,ns2:9090``.
"""

import asyncio
import sys

from pyronym import aio


async def take_picture(name: str, uri: str) -> None:
    async with aio.Proxy(uri) as camera:
        print(f"{name} took {await camera.take()}", flush=True)


async def main(hosts: str) -> None:
    names: dict[str, aio.Entry] = {}
    async with await aio.locate_ns(hosts) as nameserver, asyncio.TaskGroup() as pictures:
        async for event in nameserver.watch("lab."):
            event.apply(names)  # whatever it is, afterwards `names` is right
            print("now there are:", ", ".join(sorted(names)) or "none", flush=True)
            if isinstance(event, aio.Change) and event.uri and "camera" in event.metadata:
                pictures.create_task(take_picture(event.name, event.uri))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
