"""Asking a name server what a URI stands for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeVar

from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.network import Network, Stream
from pyronym.client.nodes import Nodes
from pyronym.client.repeating import call_node
from pyronym.client.search import find_name_server, named_nodes
from pyronym.errors import NamingError, ProtocolError
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.message import PYRO5

S = TypeVar("S", bound=Stream)


async def resolve_uri(
    network: Network[S], uri: URI, settings: Settings, hmac_key: bytes | None, deadline: Deadline
) -> URI:
    """The PYRO URI that `uri` stands for, by the name server that it names or that can be found; PYRO comes back as is.

    Raises NamingError when it stands for nothing (NameServerNotFoundError when there is nobody to ask),
    CommunicationError when the name server gets lost, and all others that it names, or does not answer by the deadline.
    """
    if uri.protocol == "PYRO":
        return uri
    nodes = Nodes(named_nodes(f"./u:{uri.sockname}" if uri.sockname else uri.host, uri.port, settings))

    async def connect() -> Connection[S]:
        return await find_name_server(network, nodes.in_order(), uri.port, True, settings, hmac_key, deadline)

    async def ask(name_server: Connection[S]) -> object:
        try:
            return await _asked(name_server, uri, settings.serializer, deadline)
        finally:
            name_server.close()

    return object_address(await call_node(connect, ask, ["lookup"], nodes), uri)


async def _asked(name_server: Connection[S], uri: URI, serializer: str, deadline: Deadline) -> object:
    if isinstance(uri.object, str):
        return await name_server.call("lookup", (uri.object,), {}, serializer, deadline)
    wanted = sorted(uri.object)
    filters: Mapping[str, object]
    if name_server.session.protocol == PYRO5:
        method, filters = "yplookup", {"meta_all": wanted, "return_metadata": False}
    else:
        method, filters = "list", {"metadata_all": wanted, "return_metadata": False}
    found = await name_server.call(method, (), filters, serializer, deadline)
    if not isinstance(found, dict):
        raise ProtocolError(f"the name server's list is a {type(found).__name__} (expected a dict)")
    if not found:
        raise NamingError(f"no registrations available with desired metadata properties {', '.join(wanted)}")
    return random.choice(list(found.values()))  # noqa: S311  # spreads load, protects nothing


def object_address(found: object, asked: object) -> URI:
    """The PYRO URI that a name server has given for what was `asked`. ProtocolError, NamingError if it is none."""
    if not isinstance(found, str | URI):
        raise ProtocolError(f"the name server's answer for {asked} is a {type(found).__name__} (expected a URI)")
    resolved = URI(found)
    if resolved.protocol != "PYRO":
        raise NamingError(f"{asked} stands for {resolved}, which is no address of an object (expected a PYRO URI)")
    return resolved


def checked_uri(uri: str | URI) -> URI:
    """A URI that is to be resolved. TypeError for what is none, PyroError for a text that is none."""
    if not isinstance(uri, str | URI):
        raise TypeError(f"can only resolve Pyro URIs, not {type(uri).__name__}")
    return uri if isinstance(uri, URI) else URI(uri)
