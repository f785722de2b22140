"""pyronym: a name server for Python remote objects, and the parts to host and to call them.

``import pyronym as Pyro4`` serves programs that use naming, Proxy and Daemon of Pyro4.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from pyronym import errors
from pyronym.settings import Settings, config
from pyronym.uri import URI

if TYPE_CHECKING:
    from pyronym import aio, core, naming, util
    from pyronym.client.announce import announce
    from pyronym.client.announcing import Notice, NoticeKind
    from pyronym.client.batch import batch
    from pyronym.client.locate import locateNS, resolve
    from pyronym.client.proxy import Proxy
    from pyronym.client.resolver import Resolver
    from pyronym.directory.record import Event
    from pyronym.rpc.exposed import behavior, callback, expose, oneway
    from pyronym.server.broadcast import BroadcastServer
    from pyronym.server.daemon import Daemon
    from pyronym.server.nameserver import NameServerDaemon
    from pyronym.server.start import startNS, startNSloop
    from pyronym.service.local import NameServer
    from pyronym.service.type_tags import type_meta
    from pyronym.storage.memory import MemoryStorage

__all__ = [
    "URI",
    "BroadcastServer",
    "Daemon",
    "Event",
    "MemoryStorage",
    "NameServer",
    "NameServerDaemon",
    "Notice",
    "NoticeKind",
    "Proxy",
    "Resolver",
    "Settings",
    "aio",
    "announce",
    "batch",
    "behavior",
    "callback",
    "config",
    "core",
    "errors",
    "expose",
    "locateNS",
    "naming",
    "oneway",
    "resolve",
    "startNS",
    "startNSloop",
    "type_meta",
    "util",
]

__version__ = "0.1.0"

# Where the rest comes from when it is first asked for: a program that only makes a Proxy does not wait for the server.
_HOMES = {
    "BroadcastServer": "server.broadcast",
    "Daemon": "server.daemon",
    "Event": "directory.record",
    "MemoryStorage": "storage.memory",
    "NameServer": "service.local",
    "NameServerDaemon": "server.nameserver",
    "Notice": "client.announcing",
    "NoticeKind": "client.announcing",
    "Proxy": "client.proxy",
    "Resolver": "client.resolver",
    "announce": "client.announce",
    "batch": "client.batch",
    "behavior": "rpc.exposed",
    "callback": "rpc.exposed",
    "expose": "rpc.exposed",
    "locateNS": "client.locate",
    "oneway": "rpc.exposed",
    "resolve": "client.locate",
    "startNS": "server.start",
    "startNSloop": "server.start",
    "type_meta": "service.type_tags",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value: object = getattr(import_module(f"pyronym.{_HOMES[name]}"), name)
    elif name in __all__:
        value = import_module(f"pyronym.{name}")
    else:
        raise AttributeError(f"module 'pyronym' has no attribute '{name}'")
    globals()[name] = value
    return value
