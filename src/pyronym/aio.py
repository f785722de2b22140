"""The client for programs on an event loop, asyncio's or uvloop::

    async with await aio.locate_ns("ns1:9090,ns2:9090") as nameserver:
        uri = await nameserver.lookup("lab.camera")
        async for change in nameserver.watch("lab."):
            change.apply(names)
    async with aio.announce("lab.camera", uri):
        ...

Settings, errors and URIs are those of `pyronym`.
"""

from pyronym.client.aio.announce import announce
from pyronym.client.aio.name_server import NameServer, Watch, locate_ns, resolve
from pyronym.client.aio.proxy import Proxy
from pyronym.client.watching import Change, Entry, Reset

__all__ = ["Change", "Entry", "NameServer", "Proxy", "Reset", "Watch", "announce", "locate_ns", "resolve"]
