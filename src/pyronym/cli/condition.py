"""How a name server is, and this shell: versions, storage, descriptors."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from pyronym.cli.finding import Finding, Level
from pyronym.cli.showing import plain
from pyronym.client.proxy import Proxy
from pyronym.server.limits import RESERVED_DESCRIPTORS

FEW_DESCRIPTORS: Final = 1024
"""What most systems give each program. Every connection needs one."""
NEARLY: Final = 0.7
"""The part of its descriptors for connections from which on a name server needs more."""

_MEND: Final = "remove that cause, as a full disk or a file that was moved; then changes are stored again by themselves"
_INSTALL: Final = "install the newest (pip install --upgrade pyronym)"


def findings(name_server: Proxy) -> Iterator[Finding]:
    """What a name server tells of itself."""
    if not name_server._pyroOffers("nodes"):
        yield Finding(Level.OK, "version", "a stock name server, which tells nothing about its version and storage")
        return
    yield from _versions(name_server)
    if name_server._pyroOffers("status"):
        status = name_server.status()
        yield from _storage(status)
        yield from _descriptors(status)


def _versions(name_server: Proxy) -> Iterator[Finding]:
    nodes = name_server.nodes()
    versions = {plain(str(node["version"])) for node in nodes}
    here = version("pyronym")
    if len(versions) > 1:
        words = f"the nodes of the name server have several versions of pyronym: {', '.join(sorted(versions))}"
        yield Finding(Level.WARNING, "version", words, f"{_INSTALL} on all of them, and start them anew")
    elif versions != {here}:
        words = f"the name server has pyronym {', '.join(versions)}, this command is of {here}"
        yield Finding(Level.WARNING, "version", words, f"{_INSTALL} on both, and start the name server anew")
    else:
        yield Finding(Level.OK, "version", f"pyronym {here}, here and there; nodes: {len(nodes)}")


def _storage(status: Mapping[str, Any]) -> Iterator[Finding]:
    storage, stale_since = status["storage"], status["stale_since"]
    description = plain(storage["description"])
    if trouble := storage["trouble"]:
        words = f"no change is stored since {_when(trouble['since'])}: {plain(trouble['reason'])}"
        yield Finding(Level.ERROR, "storage", words, _MEND)
    elif stale_since is None:
        longest = f", the longest commit took {storage['longest']:.3f} s" if storage["commits"] else ""
        yield Finding(Level.OK, "storage", f"changes are stored in {description}{longest}")
    if stale_since is not None:
        words = f"answers may be out of date since {_when(stale_since)}: {plain(str(status['stale_reason']))}"
        yield Finding(Level.ERROR, "storage", words, "see to etcd and the network to it; the node catches up by itself")


def _descriptors(status: Mapping[str, Any]) -> Iterator[Finding]:
    limit, used = status["descriptors"], status["connections"]
    words = f"the name server has {used} connections, and may have {_said(limit)} files and connections"
    if limit == resource.RLIM_INFINITY or used < (limit - RESERVED_DESCRIPTORS) * NEARLY:
        yield Finding(Level.OK, "descriptors", words)
    else:
        cure = (
            "raise its limit (ulimit -n, LimitNOFILE= of systemd) and start it anew, or have idle connections closed "
            "(PYRO_IDLE_TIMEOUT)"
        )
        yield Finding(Level.ERROR, "descriptors", words, cure)


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def of_this_shell() -> Finding:
    """How many files programs may open that are started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    words = f"programs started from here may have {_said(soft)} files and connections"
    if soft == resource.RLIM_INFINITY or soft >= FEW_DESCRIPTORS:
        return Finding(Level.OK, "descriptors", words)
    cure = f"raise it before a name server is started: ulimit -n {_said(hard)}"
    return Finding(Level.WARNING, "descriptors", words, cure)


def _said(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
