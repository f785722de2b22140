"""The servers that are attacked: started, started again when they are down, and measured from outside."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from processes import PYRONYM, NameServer, NameServers
from stock import PYRO4, PYRO5

_ALL = "serpent,json,marshal,msgpack,pickle,dill,cloudpickle"
KINDS = {"pyronym": (48, 502), "pyro4": (48,), "pyro5": (502,)}
"""What can be attacked, and the protocols that it speaks."""


@dataclass(frozen=True)
class Measures:
    """Of a process, as the system sees it. Memory in bytes; `peak`: the most that it ever had."""

    memory: int
    peak: int
    threads: int
    descriptors: int


class Target:
    """A name server with its names in memory, on one port for all its lives.

    `descriptors`: how many it may have; None: as many as this process. `broadcast`: it has a broadcast responder, at
    `broadcast_port`.
    """

    def __init__(
        self, kind: str, key: bytes | None = None, *, descriptors: int | None = None, broadcast: bool = False
    ) -> None:
        self.protocols = KINDS[kind]
        self._key = key.decode() if key else None
        if kind == "pyronym":
            command: list[str | Path] = [PYRONYM, "serve"]
        else:
            stock, module = {"pyro4": (PYRO4, "Pyro4.naming"), "pyro5": (PYRO5, "Pyro5.nameserver")}[kind]
            command = [stock.ensure(), "-u", "-W", "ignore", "-m", module]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        self._servers = NameServers(command, {"PYRO_SERIALIZERS_ACCEPTED": _ALL} if kind != "pyro5" else {})
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            self.broadcast_port: int = other.getsockname()[1]
        self._broadcast = broadcast
        self._server = self._start(0)  # any that is free: one that was free a moment ago may be taken by now
        self.address = ("127.0.0.1", self._server.port)

    def _start(self, port: int) -> NameServer:
        if not self._broadcast:
            return self._servers(port=port, key=self._key)
        where = ("--bchost", "127.0.0.1", "--bcport", str(self.broadcast_port))
        return self._servers(*where, host="0.0.0.0", port=port, key=self._key)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._server.process.returncode is None

    @property
    def surprises(self) -> int:
        """How many errors that nobody expected the server has reported."""
        return sum(line.startswith("Traceback") for line in self._server.process.lines)

    @property
    def output(self) -> str:
        """What the server has printed."""
        return self._server.process.output

    def restart(self) -> None:
        """End what is left of it and start it anew."""
        self._server.process.close()
        self._servers.processes.clear()
        self._server = self._start(self.address[1])

    def measure(self) -> Measures:
        """How it is. OSError when it is gone."""
        folder = Path("/proc") / str(self._server.process.pid)
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        if "VmRSS" not in fields:
            raise OSError("the process has ended")
        memory, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return Measures(memory, peak, int(fields["Threads"]), len(list((folder / "fd").iterdir())))

    def close(self) -> None:
        """End it."""
        for process in self._servers.processes:
            process.close()
