"""A server that has run out of descriptors: it does not spin, and answers again as soon as there are some."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rawwire import RawPeer

from processes import PYRONYM, NameServer, NameServers, stopping

TICKS = os.sysconf("SC_CLK_TCK")
LIMIT = 64
"""Descriptors that the server has. It would like to keep 128 back, so that it has too few on purpose."""
CROWD = 200


@pytest.fixture
def server() -> Iterator[NameServer]:
    servers = NameServers(
        ["sh", "-c", f'ulimit -n {LIMIT} && exec "$@"', "sh", PYRONYM, "serve"],
        {"PYRO_MAX_CONNECTIONS": "10000", "PYRO_MAX_CONNECTIONS_PER_ADDRESS": "10000"},
    )
    with stopping(servers.processes):
        yield servers()


def processor_seconds(server: NameServer) -> float:
    """What the server has used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def test_a_server_without_descriptors_rests_and_answers_when_there_are_some(server: NameServer) -> None:
    with ExitStack() as stack, RawPeer(server.address, 5) as known:
        known.shake_hands()
        assert known.call("count") == 1
        for _ in range(CROWD):
            stack.enter_context(socket.create_connection(server.address))
        server.process.wait_for_line(r"cannot accept clients, trying again every 0\.1 s: .*Too many open files")
        before = processor_seconds(server)
        time.sleep(2.0)  # nothing is waited for: this is the time in which the server has nothing to do
        used = processor_seconds(server) - before
        assert known.call("count") == 1, "those who are connected are served all the same"
    with RawPeer(server.address, 5) as late:
        late.shake_hands()
        assert late.call("count") == 1
    assert used < 0.2, f"{used} s of computing in 2 s of waiting"
    assert len([line for line in server.process.lines if "cannot accept" in line]) == 1
