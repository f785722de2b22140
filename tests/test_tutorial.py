"""The steps of docs/tutorial.md lead where it says, with two addresses of this machine for the two machines."""

import os
from itertools import dropwhile
from pathlib import Path

from processes import PYRONYM
from sessions import Session, examples, files, free_port

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"


def test_the_steps_of_the_tutorial_lead_where_it_says(tmp_path: Path) -> None:
    """After the installation, which tests/newcomer.py does as it is typed."""
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    port = str(free_port())
    env = {"PYRO_NS_PORT": port, "PATH": f"{Path(PYRONYM).parent}:{os.environ['PATH']}"}
    steps = dropwhile(lambda example: not example.command.startswith("pyronym serve"), examples(PAGE))
    instead = {"9090": port, "10.0.0.1": "127.0.0.1", "10.0.0.2": "127.0.0.2"}
    with Session(tmp_path, env, instead) as session:
        assert session.differences(steps) == ""
