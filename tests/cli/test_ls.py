"""``pyronym ls``: for people, for programs, and kept up to date."""

import json
import subprocess

import pytest

from commanding import command
from processes import PYRONYM, Completed, NameServer, NameServers
from pyronym.cli.tree import lines
from pyronym.client.locate import locateNS
from terminal import on_terminal

URI = "PYRO:o@127.0.0.1:4000"
NAMES = {
    "lab.camera": ["optics", "cooled"],
    "lab.camera.spare": ["optics"],
    "lab.display": [],
    "other": ["cooled"],
}


def filled(server: NameServer) -> NameServer:
    with locateNS(server.location) as names:
        for name, tags in NAMES.items():
            names.register(name, URI, metadata=tags)
    return server


def ls(server: NameServer, *options: str) -> Completed:
    return command("ls", "--ns", server.location, *options)


def listed(server: NameServer, *options: str) -> list[str]:
    """The names that are listed, without the name server's own."""
    done = ls(server, *options)
    assert (done.status, done.stderr) == (0, "")
    return [line.split("\t")[0] for line in done.stdout.splitlines() if not line.startswith("Pyro.NameServer")]


SELECTIONS = [
    ([], list(NAMES)),
    (["lab."], ["lab.camera", "lab.camera.spare", "lab.display"]),
    (["--regex", r".*\.spare$"], ["lab.camera.spare"]),
    (["--tag", "optics"], ["lab.camera", "lab.camera.spare"]),
    (["--tag", "optics", "--tag", "cooled"], ["lab.camera"]),
    (["--any-tag", "optics", "--any-tag", "cooled"], ["lab.camera", "lab.camera.spare", "other"]),
    (["lab.", "--tag", "cooled"], ["lab.camera"]),
    (["lab.", "--regex", ".*era", "--any-tag", "cooled"], ["lab.camera"]),
    (["nothing."], []),
]


@pytest.mark.parametrize("kind", ["pyronym", "stock Pyro4", "stock Pyro5"])
def test_names_are_selected_on_every_name_server(
    kind: str, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers
) -> None:
    server = filled({"pyronym": serve, "stock Pyro4": serve_stock4, "stock Pyro5": serve_stock5}[kind]())
    assert [listed(server, *options) for options, _ in SELECTIONS] == [wanted for _, wanted in SELECTIONS]


def test_each_name_is_a_line_with_tabs_when_nobody_looks(serve: NameServers) -> None:
    server = filled(serve())
    assert ls(server, "lab.").stdout.splitlines() == [
        f"lab.camera\t{URI}\tcooled,optics\t-\t-",
        f"lab.camera.spare\t{URI}\toptics\t-\t-",
        f"lab.display\t{URI}\t-\t-\t-",
    ]


def test_programs_get_json(serve: NameServers) -> None:
    server = filled(serve())
    with locateNS(server.location) as names:
        names.register("lab.läser\t☃", URI, lease=60)
    laser, *others = json.loads(ls(server, "lab.l", "--json").stdout)
    assert not others
    assert 50 < laser["lease"].pop("left") <= 60
    assert laser == {
        "name": "lab.läser\t☃",
        "uri": URI,
        "tags": [],
        "state": None,
        "seconds": None,
        "lease": {"seconds": 60.0, "ephemeral": False},
    }
    assert json.loads(ls(server, "nothing", "--json").stdout) == []


def test_what_is_not_alive_is_told_where_the_name_server_probes(serve: NameServers) -> None:
    server = filled(serve("--probe", "3", env={"PYRO_LOGLEVEL": "INFO"}))
    with locateNS(server.location) as names:
        while names.liveness("lab.camera")["lab.camera"]["state"] == "not probed":
            names.watch("", names.watch()["revision"], 0.1)  # a round of probes changes nothing, so ask again
    cells = ls(server, "lab.camera.").stdout.rstrip("\n").split("\t")
    assert cells[0] == "lab.camera.spare"
    assert cells[3].startswith("unreachable for ")
    for env, red in (({}, True), ({"NO_COLOR": "1"}, False)):
        with on_terminal(PYRONYM, "ls", "lab.", "--ns", server.location, columns=100, env=env) as terminal:
            assert terminal.wait() == 0
            assert ("\x1b[31mlab.camera" in terminal.raw) is red
            assert "unreachable for " in terminal.text
    (record,) = json.loads(ls(server, "lab.camera.", "--json").stdout)
    assert record["state"] == "unreachable"
    assert record["seconds"] >= 0


def test_on_a_terminal_it_is_a_table(serve: NameServers) -> None:
    server = filled(serve())
    with on_terminal(PYRONYM, "ls", "lab.", "--ns", server.location, columns=100) as terminal:
        assert terminal.wait() == 0
        assert terminal.text.splitlines()[0].split() == ["name", "uri", "tags"]
        assert terminal.text.splitlines()[1].split() == ["lab.camera", URI, "cooled,optics"]
        assert terminal.raw.startswith("\x1b[1mname ")


@pytest.mark.parametrize("columns", [80, 40, 12, 1])
def test_names_are_whole_on_terminals_of_every_width(serve: NameServers, columns: int) -> None:
    server = serve()
    name = "lab.a-name-of-some-length"
    with locateNS(server.location) as names:
        names.register(name, "PYRO:" + "o" * 200 + "@127.0.0.1:4000", metadata=["t" * 50])
    for options in ([], ["--tree"]):
        with on_terminal(
            PYRONYM, "ls", "lab.", "--ns", server.location, *options, columns=columns, env={"NO_COLOR": "1"}
        ) as terminal:
            assert terminal.wait() == 0
            assert name in terminal.text.replace("\n", "")
    if columns >= 40:
        assert any(line.startswith(name) for line in terminal.text.splitlines())


