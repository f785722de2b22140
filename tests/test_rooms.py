"""The map of the rooms in docs/architecture.md is true: who imports whom, and where no I/O is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "pyronym"

PURE = ("errors", "settings", "uri", "wire", "serializers", "rpc", "directory")
OUTSIDE_WORLD = frozenset({"socket", "asyncio", "threading", "sqlite3", "time", "selectors"})
"""What brings sockets, files, threads and clocks; of no use where everything is bytes and values."""


def module_names() -> list[str]:
    """All modules of the package by their dotted names."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def path_of(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def rooms_of_the_map() -> dict[str, int]:
    """Each entry of the table in the architecture page (``wire``, ``naming.__main__``) and the number of its row."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    return {
        entry.rstrip("/").replace("/", "."): int(number)
        for number, row in rows
        for entry in re.findall(r"`([^`]+)`", row)
    }


ROOMS = rooms_of_the_map()


def room_of(module: str) -> str:
    """The entry of the map that a module belongs to; the package itself is one of the faces, like `core`."""
    inside = module.removeprefix("pyronym").lstrip(".")
    if not inside:
        return "core"
    return inside if inside in ROOMS else inside.partition(".")[0]


@dataclass(frozen=True)
class Import:
    """One imported module or name: ``from pyronym.wire.codec import encode`` has the last as its `name`."""

    module: str
    name: str | None
    line: int
    for_types_only: bool


def imports_of(module: str) -> Iterator[Import]:
    """Every import in a module, those inside functions too."""
    yield from _imports(ast.parse(path_of(module).read_text()), False)


def _imports(node: ast.AST, for_types_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, None, node.lineno, for_types_only)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        for alias in node.names:
            yield Import(node.module or "", alias.name, node.lineno, for_types_only)
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for statement in node.body:
            yield from _imports(statement, True)
        for statement in node.orelse:
            yield from _imports(statement, for_types_only)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, for_types_only)


MODULES = module_names()


def test_the_map_names_every_room_of_the_package() -> None:
    assert {room_of(module) for module in MODULES} == set(ROOMS)


def test_the_map_names_every_module_and_none_that_is_not_there() -> None:
    paths = {path_of(module) for module in MODULES if module.removeprefix("pyronym.") not in ROOMS}
    modules = {path.relative_to(PACKAGE).as_posix() for path in paths if path.name != "__init__.py"}
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = {name for name in re.findall(r"[\w/]+\.py\b", page) if not (ROOT / name).exists()}
    assert modules - named == set(), "the page says what each module is for"
    assert {name for name in named if not (PACKAGE / name).exists()} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_rooms_above_it(module: str) -> None:
    number = ROOMS[room_of(module)]
    wrong = []
    for item in imports_of(module):
        full_name = f"{item.module}.{item.name}"
        target = full_name if full_name in MODULES else item.module
        if target.partition(".")[0] == "pyronym" and ROOMS[room_of(target)] > number:
            wrong.append(f"line {item.line}: {target}")
    assert not wrong


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) in PURE])
def test_a_pure_room_imports_nothing_that_does_io(module: str) -> None:
    wrong = [
        f"line {item.line}: {item.module}"
        for item in imports_of(module)
        if item.module.partition(".")[0] in OUTSIDE_WORLD and not item.for_types_only
    ]
    assert not wrong


CLIENT_CORE = (
    "announcing",
    "connection",
    "dialing",
    "endpoint",
    "following",
    "multicast",
    "name_server",
    "nodes",
    "repeating",
    "resolving",
    "roster",
    "search",
    "watching",
)
"""What both clients share; some of it names kinds of sockets."""


@pytest.mark.parametrize("name", CLIENT_CORE)
def test_the_core_of_the_client_waits_for_nothing_by_itself(name: str) -> None:
    waiting = OUTSIDE_WORLD - {"socket"}
    wrong = [item.module for item in imports_of(f"pyronym.client.{name}") if item.module.partition(".")[0] in waiting]
    shells = ("pyronym.client.blocking", "pyronym.client.proxy", "pyronym.client.aio")
    wrong += [item.module for item in imports_of(f"pyronym.client.{name}") if item.module.startswith(shells)]
    assert not wrong


@pytest.mark.parametrize("module", MODULES)
def test_a_room_does_not_use_what_is_inside_another(module: str) -> None:
    """Underscore names are its inside; names with ``_pyro`` are Pyro's way to write public ones."""
    foreign = set()
    wrong = []
    for item in imports_of(module):
        if item.module.partition(".")[0] == "pyronym" and room_of(item.module) != room_of(module):
            foreign.add(item.name or item.module)
            parts = [*item.module.split("."), item.name or ""]
            wrong += [f"line {item.line}: {part}" for part in parts if is_inside(part)]
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.Attribute) and is_inside(node.attr) and ast.unparse(node.value) in foreign:
            wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not wrong


def is_inside(name: str) -> bool:
    return name.startswith("_") and not name.startswith(("__", "_pyro"))


IMPORT_EACH_ALONE = """
import importlib, os, sys, traceback, types
for module in sys.argv[2:]:
    importlib.import_module(module)

def import_alone(module, place):
    package = types.ModuleType("pyronym")
    package.__path__ = [sys.argv[1]]
    if place == "below":
        sys.modules["pyronym"] = package  # so that the package does not import all others first
    importlib.import_module(module)

for line in sys.stdin:
    module, place = line.split()
    if os.fork():
        os.wait()
        continue
    try:
        import_alone(module, place)
    except BaseException:
        print(module, traceback.format_exc())
    sys.stdout.flush()
    os._exit(0)
"""


SLOW = {"web": ["fastapi", "uvicorn", "prometheus_client"], "storage": ["grpc"]}
"""What rooms import from elsewhere, and takes longer than all the rest: it is imported once for all their modules."""


@pytest.mark.parametrize("room", ROOMS)
def test_each_module_of_a_room_can_be_imported_alone(room: str) -> None:
    place = "below" if ROOMS[room] < ROOMS[room_of("pyronym")] else "above"
    modules = [module for module in MODULES if room_of(module) == room and not module.endswith("__main__")]
    command = [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE, str(PACKAGE), *SLOW.get(room, [])]
    lines = "".join(f"{module} {place}\n" for module in modules)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
