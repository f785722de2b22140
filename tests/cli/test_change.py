"""``pyronym register``, ``rm`` and ``tag``."""

import pytest

from commanding import command
from processes import PYRONYM, Completed, NameServer, NameServers
from pyronym.cli.tagging import change_tags
from pyronym.client.locate import locateNS
from terminal import on_terminal

URI = "PYRO:camera@127.0.0.1:4000"


def pyronym(server: NameServer, *arguments: str) -> Completed:
    return command(*arguments, "--ns", server.location)


def names_of(server: NameServer, *names: str) -> set[str]:
    """What there is, after `names` have been registered; without the name server's own."""
    with locateNS(server.location) as name_server:
        for name in names:
            name_server.register(name, URI)
        return set(name_server.list()) - {"Pyro.NameServer"}


KINDS = pytest.mark.parametrize("kind", ["pyronym", "stock Pyro4", "stock Pyro5"])


@pytest.fixture
def server(kind: str, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers) -> NameServer:
    return {"pyronym": serve, "stock Pyro4": serve_stock4, "stock Pyro5": serve_stock5}[kind]()


@KINDS
def test_names_are_registered_found_tagged_and_removed(server: NameServer) -> None:
    assert pyronym(server, "register", "lab.camera", URI, "--tag", "optics").stdout == "registered lab.camera\n"
    assert pyronym(server, "lookup", "lab.camera").stdout == f"{URI}\n"
    taken = pyronym(server, "register", "lab.camera", URI, "--safe")
    assert (taken.status, taken.stderr) == (1, "pyronym: error: name already registered: lab.camera\n")
    added = pyronym(server, "tag", "lab.camera", "--add", "cooled", "--remove", "spare")
    assert added.stdout == "cooled\noptics\n"
    assert pyronym(server, "tag", "lab.camera", "--set", "new").stdout == "new\n"
    with locateNS(server.location) as name_server:
        assert set(name_server.lookup("lab.camera", return_metadata=True)[1]) == {"new"}
    assert pyronym(server, "tag", "lab.camera", "--clear").stdout == ""
    removed = pyronym(server, "rm", "lab.camera", "lab.gone", "--yes")
    assert (removed.status, removed.stdout) == (1, "removed 1\n")
    assert removed.stderr == "not there, or never removed: lab.gone\n"
    unknown = pyronym(server, "lookup", "lab.camera")
    assert unknown.status == 1
    assert unknown.stderr == "pyronym: error: unknown name: lab.camera; see what there is with pyronym ls\n"


@pytest.mark.parametrize("kind", ["stock Pyro4", "stock Pyro5"])
def test_what_stock_name_servers_cannot_do_is_said(server: NameServer) -> None:
    leased = pyronym(server, "register", "x", URI, "--lease", "10")
    assert leased.status == 1
    assert "has no leases (stock name servers do not; pyronym's do)" in leased.stderr
    watched = pyronym(server, "watch")
    assert watched.status == 1
    assert watched.stderr == "pyronym: error: the name server has no watch (stock ones do not; pyronym's does)\n"
    assert "has no nodes" in pyronym(server, "nodes").stderr
    assert names_of(server) == set()


def test_a_lease_can_be_given_and_is_listed(serve: NameServers) -> None:
    server = serve()
    assert pyronym(server, "register", "lab.camera", URI, "--lease", "100").status == 0
    with locateNS(server.location) as name_server:
        (lease,) = name_server.leases("lab.").values()
        assert 90 < lease.pop("left") <= 100
        assert lease == {"seconds": 100.0, "ephemeral": False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["register", "x", "nonsense"], "invalid uri: 'nonsense'"),
        (["register", "x", URI, "--lease", "0"], "not in the range"),
        (["rm"], "give names, --prefix or --regex"),
        (["rm", "x", "--prefix", "y"], "give names, --prefix or --regex"),
        (["rm", "--prefix", ""], "an empty prefix or pattern stands for all names"),
        (["tag", "x"], "give --add and --remove, or --set, or --clear"),
        (["tag", "x", "--add", "a", "--clear"], "give --add and --remove, or --set, or --clear"),
    ],
)
def test_wrong_arguments_are_told_and_change_nothing(serve: NameServers, arguments: list[str], words: str) -> None:
    server = serve()
    done = pyronym(server, *arguments)
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert names_of(server) == set()


