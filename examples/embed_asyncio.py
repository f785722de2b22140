"""A name server inside a running asyncio loop, beside the program's own tasks."""

import asyncio

import pyronym


def ask(uri: pyronym.URI) -> list[str]:
    with pyronym.Proxy(uri) as nameserver:
        nameserver.register("lab.camera", "PYRO:camera@localhost:4444")
        return sorted(nameserver.list())


async def main() -> None:
    uri, daemon, _responder = pyronym.startNS(host="127.0.0.1", port=0)
    daemon.attach()
    # The blocking client runs in a thread; the loop serves the name server in the meantime.
    print("registered:", await asyncio.to_thread(ask, uri))
    daemon.close()


if __name__ == "__main__":
    asyncio.run(main())
