"""Every example in the README and in docs/ is run: in a session, here, or elsewhere; or it is said why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from following import Changes
from processes import NameServers, Process, run, stopping
from sessions import blocks

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("console", "pycon", "python", "sh")

BY_A_SESSION = {
    "README.md": "tests/newcomer.py",
    "docs/commands.md": "tests/cli/test_commands_page.py",
    "docs/http.md": "tests/web/test_http_docs.py",
    "docs/tutorial.md": "tests/test_tutorial.py",
}
ELSEWHERE = {
    ("docs/announce.md", "import pyronym as Pyro4"): "tests/test_written_examples.py",
    ("docs/storage.md", "$ pyronym check names.sqlite"): "tests/cli/test_upkeep.py",
    ("docs/storage.md", "$ pyronym salvage names.sqlite saved.sqlite"): "tests/cli/test_upkeep.py",
    ("docs/storage.md", "$ pyronym backup names.sqlite /backup/names.sqlite"): "tests/cli/test_upkeep.py",
    ("docs/client.md", "$ export PYRO_NS_HOST=ns1:9090,ns2:9090"): "tests/client/test_failover.py",
    ("docs/dashboard.md", "$ pip install 'pyronym[web]'"): "tests/web/test_dashboard.py",
    ("docs/dashboard.md", "$ curl localhost:8080/api/v1/history/lab.camera"): "tests/web/test_http_history.py",
    ("docs/etcd.md", "pip install 'pyronym[etcd]'"): "tests/etcd/test_processes.py",
    ("docs/operating.md", "$ pyronym serve --probe 30 --probe-grace 60"): "tests/interop/test_dead_names.py",
    ("docs/operating.md", "$ pyronym serve -n 10.0.0.5 -n 192.168.1.5:9095 -n [fd00::5] -n localhost"): (
        "tests/interop/test_discovery.py"
    ),
    ("docs/tls.md", "$ pyronym serve --tls-cert tls/server.pem --tls-key tls/server.key"): (
        "tests/interop/test_tls_with_stock.py"
    ),
    ("docs/tls.md", "$ export PYRO_SSL=1 PYRO_SSL_CACERTS=tls/ca.pem"): "tests/interop/test_tls_with_stock.py",
    ("docs/tls.md", "$ pyronym serve -p 9090 --tls-cert tls/server.pem --tls-key tls/server.key --tls-port 9443"): (
        "tests/interop/test_tls_with_stock.py"
    ),
    ("docs/tls.md", "$ pip install 'pyronym[certs]'"): "tests/cli/test_certs.py",
    ("docs/configuration.md", "$ pyronym serve --config /etc/pyronym.toml --port 9095"): (
        "tests/cli/test_configuration.py"
    ),
    (
        "docs/logs.md",
        "$ pyronym serve --log-level info --log-file /var/log/pyronym.log --log-format json --access-log",
    ): ("tests/cli/test_logs.py"),
    ("docs/systemd.md", "# cp contrib/systemd/pyronym.service contrib/systemd/pyronym.socket /etc/systemd/system/"): (
        "tests/cli/test_systemd.py"
    ),
}
"""The test that does what an example does, with folders and addresses of its own. Pages and first lines of examples."""

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


def test_the_lists_have_nothing_that_is_not_written() -> None:
    assert {*ELSEWHERE, *NOT_RUN} <= {example.key for example in written()}


def test_what_is_run_elsewhere_has_its_test() -> None:
    tests = {*ELSEWHERE.values(), *BY_A_SESSION.values()}
    assert {test for test in tests if not (ROOT / test).exists()} == set()


@pytest.mark.parametrize("example", RUN_HERE, ids=lambda example: " ".join(example.key))
def test_an_example_runs(example: Written, serve: NameServers) -> None:
    assert example.language == "python"
    text, port = example.text, 0
    if "startNS" not in text:
        server = serve()
        port = server.port
        text = text.replace("ns1:9090", f"127.0.0.1:{port}").replace("ns2:9090", f"127.0.0.1:{port}")
    quiet = ("-W", "error", "-W", "ignore::ResourceWarning")  # an example closes nothing
    command = [sys.executable, *quiet, ROOT / "tests" / "fragment.py"]
    done = run(command, env={"PYRO_NS_PORT": str(port), "PYRO_NS_BCPORT": "0"}, stdin=text)
    assert (done.stderr, done.status) == ("", 0)


def test_the_announced_thermometer_is_registered(serve: NameServers) -> None:
    (text,) = (example.text for example in written() if example.key == ("docs/announce.md", "import pyronym as Pyro4"))
    server = serve()
    with Changes(server.port) as changes:
        program = Process([sys.executable, "-W", "error", "-c", text], env={"PYRO_NS_PORT": str(server.port)})
        with stopping([program]):
            changes.wait_for(("registered", "lab.thermometer"))
