"""``pyronym serve --probe``: names of programs that are gone go, others stay; stock tools see how they are."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path

import pytest
from asking import ask

from namespaces import hosts_or_skip, link
from processes import PYRONYM, NameServer, NameServers, Process, StockDaemons, run, stopping
from pyronym import Proxy

QUICK = {"PYRO_LOGLEVEL": "DEBUG", "PYRO_COMMTIMEOUT": "0.5"}


def removed(server: NameServer, *names: str) -> None:
    """Wait until these names have been removed."""
    for name in names:
        server.process.wait_for_line(f"removing '{name}'.*: done$")


def whole_round(server: NameServer) -> None:
    """Wait until a round that begins from now on has ended."""
    for what in ("begins", "has ended"):
        server.process.wait_for_line(f"a round of probes {what}", since=len(server.process.lines))


def test_names_of_what_is_gone_go_within_a_round(
    serve: NameServers,
    stock4_daemon: StockDaemons,
    stock5_daemon: StockDaemons,
    stock4_python: Path,
    stock5_python: Path,
    tmp_path: Path,
) -> None:
    log = tmp_path / "audit"
    options = ("--probe", "3", "--probe-grace", "0", "--audit-log", str(log))
    server = serve(*options, storage=f"sql:{tmp_path}/names", env=QUICK)
    with Proxy(server.uri) as nameserver, socket.create_server(("127.0.0.1", 0)) as no_daemon:
        stays = stock5_daemon()["echo"]
        nameserver.register("stays", stays, metadata=["tag"])
        nameserver.register("object gone", stays.replace("echo", "other"))
        nameserver.register("no daemon", f"PYRO:echo@127.0.0.1:{no_daemon.getsockname()[1]}")
        for name, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
            nameserver.register(name, stock4_daemon()["echo"])
            stock4_daemon.processes[-1].signal(number)
        assert nameserver.count() == 6
        removed(server, "object gone", "no daemon", "killed", "stopped")
        assert sorted(nameserver.list()) == ["Pyro.NameServer", "stays"]
        server.process.wait_for_line("removing 'killed', unreachable: Connection refused: done")
        server.process.wait_for_line(
            "removing 'object gone', object unknown: its daemon does not know the object: done"
        )
    whole_round(server)
    expected = "{'stays': {'seconds': None, 'state': 'alive'}}"
    for python in (stock4_python, stock5_python):
        (state,) = ask(python, server.uri, "dict((n, dict(sorted(s.items()))) for n, s in ns.liveness('stay').items())")
        assert state == expected
    server.process.terminate()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    by_probe = {line["name"]: line for line in lines if line["who"] == "probe"}
    assert set(by_probe) == {"object gone", "no daemon", "killed", "stopped"}
    assert by_probe["no daemon"]["why"] == "unreachable: no answer within 0.5 s"


def test_within_the_grace_period_a_name_stays_and_its_state_is_told(
    serve: NameServers, stock4_daemon: StockDaemons
) -> None:
    server = serve(env={**QUICK, "PYRO_NS_AUTOCLEAN": "3"})
    with Proxy(server.uri) as nameserver:
        nameserver.register("stopped", stock4_daemon()["echo"])
        stock4_daemon.processes[0].signal(signal.SIGSTOP)
        whole_round(server)
        state = nameserver.liveness()
        assert state["Pyro.NameServer"] == {"state": "not probed", "seconds": None}
        assert state["stopped"]["state"] == "unreachable"
        assert 0 <= state["stopped"]["seconds"] < 20
        stock4_daemon.processes[0].signal(signal.SIGCONT)
        whole_round(server)
        assert nameserver.liveness() == {
            "Pyro.NameServer": {"state": "not probed", "seconds": None},
            "stopped": {"state": "alive", "seconds": None},
        }


REGISTER = """
import sys
from pyronym import locateNS
with locateNS("10.98.1.1") as nameserver:
    nameserver.register("near", "PYRO:obj@127.0.0.1:1")
    nameserver.register("far", "PYRO:obj@10.98.1.2:1")
    print(nameserver.lookup("near"))
"""


def test_what_another_host_registers_as_its_own_loopback_is_not_probed_but_warned_of() -> None:
    with hosts_or_skip("s", "a") as (server, other):
        link(server, other, "net-a", ["10.98.1.1/24"], ["10.98.1.2/24"])
        command = server.command(PYRONYM, "serve", "-n", "10.98.1.1", "-x", "--probe", "3", "--probe-grace", "0")
        process = Process(command, env=QUICK)
        with stopping([process]):
            running = NameServer(process)
            assert other.run(sys.executable, "-c", REGISTER) == "PYRO:obj@127.0.0.1:1\n"
            process.wait_for_line("client 10.98.1.2 registers 'near' as PYRO:obj@127.0.0.1:1, where nobody else can")
            removed(running, "far")
            assert other.run(sys.executable, "-c", REGISTER) == "PYRO:obj@127.0.0.1:1\n"
            assert process.terminate() == 0
            assert "removing 'near'" not in process.output
            assert process.output.count("registers 'near'") == 1


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--probe", "1"], {}, "invalid --probe: 1.0 (expected 0 for none, or a number of seconds from 3 on)"),
        (["--probe", "3", "--probe-grace", "-1"], {}, "invalid --probe-grace: -1.0"),
        (["--probe-grace", "5"], {}, "--probe-grace is of no use without --probe"),
        (["--probe", "0", "--probe-grace", "5"], {"PYRO_NS_AUTOCLEAN": "3"}, "--probe-grace is of no use"),
        ([], {"PYRO_NS_AUTOCLEAN": "2"}, "environment variable PYRO_NS_AUTOCLEAN: invalid NS_AUTOCLEAN: 2.0"),
    ],
)
def test_wrong_intervals_are_one_line_and_exit_status_2(
    options: list[str], environment: dict[str, str], words: str
) -> None:
    done = run([PYRONYM, "serve", "-n", "127.0.0.1", "-p", "0", *options], env=environment)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
