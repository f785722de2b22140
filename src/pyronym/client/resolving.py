"""Asking a name server what a URI stands for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import closing

from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.search import find_name_server
from pyronym.errors import NamingError, ProtocolError
from pyronym.rpc.client import Failure, Result
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.message import PYRO5


def resolve_uri(uri: URI, settings: Settings, hmac_key: bytes | None, deadline: Deadline) -> URI:
    """The PYRO URI that `uri` stands for, by the name server that it names or that can be found; PYRO comes back as is.

    Raises NamingError when it stands for nothing (NameServerNotFoundError when there is nobody to ask),
    CommunicationError when the name server gets lost or does not answer by the deadline.
    """
    if uri.protocol == "PYRO":
        return uri
    host = f"./u:{uri.sockname}" if uri.sockname else uri.host
    with closing(find_name_server(host, uri.port, True, settings, hmac_key, deadline)) as name_server:
        if isinstance(uri.object, str):
            found = _call(name_server, "lookup", (uri.object,), {}, settings, deadline)
        else:
            found = _any_with_tags(name_server, uri.object, settings, deadline)
    if not isinstance(found, str | URI):
        raise ProtocolError(f"the name server's answer for {uri} is a {type(found).__name__} (expected a URI)")
    resolved = URI(found)
    if resolved.protocol != "PYRO":
        raise NamingError(f"{uri} stands for {resolved}, which is no address of an object (expected a PYRO URI)")
    return resolved


def _any_with_tags(name_server: Connection, tags: set[str], settings: Settings, deadline: Deadline) -> object:
    wanted = sorted(tags)
    if name_server.session.protocol == PYRO5:
        method, filters = "yplookup", {"meta_all": wanted, "return_metadata": False}
    else:
        method, filters = "list", {"metadata_all": wanted, "return_metadata": False}
    found = _call(name_server, method, (), filters, settings, deadline)
    if not isinstance(found, dict):
        raise ProtocolError(f"the name server's list is a {type(found).__name__} (expected a dict)")
    if not found:
        raise NamingError(f"no registrations available with desired metadata properties {', '.join(wanted)}")
    return random.choice(list(found.values()))  # noqa: S311  # spreads load, protects nothing


def _call(
    name_server: Connection,
    method: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    settings: Settings,
    deadline: Deadline,
) -> object:
    object_id = str(name_server.uri.object)
    data = name_server.session.invoke(object_id, method, args, kwargs, serializer=settings.serializer)
    answer = name_server.exchange(data, deadline)
    if isinstance(answer, Failure):
        raise answer.exception
    if not isinstance(answer, Result):
        raise ProtocolError(f"the name server's {method} gives a {type(answer).__name__} (expected a result)")
    return answer.value
