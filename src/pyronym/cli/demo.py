"""``pyronym demo``: a name server, two services and a client, each a process of its own, and what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from threading import Timer
from typing import Final, Self

import click

from pyronym.cli.running import HELP
from pyronym.cli.showing import console, for_people
from pyronym.errors import PyroError

READY_SECONDS: Final = 20.0
"""How long a program may take to say that it is ready, or to end. On a machine that has nothing else to do it takes a
half."""
END_SECONDS: Final = 5.0

THERMOMETER: Final = """\
from pyronym import Daemon, expose, locateNS

@expose
class Thermometer:
    def read(self):
        return 21.5

with Daemon() as daemon, locateNS() as names:
    uri = daemon.register(Thermometer())
    names.register("demo.thermometer", uri, metadata={"sensor"})
    print(f"the thermometer is at {uri}", flush=True)
    daemon.requestLoop()
"""

GREETER: Final = """\
from pyronym import Daemon, expose, locateNS

@expose
class Greeter:
    def greet(self, name):
        return f"Hello {name}, from another process!"

with Daemon() as daemon, locateNS() as names:
    uri = daemon.register(Greeter())
    names.register("demo.greeter", uri)
    print(f"the greeter is at {uri}", flush=True)
    daemon.requestLoop()
"""

CLIENT: Final = """\
from pyronym import Proxy, locateNS

with Proxy("PYRONAME:demo.greeter") as greeter:
    print(greeter.greet("you"))

with locateNS() as names:
    for name, (uri, tags) in names.list(metadata_any={"sensor"}, return_metadata=True).items():
        with Proxy(uri) as sensor:
            print(f"{name} says {sensor.read()}")
"""

_END: Final = """\
Both services and the name server have ended. To go on:

  pyronym serve                        a name server for the programs of this machine
  pyronym serve -n 0.0.0.0 -s sql:names.sqlite
                                       one for the network, which keeps its names
  pyronym ls                           what it knows
  pyronym doctor                       when something cannot be reached
"""


@click.command(context_settings=HELP)
def demo() -> None:
    """Show what a name server is for: start one on a free port, two services and a client, and explain each step.

    On a terminal, each step waits for Enter. Nothing is written to files, and all processes have ended at the end, also
    after Ctrl-C.
    """
    with _Programs() as programs:
        _step("1. A name server", "It knows where objects are, so that nobody else has to.")
        serve = ["-m", "pyronym.naming", "-n", "localhost", "-p", "0", "-s", "memory"]
        said = programs.start("$ pyronym serve -n localhost -p 0 -s memory", serve, "URI = ")
        programs.where = {"PYRO_NS_HOST": said.rpartition("@")[2]}

        _step("2. A service", "This program has an object, and registers it under a name:", THERMOMETER)
        programs.start("$ python thermometer.py", ["-c", THERMOMETER], "the thermometer")

        _step("3. Another service", "It has another object. The system chose a port for each of them.", GREETER)
        programs.start("$ python greeter.py", ["-c", GREETER], "the greeter")

        explained = "It knows names and tags only. The name server tells it where they are, and it calls the objects:"
        _step("4. A client", explained, CLIENT)
        programs.finish("$ python client.py", ["-c", CLIENT])

        _step("5. What the name server knows", "You can ask it, too:")
        main = "from pyronym.cli.main import main; main()"
        programs.finish("$ pyronym ls --tree demo.", ["-c", main, "ls", "--tree", "demo."])
    _step("That was all", _END.rstrip())


def _step(title: str, words: str, program: str = "") -> None:
    if title[0] != "1" and for_people() and sys.stdin.isatty():
        click.prompt("-- Enter goes on --", default="", prompt_suffix="", show_default=False)
    console().print(f"\n{title}", style="bold")
    click.echo(words)
    if program:
        click.echo("\n" + "".join(f"    {line}\n" for line in program.splitlines()).rstrip())


class _Programs:
    """Python programs that end with the context. Ctrl-C and SIGTERM wait while one is being started, when nobody could
    end it, and while all are being ended.
    """

    def __init__(self) -> None:
        self.where: Mapping[str, str] = {}
        """Variables that tell them of the name server; all others of Pyro's are kept from them."""
        self._processes: list[subprocess.Popen[str]] = []
        self._held = self._interrupted = False

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        self._held = True
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._release()

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True
        if not self._held:
            raise KeyboardInterrupt

    def _release(self) -> None:
        self._held = False
        if self._interrupted:
            raise KeyboardInterrupt

    def start(self, command: str, arguments: Sequence[str], ready: str) -> str:
        """Start a program; the line, which begins with `ready`, by which it says that it is."""
        process = self._start(command, arguments)
        assert process.stdout is not None, "it is a pipe"
        said = []
        overdue = Timer(READY_SECONDS, process.kill)
        overdue.daemon = True  # an interrupt may come before it can be cancelled
        overdue.start()
        for line in process.stdout:
            said.append(line)
            if line.startswith(ready):
                overdue.cancel()
                _show(line)
                return line.strip()
        raise PyroError(f"a program of the demo does not start, see what it says: {''.join(said)[-500:]}")

    def finish(self, command: str, arguments: Sequence[str]) -> None:
        """Run a program to its end, and show what it writes."""
        process = self._start(command, arguments)
        try:
            output, _ = process.communicate(timeout=READY_SECONDS)
        except subprocess.TimeoutExpired:
            raise PyroError(
                f"a program of the demo takes more than {READY_SECONDS:g} s (try again when the machine has less to do)"
            ) from None
        _show(output)
        if process.returncode:
            raise PyroError("a program of the demo failed, see above; please report it")

    def _start(self, command: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
        console().print(f"\n{command}", style="cyan")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYRO_")}
        self._held = True
        process = subprocess.Popen(  # noqa: S603  # programs of this file
            [sys.executable, *arguments],
            env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **self.where},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # no Ctrl-C at the terminal reaches it
            encoding="utf-8",
        )
        self._processes.append(process)
        self._release()
        return process


def _show(output: str) -> None:
    click.echo("".join(f"  {line}\n" for line in output.splitlines()), nl=False)
