"""What the serve command does to its process. The rest of its behaviour is in tests/interop/test_life_cycle.py."""

import sys
from pathlib import Path

from processes import NameServer, Process, stopping

LIMITED = """
import resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, min(hard, 1000)))
from pyronym.cli.main import main
main(["serve", "-n", "127.0.0.1", "-p", "0"])
"""


def test_the_limit_of_open_files_is_raised_and_that_is_logged() -> None:
    process = Process([sys.executable, "-c", LIMITED], env={"PYRO_LOGLEVEL": "INFO"})
    with stopping([process]):
        server = NameServer(process)
        process.wait_for_line(r"raised the limit of open files from 200 to 1000")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert "Max open files            1000                 1000" in limits
        assert server.process.terminate() == 0
