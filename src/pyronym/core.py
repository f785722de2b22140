"""The parts of ``Pyro4.core`` that programs import from there."""

from pyronym.client.batch import batch
from pyronym.client.proxy import Proxy
from pyronym.rpc.exposed import behavior, callback, expose, oneway
from pyronym.server.daemon import Daemon
from pyronym.uri import URI

__all__ = ["URI", "Daemon", "Proxy", "batch", "behavior", "callback", "expose", "oneway"]