def test_names_of_strangers_do_nothing_to_the_terminal(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        names.register("evil\x1b[31m[bold]\r\nname", "PYRO:o\x1b[2J@127.0.0.1:4000", metadata=["\x07"])
    shown = r"evil\x1b[31m[bold]\r\nname"
    assert listed(server) == [shown]
    with on_terminal(PYRONYM, "ls", "evil", "--ns", server.location, columns=120) as terminal:
        assert terminal.wait() == 0
        assert f"{shown}  PYRO:o\\x1b[2J@127.0.0.1:4000  \\x07" in terminal.text


def test_a_tree_has_the_parts_of_names_as_its_branches(serve: NameServers) -> None:
    server = filled(serve())
    assert ls(server, "--tree", "--any-tag", "optics", "--any-tag", "cooled").stdout.splitlines() == [
        "lab.camera (1)  PYRO:o@127.0.0.1:4000",
        "└── spare  PYRO:o@127.0.0.1:4000",
        "other  PYRO:o@127.0.0.1:4000",
    ]


def test_every_name_is_in_the_tree_once_however_it_is_built() -> None:
    names = ["", ".", "..", "a", "a.", "a.b", "a.b.c", "a-b", "." * 4096, *("x." * depth for depth in range(1, 2000))]
    assert sorted(line.name for line in lines(names) if line.name is not None) == sorted(names)


def test_guides_lead_from_each_branch_to_what_hangs_from_it() -> None:
    assert [line.text for line in lines(["a.b.c.d", "a.b.c.e", "a.f", "g.h", "g"])] == [
        "a (3)",
        "├── b.c (2)",
        "│   ├── d",
        "│   └── e",
        "└── f",
        "g (1)",
        "└── h",
    ]


def test_a_watched_list_follows_what_happens_and_survives_the_loss_of_the_name_server(serve: NameServers) -> None:
    server = filled(serve())
    with on_terminal(PYRONYM, "ls", "lab.", "--watch", "--ns", server.location, columns=100, rows=8) as terminal:
        terminal.wait_for(r"lab\.display")
        terminal.wait_for("3 names; connected")
        with locateNS(server.location) as names:
            names.register("lab.new", URI, metadata=["fresh"])
            names.register("elsewhere", URI)
        terminal.wait_for(rf"lab\.new +{URI} +fresh")
        terminal.wait_for("4 names; connected")
        seen = len(terminal.text)
        server.process.kill()
        terminal.wait_for("4 names; connection lost, looking for it again: ", since=seen)
        again = serve(port=server.port)
        with locateNS(again.location) as names:
            names.register("lab.back", URI)
        terminal.wait_for(r"lab\.back", timeout=30)
        terminal.wait_for("1 names; connected")
        assert "elsewhere" not in terminal.text
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "Traceback" not in terminal.text


def test_a_watched_list_takes_all_conditions_of_one_that_is_not(serve: NameServers) -> None:
    server = filled(serve())
    conditions = ["lab.", "--regex", r".*\.(spare|new)$", "--any-tag", "optics", "--any-tag", "fresh"]
    with on_terminal(PYRONYM, "ls", "--watch", "--ns", server.location, *conditions, columns=100) as terminal:
        terminal.wait_for(r"lab\.camera\.spare")
        terminal.wait_for("1 names; connected")
        with locateNS(server.location) as names:
            names.register("lab.other", URI, metadata=["fresh"])
            names.register("lab.new", URI)
            names.register("lab.display.new", URI, metadata=["fresh"])
        terminal.wait_for(r"lab\.display\.new")
        terminal.wait_for("2 names; connected")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "lab.other" not in terminal.text
    assert "lab.new" not in terminal.text


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "invalid regex: "),
        ("(a|a)+(b|b)+(a|a)*$", "regex takes too long: '(a|a)+(b|b)+(a|a)*$' was stopped after 0.1 s"),
    ],
)
def test_a_watched_list_minds_patterns_as_the_name_server_does(pattern: str, words: str, serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        names.register("a" * 100 + "b" * 100 + "!", URI)
    options = ["--watch", "--regex", pattern, "--ns", server.location]
    with on_terminal(PYRONYM, "ls", *options, columns=200, env={"PYRO_REGEX_TIMEOUT": "0.1"}) as terminal:
        assert terminal.wait() == 1
    assert f"pyronym: error: {words}" in terminal.text


def test_a_watched_list_is_no_longer_than_the_terminal(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as names:
        batch = names._pyroBatch()
        for number in range(500):
            batch.register(f"lab.{number:03}", URI)
        list(batch())
    with on_terminal(PYRONYM, "ls", "--watch", "--ns", server.location, columns=40, rows=6) as terminal:
        terminal.wait_for("501 names; connected")
        assert "lab.003" not in terminal.text
        terminal.interrupt()
        assert terminal.wait() == 130


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--watch"], "--watch needs a terminal (for programs there is pyronym watch --json)"),
        (["--watch", "--json"], "give one of --tree, --json and --watch"),
    ],
)
def test_what_cannot_be_shown_is_wrong_usage(serve: NameServers, options: list[str], words: str) -> None:
    done = ls(serve(), *options)
    assert (done.status, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_pattern_that_is_none_is_told(serve: NameServers) -> None:
    done = ls(serve(), "--regex", "(")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.startswith("pyronym: error: invalid regex: ")


def test_a_reader_that_has_enough_is_no_error(serve: NameServers) -> None:
    server = filled(serve())
    done = subprocess.run(
        f"{PYRONYM} ls --ns {server.location} | head -n 1", shell=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.startswith("Pyro.NameServer\t")
    assert done.stderr == ""
