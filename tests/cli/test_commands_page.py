"""The session of docs/commands.md is what one sees."""

import os
from pathlib import Path

from processes import PYRONYM
from pyronym.cli.main import pyronym as group
from sessions import Session, examples, free_port

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_session_of_the_page_is_what_one_sees(tmp_path: Path) -> None:
    port = str(free_port())
    path = f"{Path(PYRONYM).parent}:{os.environ['PATH']}"
    env = {"PYRO_NS_PORT": port, "PATH": path, "PYRO_BROADCAST_ADDRS": ""}
    with Session(tmp_path, env, {"9090": port}) as session:
        assert session.differences(examples(PAGE)) == ""


def test_every_command_has_an_example() -> None:
    shown = {command.split()[1] for command, _ in examples(PAGE)}
    assert shown == set(group.list_commands(None))  # type: ignore[arg-type]  # it looks at no context