@KINDS
def test_exactly_what_begins_so_or_matches_is_removed(server: NameServer) -> None:
    names_of(server, "lab_a", "lab_b", "labxa", "LAB_A")
    dry = pyronym(server, "rm", "--prefix", "lab_", "--dry-run")
    assert (dry.status, dry.stdout) == (0, "lab_a\nlab_b\n")
    assert pyronym(server, "rm", "--prefix", "lab_", "--yes").stdout == "removed 2\n"
    assert names_of(server) == {"labxa", "LAB_A"}
    done = pyronym(server, "rm", "--regex", ".*", "--yes")
    assert (done.status, done.stdout, done.stderr) == (0, "removed 2\n", "")
    with locateNS(server.location) as name_server:
        assert list(name_server.list()) == ["Pyro.NameServer"]
    nothing = pyronym(server, "rm", "--prefix", "lab_", "--yes")
    assert (nothing.status, nothing.stderr) == (1, "nothing to remove\n")


def test_nothing_is_removed_without_a_yes(serve: NameServers) -> None:
    server = serve()
    names = names_of(server, *(f"lab.{number}" for number in range(7)))
    refused = pyronym(server, "rm", "--prefix", "lab.")
    assert refused.status == 2
    assert "7 names would be removed (say that you mean it with --yes)" in refused.stderr
    assert names_of(server) == names
    command = [PYRONYM, "rm", "--prefix", "lab.", "--ns", server.location]
    with on_terminal(*command, columns=200) as terminal:
        terminal.wait_for(r"Remove 7 names: lab\.0, lab\.1, lab\.2, lab\.3, lab\.4 and 2 more\? \[y/N\]: ")
        terminal.type("n\n")
        assert terminal.wait() == 1
        assert "nothing was removed" in terminal.text
    assert names_of(server) == names
    with on_terminal(*command) as terminal:
        terminal.wait_for(r"\[y/N\]: ")
        names_of(server, "lab.later")
        terminal.type("y\n")
        terminal.wait_for("removed 7")
        assert terminal.wait() == 0
    assert names_of(server) == {"lab.later"}


def test_the_name_servers_own_name_stays(serve: NameServers) -> None:
    server = serve()
    done = pyronym(server, "rm", "Pyro.NameServer", "--yes")
    assert (done.status, done.stderr) == (1, "not there, or never removed: Pyro.NameServer\n")


class Interfering:
    """A name server of which somebody else changes the tags of ``x`` whenever we are about to, so many times."""

    def __init__(self, name_server: object, others: list[list[str]], *, late: bool) -> None:
        self._name_server = name_server
        self._others = others
        self._late = late

    def __getattr__(self, name: str) -> object:
        return getattr(self._name_server, name)

    def set_metadata(self, name: str, tags: list[str]) -> None:
        steps = [tags, self._others.pop(0)] if self._others else [tags]
        for step in steps if self._late else reversed(steps):
            self._name_server.set_metadata(name, step)


@pytest.mark.parametrize("late", [False, True])
def test_tags_that_others_change_at_the_same_time_are_not_lost(serve: NameServers, late: bool) -> None:
    server = serve()
    with locateNS(server.location) as name_server:
        name_server.register("x", URI, metadata=["a", "b"])
        name_server.register("xy", URI)  # another name that begins so
        others = [["a", "b", "c"], ["a", "b", "c", "d"]]
        tags = change_tags(Interfering(name_server, others, late=late), "x", frozenset({"new"}), frozenset({"a"}))
        assert tags == {"b", "c", "d", "new"}
        assert set(name_server.lookup("x", return_metadata=True)[1]) == tags


def test_others_who_never_end_are_told(serve: NameServers) -> None:
    server = serve()
    with locateNS(server.location) as name_server:
        name_server.register("x", URI)
        others = [[f"t{number}"] for number in range(100)]
        with pytest.raises(Exception, match="others go on changing the tags of x"):
            change_tags(Interfering(name_server, others, late=True), "x", frozenset({"new"}), frozenset())
