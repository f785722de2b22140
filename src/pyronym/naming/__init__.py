"""The name server and the functions to find and use it, by the names and signatures of ``Pyro4.naming``."""

from pyronym.client.locate import locateNS, resolve
from pyronym.server.broadcast import BroadcastServer
from pyronym.server.nameserver import NameServerDaemon
from pyronym.server.start import startNS, startNSloop
from pyronym.service.local import NameServer
from pyronym.service.type_tags import type_meta
from pyronym.storage.memory import MemoryStorage

__all__ = [
    "BroadcastServer",
    "MemoryStorage",
    "NameServer",
    "NameServerDaemon",
    "locateNS",
    "resolve",
    "startNS",
    "startNSloop",
    "type_meta",
]
