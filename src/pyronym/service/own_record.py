"""The name server's own record, which every client must see with an address that it can reach."""

from __future__ import annotations

from pyronym.directory.record import Record
from pyronym.rpc.hosting import Address
from pyronym.uri import NAMESERVER_NAME, URI

PYRO4_CLASS_TAG = "class:Pyro4.naming.NameServer"
PYRO5_CLASS_TAG = "class:Pyro5.nameserver.NameServer"
OWN_TAGS = frozenset([PYRO4_CLASS_TAG, PYRO5_CLASS_TAG])
"""With these tags the stock servers register themselves; programs search for them."""

WILDCARDS = ("0.0.0.0", "::")


def reachable_uri(uri: URI, local: Address) -> URI:
    """`uri`, with the address `local` at which a client reached us where it names all interfaces."""
    if uri.host not in WILDCARDS or not isinstance(local, tuple):
        return uri
    reachable = URI(uri)
    reachable.host = local[0].removeprefix("::ffff:")
    return reachable


def seen_by(record: Record, local: Address, foreign_tag: str, own_uri: URI | None = None) -> Record:
    """The record as the client behind `local` shall see it, without the tag that the other protocol looks for.

    Only the name server's own record differs from client to client. `own_uri`: its URI for this client, where that is
    another than the record's.
    """
    if record.name != NAMESERVER_NAME:
        return record
    uri = reachable_uri(own_uri or URI(record.uri), local).asString()
    return Record(record.name, uri, record.metadata - {foreign_tag})
