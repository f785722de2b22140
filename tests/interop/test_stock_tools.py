"""The stock tools for name servers, with all their commands: what they print is what they print with a stock server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from processes import Completed, NameServer, NameServers, run

TOOL = {4: "pyro4-nsc", 5: "pyro5-nsc"}

COMMON = (
    ("ping",),
    ("list",),
    ("register", "lab.camera", "PYRO:camera@host:1"),
    ("register", "lab.camera", "PYRO:camera@host:2"),
    ("register", "lab.läser ☃", "PYRO:laser@host:1"),
    ("register", "other", "PYRO:other@host:1"),
    ("register", "bad", "nonsense"),
    ("register", "too few"),
    ("setmeta", "lab.camera", "optics"),
    ("setmeta", "lab.läser ☃", "optics"),
    ("setmeta", "nope", "optics"),
    ("setmeta", "lab.läser ☃"),
    ("list",),
    ("list", "lab."),
    ("list", "nope"),
    ("listmatching", ".*e.*"),
    ("listmatching", "("),
    ("listmatching",),
    ("lookup", "lab.camera"),
    ("lookup", "other"),
    ("lookup", "Pyro.NameServer"),
    ("lookup", "nope"),
    ("lookup",),
    ("remove", "other"),
    ("remove", "other"),
    ("remove", "Pyro.NameServer"),
    ("removematching", "lab.*", "no"),
    ("removematching", "(", "y"),
    ("removematching", "lab.*", "y"),
    ("list",),
    ("nonsense",),
)
"""Commands and their arguments; what follows a pattern to remove is the answer to its question."""

SEARCHES = {
    4: (("listmeta_all", "optics"), ("listmeta_any", "nope", "optics"), ("listmeta_all", "nope"), ("listmeta_all",)),
    5: (("yplookup_all", "optics"), ("yplookup_any", "nope", "optics"), ("yplookup_all", "nope"), ("yplookup_any",)),
}


@dataclass(frozen=True)
class Tool:
    """A stock tool, used on one name server."""

    path: Path
    dialect: int

    def __call__(self, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Completed:
        return run([self.path, *arguments], stdin=stdin, env={"PYTHONWARNINGS": "ignore", **(env or {})})


@pytest.fixture(params=[4, 5])
def tool(request: pytest.FixtureRequest, stock4_python: Path, stock5_python: Path) -> Tool:
    dialect: int = request.param
    return Tool({4: stock4_python, 5: stock5_python}[dialect].parent / TOOL[dialect], dialect)


class Reply(NamedTuple):
    """What a tool made of a command; `problem` is the last line that it wrote as an error."""

    command: str
    status: int
    output: str
    problem: str


def converse(tool: Tool, server: NameServer) -> list[Reply]:
    """All commands, one after the other."""
    commands = list(COMMON)
    commands[13:13] = SEARCHES[tool.dialect]
    conversation = []
    for command in commands:
        words, answer = (command[:2], command[2] + "\n") if command[0] == "removematching" else (command, "")
        done = tool("-n", server.host, "-p", str(server.port), *words, stdin=answer)
        problem = done.stderr.strip().rpartition("\n")[2]
        output = done.stdout.replace(server.location, "HOST:PORT")
        conversation.append(Reply(" ".join(command), done.status, output, problem))
    return conversation


def without_more_words(wanted: Reply, given: Reply) -> Reply:
    """A reply of ours with the stock server's words of an error where ours begins with these and says more."""
    shortened = [
        stock if "Error" in stock and ours.startswith(stock.rstrip()) else ours
        for stock, ours in ((wanted.output, given.output), (wanted.problem, given.problem))
    ]
    return given._replace(output=shortened[0], problem=shortened[1])


def test_every_command_prints_what_it_prints_with_a_stock_server(
    tool: Tool, serve: NameServers, serve_stock4: NameServers, serve_stock5: NameServers
) -> None:
    stock = converse(tool, {4: serve_stock4, 5: serve_stock5}[tool.dialect]())
    ours = converse(tool, serve())
    assert [without_more_words(wanted, given) for wanted, given in zip(stock, ours, strict=True)] == stock


def test_a_tool_finds_the_server_behind_a_unix_socket(tool: Tool, serve: NameServers, tmp_path: Path) -> None:
    path = tmp_path / "ns.sock"
    serve(unixsocket=path)
    done = tool("-u", str(path), "-v", "ping")
    assert (done.status, done.stdout.splitlines()) == (
        0,
        [
            "Locating name server...",
            f"Name server found: PYRO:Pyro.NameServer@./u:{path}",
            "Name server ping ok.",
            "Done.",
        ],
    )


def test_a_tool_finds_the_server_that_the_environment_names(tool: Tool, serve: NameServers) -> None:
    server = serve()
    done = tool("lookup", "Pyro.NameServer", env={"PYRO_NS_HOST": server.host, "PYRO_NS_PORT": str(server.port)})
    assert done.stdout.splitlines()[0] == server.uri


def test_the_pyro4_tool_with_a_key(serve: NameServers, stock4_python: Path) -> None:
    server = serve(key="secret")
    tool = Tool(stock4_python.parent / TOOL[4], 4)
    where = ("-n", server.host, "-p", str(server.port))
    assert tool(*where, "-k", "secret", "ping").stdout == "Name server ping ok.\n"
    assert tool(*where, "ping", env={"PYRO_HMAC_KEY": "secret"}).stdout == "Name server ping ok.\n"
    assert tool(*where, "ping").stdout.startswith("Error: ")
