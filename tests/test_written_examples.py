"""Every example in the README and in docs/ is run: in a session, here, or elsewhere; or it is said why not."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from following import Changes
from processes import PYRONYM, NameServers, Process, run, stopping
from sessions import Example, blocks, commands, free_port, pattern
from situations import HERE, SITUATIONS, fill
from tls_files import Certificates

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("console", "pycon", "python", "sh")

BY_A_SESSION = {
    "README.md": "tests/newcomer.py",
    "docs/commands.md": "tests/cli/test_commands_page.py",
    "docs/http.md": "tests/web/test_http_docs.py",
    "docs/tutorial.md": "tests/test_tutorial.py",
}
ELSEWHERE = {
    ("docs/etcd.md", "pip install 'pyronym[etcd]'"): ("tests/etcd/test_processes.py", "needs three machines with etcd"),
    ("docs/systemd.md", "# cp contrib/systemd/pyronym.service contrib/systemd/pyronym.socket /etc/systemd/system/"): (
        "tests/cli/test_systemd.py",
        "changes the machine; the units themselves are run there",
    ),
    ("docs/announce.md", "import pyronym as Pyro4"): (
        "tests/test_written_examples.py",
        "goes on until it is ended; it is run below",
    ),
}
"""Where the same is done as in examples that cannot be run as they are written, and why they cannot. Pages and first
lines of examples.
"""

NOT_RUN = {
    (
        "docs/performance.md",
        "$ make bench         # everything below: about 20 minutes, on a machine that has nothing else to do",
    ): ("takes too long"),
    (
        "docs/scaling.md",
        "$ make bench-cluster                          # the table below, in less than five minutes",
    ): "takes too long",
    ("docs/client.md", "names = {}"): "never ends; examples/dashboard_asyncio.py is such a program",
    ("docs/leases.md", 'revision = ns.watch()["revision"]  # where we are now'): (
        "never ends; tests/interop/test_leases_with_stock.py watches so"
    ),
}


NO_EXAMPLES = {"docs/architecture.md": "its blocks are the map of the code"}


class Written(NamedTuple):
    page: str
    language: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        return self.page, self.text.partition("\n")[0]


def in_session(page: str, language: str) -> bool:
    return page in BY_A_SESSION and (language != "python" or page == "docs/tutorial.md")


def written() -> Iterator[Written]:
    """All examples that are to be run one by one."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        page = str(path.relative_to(ROOT))
        for language, text in blocks(path):
            if language in LANGUAGES and page not in NO_EXAMPLES and not in_session(page, language):
                yield Written(page, language, text)


RUN_HERE = [example for example in written() if example.key not in ELSEWHERE and example.key not in NOT_RUN]
PYTHON = [example for example in RUN_HERE if example.language == "python"]
TYPED = [example for example in RUN_HERE if example.language != "python"]


def test_the_lists_have_nothing_that_is_not_written() -> None:
    assert {*ELSEWHERE, *NOT_RUN, *SITUATIONS} <= {example.key for example in written()}


def test_what_is_run_elsewhere_has_its_test() -> None:
    tests = {*(test for test, _ in ELSEWHERE.values()), *BY_A_SESSION.values()}
    assert {test for test in tests if not (ROOT / test).exists()} == set()


@pytest.mark.parametrize("example", PYTHON, ids=lambda example: " ".join(example.key))
def test_an_example_runs(example: Written, serve: NameServers) -> None:
    text, port = example.text, 0
    if "startNS" not in text:
        server = serve()
        port = server.port
        text = text.replace("ns1:9090", f"127.0.0.1:{port}").replace("ns2:9090", f"127.0.0.1:{port}")
    quiet = ("-W", "error", "-W", "ignore::ResourceWarning")  # an example closes nothing
    command = [sys.executable, *quiet, ROOT / "tests" / "fragment.py"]
    done = run(command, env={"PYRO_NS_PORT": str(port), "PYRO_NS_BCPORT": "0"}, stdin=text)
    assert (done.stderr, done.status) == ("", 0)


@pytest.mark.parametrize("example", TYPED, ids=lambda example: " ".join(example.key))
def test_a_typed_example_does_what_it_shows(example: Written, tmp_path: Path, certificates: Certificates) -> None:
    """In a folder with what its page speaks of. A server goes on until the next command is typed."""
    situation = SITUATIONS[example.key]
    (tmp_path / "tls").symlink_to(certificates.folder)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "pyronym.toml").write_text('port = 1\nhost = ["127.0.0.1"]\n')
    fill(tmp_path / "names.sqlite")
    situation.prepare(tmp_path)
    ports = {f"PORT{number}": str(free_port()) for number in range(2)}

    def ours(text: str) -> str:
        for theirs, instead in {**situation.instead, **HERE, **ports}.items():
            text = text.replace(theirs, instead.replace("FOLDER", str(tmp_path)))
        return text

    path = f"{Path(PYRONYM).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "PYRO_NS_PORT": ports["PORT0"], "PYRO_NS_BCPORT": "0"}
    with ExitStack() as servers:
        for command, output in typed(ours(situation.before + example.text + situation.after)):
            if "pyronym serve" not in command:
                done = run(["bash", "-ec", f"cd {tmp_path}\n{command}"], env=env)
                assert (done.stderr, done.status) == ("", situation.status)
                assert re.fullmatch(pattern(output or "...\n"), done.stdout), done.stdout
                continue
            servers.close()
            server = Process(["bash", "-c", f"cd {tmp_path}; exec env {command}"], env=env)
            servers.enter_context(stopping([server]))
            server.wait_for_line("^URI = ")
            for line in output.splitlines():
                server.wait_for_line(pattern(line).removesuffix(r"\n"))


def typed(text: str) -> Iterator[Example]:
    """What is typed, with what it writes: servers alone, other commands together with those before them."""
    script = output = ""
    for command, shown in commands(text):
        if "pyronym serve" in command:
            yield Example(command, shown)
        else:
            script, output = f"{script}{command}\n", output + shown
    if script:
        yield Example(script, output)


def test_the_announced_thermometer_is_registered(serve: NameServers) -> None:
    (text,) = (example.text for example in written() if example.key == ("docs/announce.md", "import pyronym as Pyro4"))
    server = serve()
    with Changes(server.port) as changes:
        program = Process([sys.executable, "-W", "error", "-c", text], env={"PYRO_NS_PORT": str(server.port)})
        with stopping([program]):
            changes.wait_for(("registered", "lab.thermometer"))
