"""A name server without sockets: bytes in, bytes out."""

from __future__ import annotations

from pyronym.rpc.call import IN_WORKER
from pyronym.rpc.hosting import Hosted, Peer
from pyronym.rpc.session import ServerSession
from pyronym.serializers.classes import RemoteReference
from pyronym.server.hosted import HostedDaemon
from pyronym.service.hosted import HostedNameServer
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.settings import Settings
from pyronym.uri import URI


class Host:
    """A daemon with the name server, as sessions see it, and as the object that stands for the daemon sees it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        nameserver = NameServer()
        nameserver.adopt(URI("PYRO:Pyro.NameServer@127.0.0.1:9090"), OWN_TAGS)
        self.service = nameserver.service
        self._hosted: dict[str, Hosted] = {
            "Pyro.NameServer": HostedNameServer(self.service, settings),
            "Pyro.Daemon": HostedDaemon(self),
        }

    def get(self, object_id: str) -> Hosted | None:
        return self._hosted.get(object_id)

    hosted = get

    def reference(self, value: object) -> RemoteReference | None:
        return None

    def revive(self, reference: RemoteReference) -> object:
        return reference

    def validate_handshake(self, peer: Peer, handshake: object) -> object:
        return "hello"

    def describe(self) -> str:
        return "a daemon for tests"

    def registered(self) -> list[str]:
        return list(self._hosted)

    def uriFor(self, objectOrId: object, nat: bool = True) -> URI:
        return URI(f"PYRO:{objectOrId}@127.0.0.1:9090")

    def validateHandshake(self, conn: Peer, data: object) -> object:
        return "hello"


def answers(host: Host, pieces: list[bytes], hmac_key: bytes | None = None) -> bytes:
    """What a new client that sends these pieces is answered."""
    session = ServerSession(host, host.settings, hmac_key=hmac_key, local=("127.0.0.1", 9090), remote=("127.0.0.1", 1))
    out = []
    for piece in pieces:
        answer = session.receive_data(piece)
        if not answer:
            while (call := session.next_call()) is not None:
                for waited in call.run():
                    assert waited is IN_WORKER, "with its names in memory the name server waits for nothing"
                session.finish(call)
        out.append(answer + session.data_to_send())
        if session.closing:
            break
    session.close()
    return b"".join(out)
