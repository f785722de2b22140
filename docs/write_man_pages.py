"""Write a manual page for each command, for distributions: docs/write_man_pages.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from click import Context
from click_man.core import write_man_pages

from pyronym import __version__
from pyronym.cli.main import pyronym


def main() -> None:
    """Write them all."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    context = Context(pyronym)
    for name in pyronym.list_commands(context):  # click-man asks for those that are loaded
        command = pyronym.get_command(context, name)
        assert command is not None, "it is in the list"
        pyronym.add_command(command, name)
    write_man_pages("pyronym", pyronym, version=__version__, target_dir=str(folder))


if __name__ == "__main__":
    main()
