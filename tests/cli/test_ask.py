"""``pyronym lookup``, ``ping`` and ``watch``."""

import json
import re
import signal

import pytest

from processes import PYRONYM, NameServers, Process, run, stopping
from pyronym.client.locate import locateNS
from terminal import on_terminal

URI = "PYRO:camera@127.0.0.1:4000"


def test_a_name_is_looked_up_for_people_and_for_programs(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        names.register("lab.camera", URI, metadata=["b", "a"])
    assert run([PYRONYM, "lookup", "lab.camera", "--ns", server.location]).stdout == f"{URI}\n"
    done = run([PYRONYM, "lookup", "lab.camera", "--json", "--ns", server.location])
    assert json.loads(done.stdout) == {"name": "lab.camera", "uri": URI, "tags": ["a", "b"]}


def test_ping_tells_how_long_answers_take(serve: NameServers) -> None:
    server = serve()
    done = run([PYRONYM, "ping", "--count", "50", "--interval", "0", "--ns", server.location])
    assert done.status == 0
    uri, sent, times = done.stdout.splitlines()
    assert (uri, sent) == (server.uri, "sent 50, lost 0 (0%)")
    found = re.fullmatch(r"min (\S+) ms median (\S+) ms p99 (\S+) ms max (\S+) ms", times)
    assert found
    least, median, p99, most = map(float, found.groups())
    assert 0 < least <= median <= p99 <= most
    said = json.loads(run([PYRONYM, "ping", "-c", "3", "--json", "--ns", server.location]).stdout)
    assert (said["uri"], said["sent"], said["lost"]) == (server.uri, 3, 0)
    assert 0 < said["min"] <= said["median"] <= said["p99"] <= said["max"] < 10


def test_answers_that_do_not_come_are_counted_and_others_still_come(serve: NameServers) -> None:
    server = serve()
    ping = Process([PYRONYM, "ping", "-c", "20", "--timeout", "0.3", "--ns", server.location])
    with stopping([ping]):
        ping.wait_for_line(f"^{server.uri}$")
        server.process.signal(signal.SIGSTOP)
        ping.wait_for_line("^lost: ")
        server.process.signal(signal.SIGCONT)
        lost = int(ping.wait_for_line(r"^sent 20, lost (\d+) ")[1])
        assert ping.wait() == 1
        assert 0 < lost < 20
        assert sum(line.startswith("lost: ") for line in ping.lines) == lost


def test_changes_are_lines_and_a_lost_name_server_is_found_again(serve: NameServers) -> None:
    server = serve()
    watch = Process([PYRONYM, "watch", "lab.", "--ns", server.location])
    with stopping([watch]):
        watch.wait_for_line(r"^reset\t\d+$")
        with locateNS(server.location) as names:
            names.register("lab.camera", URI, metadata=["b", "a"])
            names.register("other", URI)
            names.register("lab.\n", URI)
            names.remove("lab.camera")
        watch.wait_for_line(rf"^registered\t\d+\tlab\.camera\t{URI}\ta,b$")
        watch.wait_for_line(rf"^registered\t\d+\tlab\.\\n\t{URI}\t-$")
        watch.wait_for_line(r"^removed\t\d+\tlab\.camera\t-\t-$")
        server.process.kill()
        watch.wait_for_line("^connection lost, looking for the name server again: ")
        serve(port=server.port)
        watch.wait_for_line("^connected again$", timeout=30)
        with locateNS(server.location) as names:
            names.register("lab.back", URI)
        watch.wait_for_line("^registered\t.*lab.back")
        assert sum(line.startswith("reset") for line in watch.lines) == 2
        assert sum(line.startswith("connection lost") for line in watch.lines) == 1
        assert "other" not in watch.output
        watch.signal(signal.SIGINT)
        assert watch.wait() == 130
        assert "Traceback" not in watch.output


def test_programs_get_lines_of_json_from_a_revision_on(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        since = names.watch()["revision"]
        names.register("lab.camera", URI, metadata=["a"])
        names.register("lab.camera", URI, lease=0.1)
    watch = Process([PYRONYM, "watch", "--json", "--since", str(since), "--ns", server.location])
    with stopping([watch]):
        watch.wait_for_line("expired")
        told = [json.loads(line) for line in watch.lines]
        revisions = [change.pop("revision") for change in told]
        assert revisions == [since + 1, since + 2, since + 3]
        assert told == [
            {"kind": "registered", "name": "lab.camera", "uri": URI, "tags": ["a"]},
            {"kind": "updated", "name": "lab.camera", "uri": URI, "tags": []},
            {"kind": "expired", "name": "lab.camera", "uri": None, "tags": []},
        ]


def test_a_revision_that_the_name_server_does_not_know_is_a_reset(serve: NameServers) -> None:
    watch = Process([PYRONYM, "watch", "--json", "--since", "1", "--ns", serve().location])
    with stopping([watch]):
        watch.wait_for_line('^{"kind": "reset", "revision": [0-9]+}$')


def test_people_get_the_time_and_no_tabs(serve: NameServers) -> None:
    server = serve()
    with on_terminal(PYRONYM, "watch", "--ns", server.location, columns=120) as terminal:
        terminal.wait_for("reset")
        with locateNS(server.location) as names:
            names.register("lab.camera", URI)
        terminal.wait_for(rf"\d\d:\d\d:\d\d  registered  \d+  lab\.camera  {URI}\n")
        terminal.interrupt()
        assert terminal.wait() == 130


@pytest.mark.parametrize("since", ["-1", "x"])
def test_what_is_no_revision_is_wrong_usage(since: str) -> None:
    done = run([PYRONYM, "watch", "--since", since])
    assert (done.status, done.stderr.count("\n")) == (2, 1)
