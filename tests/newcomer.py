"""What somebody does who has never heard of pyronym: in an empty folder, with an empty environment, as it is written.

The checkout is cloned, the README is typed from its first command to its last, and then the tutorial, in another
folder, with the wheel of the clone in place of what ``pip install pyronym`` would find.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sessions import Session, blocks, examples, files, free_port

ROOT = Path(__file__).resolve().parent.parent
ADDRESSES = {"10.0.0.1": "127.0.0.1", "10.0.0.2": "127.0.0.2"}
KEPT = ("HOME", "PATH", "LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_EXTRA_INDEX_URL", "SSL_CERT_FILE")
"""Variables of the environment that say where things are on this machine."""


def main() -> None:
    port = str(free_port())
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    env |= {"PORT": port, "PYRO_NS_PORT": port}
    env["PIP_QUIET"] = "1"  # beside what is typed: no warnings about where this machine looks for packages
    with tempfile.TemporaryDirectory() as folder:
        clone, lab = Path(folder) / "pyronym", Path(folder) / "lab"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        follow_readme(clone, env)
        pip = str(clone / ".venv" / "bin" / "pip")
        subprocess.run([pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", "."], cwd=clone, check=True)
        lab.mkdir()
        follow_tutorial(lab, env | {"PIP_FIND_LINKS": str(clone / "dist")})


def follow_readme(clone: Path, env: Mapping[str, str]) -> None:
    """Its commands, and then its lines of Python."""
    with Session(clone, env, {"9090": env["PORT"]}) as session:
        expect_nothing(session.differences(examples(clone / "README.md")))
        typed = [text for language, text in blocks(clone / "README.md") if language == "pycon"]
        (clone / "typed.txt").write_text("\n".join(typed))
        python = [str(clone / ".venv" / "bin" / "python"), "-m", "doctest", "typed.txt"]
        done = subprocess.run(python, cwd=clone, env=env, capture_output=True, text=True, check=False)
        expect_nothing(done.stdout + done.stderr)


def follow_tutorial(lab: Path, env: Mapping[str, str]) -> None:
    """Its files and its commands. The environment that it activates is active for all that comes after."""
    page = ROOT / "docs" / "tutorial.md"
    for name, text in files(page).items():
        (lab / name).write_text(text)
    path = f"{lab / 'lab' / 'bin'}:{env['PATH']}"
    with Session(lab, {**env, "PATH": path}, {"9090": env["PORT"], **ADDRESSES}) as session:
        expect_nothing(session.differences(examples(page)))


def expect_nothing(differences: str) -> None:
    if differences:
        sys.exit(f"this is not what the page says:\n{differences}")


if __name__ == "__main__":
    main()
    print("a newcomer gets where the README and the tutorial lead")
