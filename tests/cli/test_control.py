"""Our control tool beside Pyro4's: the same commands give the same output, on our server and on a stock one."""

import sys
from pathlib import Path

import pytest

from processes import NameServer, NameServers, run

COMMANDS = [
    ["ping"],
    ["list"],
    ["register", "lab.camera", "PYRO:camera@host:1"],
    ["register", "lab.camera", "PYRO:camera@host:2"],
    ["register", "lab.läser ☃", "PYRO:laser@host:1"],
    ["setmeta", "lab.camera", "optics"],
    ["setmeta", "lab.läser ☃"],
    ["setmeta", "nope", "optics"],
    ["list", "lab."],
    ["listmatching", ".*läser.*"],
    ["listmeta_all", "optics"],
    ["listmeta_any", "nope", "optics"],
    ["lookup", "lab.camera"],
    ["lookup", "nope"],
    ["-v", "lookup", "lab.läser ☃"],
    ["remove", "lab.camera"],
    ["remove", "lab.camera"],
    ["removematching", "lab.*"],
]


def conversation(tool: list[str], server: NameServer) -> list[str]:
    """What the tool writes for all commands."""
    written = []
    for command in COMMANDS:
        done = run([*tool, "-n", server.host, "-p", str(server.port), *command], stdin="y\n")
        written.append(" ".join(command) + "\n" + done.stdout.replace(server.location, "HOST:PORT"))
    return written


@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_our_tool_writes_what_the_stock_tool_writes(
    kind: str, serve: NameServers, serve_stock4: NameServers, stock4_python: Path
) -> None:
    start = serve if kind == "ours" else serve_stock4
    stock = conversation([str(stock4_python.parent / "pyro4-nsc")], start())
    assert conversation([sys.executable, "-m", "pyronym.nsc"], start()) == stock


def control(*arguments: str, env: dict[str, str] | None = None):
    return run([sys.executable, "-m", "pyronym.nsc", *arguments], env=env)


def test_a_failing_command_is_told_by_the_exit_status(serve: NameServers) -> None:
    server = serve()
    assert control("-n", server.host, "-p", str(server.port), "lookup", "nope").status == 1
    assert control("-n", server.host, "-p", str(server.port), "ping").status == 0


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["-p", "x", "list"], ["-p", "70000", "list"], ["--nope"]])
def test_wrong_usage_is_one_line_and_exit_status_2(arguments: list[str]) -> None:
    done = control(*arguments)
    assert done.status == 2
    assert done.stdout == ""
    assert done.stderr.startswith("pyronym nsc: error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["lookup"], ["register", "x"], ["listmatching"], ["listmeta_all"], ["setmeta"]])
def test_missing_arguments_are_named(serve: NameServers, command: list[str]) -> None:
    server = serve()
    done = control("-n", server.host, "-p", str(server.port), *command)
    assert (done.status, done.stdout) == (2, "")
    assert "requires" in done.stderr


def test_no_name_server_is_one_line_that_says_what_was_tried() -> None:
    done = control("-n", "127.0.0.1", "-p", "1", "list")
    assert done.status == 1
    assert done.stdout.startswith("Error: Failed to locate the nameserver (tried 127.0.0.1:1: ")
    assert done.stdout.count("\n") == 1


def test_the_key_comes_from_an_option_or_the_environment_but_not_both(serve: NameServers) -> None:
    server = serve(env={"PYRO_HMAC_KEY": "secret"})
    where = ["-n", server.host, "-p", str(server.port)]
    assert control(*where, "ping").status == 1
    assert control(*where, "ping", env={"PYRO_HMAC_KEY": "secret"}).stdout == "Name server ping ok.\n"
    given = control(*where, "-k", "secret", "ping")
    assert given.stdout == "Name server ping ok.\n"
    assert "warning: everyone on this machine can read a key given with -k" in given.stderr
    both = control(*where, "-k", "secret", "ping", env={"PYRO_HMAC_KEY": "secret"})
    assert (both.status, both.stdout) == (2, "")


def test_a_unix_socket_is_found(serve: NameServers, tmp_path: Path) -> None:
    serve(unixsocket=tmp_path / "ns.sock")
    assert control("-u", str(tmp_path / "ns.sock"), "ping").stdout == "Name server ping ok.\n"
