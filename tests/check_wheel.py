"""The wheel works where it is installed: alone, with each extra, through pipx, and for the type checker of its users.

Not part of the suite: `make dist` runs it on what it has built.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from processes import Completed, NameServers, run, stopping

ROOT = Path(__file__).resolve().parent.parent
INSTALL_TIMEOUT = 110.0

PROGRAM = """\
import pyronym

uri = pyronym.URI("PYRO:camera@localhost:4000")
with pyronym.locateNS() as nameserver:
    nameserver.register("lab.camera", uri)
wrong: int = pyronym.startNS()
"""


def wheel() -> Path:
    """What `make dist` has built."""
    (path,) = (ROOT / "dist").glob("*.whl")
    return path


def installed(folder: Path, extra: str = "") -> Path:
    """The interpreter of a new environment that has nothing but the wheel, and what it asks for."""
    succeeded(run([sys.executable, "-m", "venv", "--without-pip", folder]))
    pip = [sys.executable, "-m", "pip", "--python", folder, "--disable-pip-version-check", "install", "--quiet"]
    succeeded(run([*pip, f"{wheel()}{extra}"], timeout=INSTALL_TIMEOUT))
    return folder / "bin" / "python"


def succeeded(done: Completed) -> str:
    assert done.status == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def serve_installed(python: Path) -> Iterator[NameServers]:
    servers = NameServers([python, "-m", "pyronym", "serve"])
    with stopping(servers.processes):
        yield servers


@pytest.mark.parametrize("command", [["bin/pyronym"], ["bin/python", "-m", "pyronym"]])
def test_the_command_is_there(python: Path, command: list[str]) -> None:
    first, *rest = command
    assert succeeded(run([python.parent.parent / first, *rest, "--version"])).startswith("pyronym, version ")


def test_a_name_server_serves_a_client(python: Path, serve_installed: NameServers) -> None:
    server = serve_installed()
    shown = succeeded(run([python.parent / "pyronym", "lookup", "Pyro.NameServer", "--ns", server.location]))
    assert shown.strip() == server.uri


def test_the_type_checker_of_a_user_sees_the_types(python: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    cache = ["--cache-dir", tmp_path / "cache"]
    done = run([sys.executable, "-m", "mypy", "--strict", "--python-executable", python, *cache, program])
    (error,) = [line for line in done.stdout.splitlines() if " error: " in line]
    assert "program.py:6: error: Incompatible types in assignment" in error


EXTRAS = {
    "certs": (["pyronym", "certs", "tls"], "", 0),
    "etcd": (["pyronym", "serve", "-p", "0", "-x", "-s", "etcd://127.0.0.1:1/lab", "--no-wait"], "127.0.0.1:1", 1),
    "web": (["pyronym", "serve", "-p", "0", "-x", "--http", "0.0.0.0:0"], "would let everyone who can reach it", 2),
    "fast": (["python", "-c", "import uvloop, pyronym.server.fast_loop"], "", 0),
}
"""What needs an extra; what is written on the standard error, and the exit status, when the extra is there."""


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_it_is_for(extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = installed(tmp_path / "environment", f"[{extra}]")
    monkeypatch.chdir(tmp_path)
    (program, *arguments), error, status = EXTRAS[extra]
    done = run([python.parent / program, *arguments])
    assert done.status == status, done.stderr
    assert error in done.stderr
    assert "pip install" not in done.stderr


def test_every_extra_is_tried() -> None:
    with ZipFile(wheel()) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    assert {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra: ")} == set(EXTRAS)


def test_pipx_runs_it(tmp_path: Path) -> None:
    env = {"PIPX_HOME": str(tmp_path), "PIPX_BIN_DIR": str(tmp_path / "bin"), "PIPX_MAN_DIR": str(tmp_path / "man")}
    command = [sys.executable, "-m", "pipx", "run", "--spec", wheel(), "pyronym", "--version"]
    assert "pyronym, version " in succeeded(run(command, env=env, timeout=INSTALL_TIMEOUT))


def test_there_is_a_manual_page_for_every_command() -> None:
    help_text = succeeded(run([sys.executable, "-m", "pyronym", "--help"]))
    commands = help_text.partition("Commands:\n")[2].partition("\n\n")[0]
    names = {line.split()[0] for line in commands.splitlines()}
    pages = {path.name for path in (ROOT / "build" / "man").iterdir()}
    assert pages == {"pyronym.1", *(f"pyronym-{name}.1" for name in names)}
