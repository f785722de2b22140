"""Record commands on a terminal, as SVG for the documentation: ``make pictures``.

Nothing in the pictures is made up: the commands run, and what they write is drawn. The ports and ids of objects are
others each time.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
PYRONYM = str(Path(sys.executable).parent / "pyronym")
COLUMNS = 100

_FONT = re.compile(r"\s*@font-face {.*?}", re.DOTALL)
"""Rich has the viewer load its font from another host. Without that, any font of fixed width is taken."""

NAMES = ("lab.camera.front", "lab.camera.rear", "lab.display", "lab.laser.1", "lab.laser.2", "office.printer")


def recorded(*command: str, env: dict[str, str]) -> str:
    """What a command writes to a terminal, colours included. Its input is none, so that it waits for no key."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, env=env) as process:  # noqa: S603  # ours
        os.close(slave)
        written = bytearray()
        try:
            while data := os.read(master, 65536):
                written += data
        except OSError:  # how Linux says that nobody has the other end any more
            pass
    os.close(master)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} has failed with status {process.returncode}")
    return written.decode().replace("\r\n", "\n")


def draw(name: str, typed: str, written: str) -> None:
    """Save a picture of a command and what it has written."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(f"$ {typed}", style="bold", highlight=False)
    console.print(Text.from_ansi(written.strip("\n")))
    picture = _FONT.sub("", console.export_svg(title=typed, unique_id=name))
    (IMAGES / f"{name}.svg").write_text(picture, encoding="utf-8")


def main() -> None:
    """Draw all pictures."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYRO_")}
    env |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "60"}
    draw("demo", "pyronym demo", recorded(PYRONYM, "demo", env=env))
    with ExitStack() as stack:
        serve = [PYRONYM, "serve", "-p", "0", "-s", "memory"]
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=env)  # noqa: S603  # ours
        stack.callback(server.wait)
        stack.callback(server.terminate)
        assert server.stdout is not None, "it is a pipe"
        uri = next(line for line in server.stdout if line.startswith("URI = "))
        env["PYRO_NS_HOST"] = uri.strip().rpartition("@")[2]
        for number, name in enumerate(NAMES):
            subprocess.run([PYRONYM, "register", name, f"PYRO:o@10.0.0.7:{4000 + number}"], env=env, check=True)  # noqa: S603  # ours
        draw("ls-tree", "pyronym ls --tree", recorded(PYRONYM, "ls", "--tree", env=env))


if __name__ == "__main__":
    main()
