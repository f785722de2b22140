"""The examples do what they say."""

import sys
from pathlib import Path

import pytest

from client.watchable import Watchable, daemon_with
from following import Changes
from processes import NameServers, Process, run, stopping
from pyronym import Daemon, Proxy, expose, locateNS
from server.serving import serving

EXAMPLES = Path(__file__).parent.parent / "examples"

ALONE = {
    "embed_select.py": "registered: ['Pyro.NameServer', 'lab.camera']\n",
    "embed_asyncio.py": "registered: ['Pyro.NameServer', 'lab.camera']\n",
    "embed_thread.py": "registered: ['Pyro.NameServer', 'lab.camera']\nwith the tag camera: ['lab.camera']\n",
    "embed_combine.py": "took a picture\n",
}

THERMOMETER = """\
it is 21.5
it is 22.0 with an offset of 0.5
in one message: [22.0, True]
no: remote object 'PYRONAME:lab.thermometer' has no exposed attribute or method 'explode'
"""

ANNOUNCED = """\
registered lab.thermometer
lost lab.thermometer
registered again lab.thermometer
it is 21.5
ended lab.thermometer
"""
LOST = "announced name lost at localhost:{}: the name server does not know it any more (lab.thermometer)\n"


def test_every_example_is_tested() -> None:
    tested = {
        *ALONE,
        "announce.py",
        "lease_pyro4.py",
        "dashboard_asyncio.py",
        "thermometer.py",
        "tour_pyro4.py",
        "tour_pyro5.py",
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize("name", ALONE)
def test_an_embedding_example_serves_itself(name: str) -> None:
    done = run([sys.executable, "-W", "error", EXAMPLES / name])
    assert (done.stdout, done.stderr, done.status) == (ALONE[name], "", 0)


def test_a_pyro4_program_runs_with_its_import_changed(serve: NameServers) -> None:
    server = serve()
    done = run([sys.executable, EXAMPLES / "thermometer.py"], env={"PYRO_NS_PORT": str(server.port)})
    assert (done.stdout, done.stderr, done.status) == (THERMOMETER, "", 0)


def test_the_tour_leads_where_the_readme_says(serve: NameServers, stock4_python: Path, stock5_python: Path) -> None:
    server = serve()
    env = {"PYRO_NS_PORT": str(server.port)}
    camera = Process([stock4_python, "-W", "ignore", EXAMPLES / "tour_pyro4.py"], env=env)
    with stopping([camera]):
        camera.wait_for_line("^registered lab.camera$")
        notebook = run([stock5_python, "-W", "ignore", EXAMPLES / "tour_pyro5.py"], env=env)
        first, last = notebook.stdout.splitlines()
        assert first.startswith("lab.camera is PYRO:obj_")
        assert first.endswith("with the tags {'camera'}")
        assert last == "cameras: ['lab.camera']"
        code = 'import pyronym\nwith pyronym.Proxy("PYRONAME:lab.camera") as camera: print(camera.take())'
        assert run([sys.executable, "-c", code], env=env).stdout == "a picture\n"


@expose
class Camera:
    def take(self) -> str:
        return "a picture"


def test_the_dashboard_shows_what_comes_and_goes() -> None:
    """The name server is a stand-in with a watch."""
    with serving(daemon_with(Watchable())) as names, serving(Daemon(host="127.0.0.1")) as daemon:
        dashboard = Process([sys.executable, EXAMPLES / "dashboard_asyncio.py", names.locationStr])
        with stopping([dashboard]), Proxy(names.uriFor("Pyro.NameServer")) as nameserver:
            dashboard.wait_for_line("^now there are: none$")
            nameserver.register("lab.camera", str(daemon.register(Camera())), metadata=["camera"])
            dashboard.wait_for_line("^now there are: lab.camera$")
            dashboard.wait_for_line("^lab.camera took a picture$")
            shown = len(dashboard.lines)
            nameserver.remove("lab.camera")
            dashboard.wait_for_line("^now there are: none$", since=shown)
            nameserver.stop()


def test_an_announced_name_comes_back_and_goes_with_its_program(serve: NameServers) -> None:
    server = serve()
    done = run([sys.executable, "-W", "error", EXAMPLES / "announce.py"], env={"PYRO_NS_PORT": str(server.port)})
    assert (done.stdout, done.stderr, done.status) == (ANNOUNCED, LOST.format(server.port), 0)
    with locateNS(server.host, server.port) as names:
        assert list(names.list()) == ["Pyro.NameServer"]


def test_a_stock_pyro4_program_has_a_lease_through_its_stock_proxy(serve: NameServers, stock4_python: Path) -> None:
    server = serve()
    camera = Process(
        [stock4_python, "-W", "ignore", EXAMPLES / "lease_pyro4.py"], env={"PYRO_NS_PORT": str(server.port)}
    )
    with stopping([camera]), Changes(server.port) as changes:
        camera.wait_for_line("^registered lab.camera$")
        seen = len(camera.lines)
        changes.names.remove("lab.camera")
        camera.wait_for_line("^registered lab.camera$", since=seen)
        camera.kill()
        changes.wait_for(("expired", "lab.camera"))
