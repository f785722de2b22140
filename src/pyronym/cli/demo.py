"""``pyronym demo``: a name server, two services and a client, each a process of its own, and what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from threading import Timer
from typing import Final, NoReturn

import click

from pyronym.cli.running import HELP
from pyronym.cli.showing import console, for_people
from pyronym.client.deadline import in_thread
from pyronym.errors import PyroError

READY_SECONDS: Final = 20.0
"""How long a program may take to say that it is ready. On a machine that has nothing else to do it takes a half."""
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
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        _step("1. A name server", "It knows where objects are, so that nobody else has to.")
        serve = ["-m", "pyronym.naming", "-n", "localhost", "-p", "0", "-s", "memory"]
        said = stack.enter_context(_running("$ pyronym serve -n localhost -p 0 -s memory", serve, "URI = ", {}))
        where = {"PYRO_NS_HOST": said.rpartition("@")[2]}

        _step("2. A service", "This program has an object, and registers it under a name:", THERMOMETER)
        stack.enter_context(_running("$ python thermometer.py", ["-c", THERMOMETER], "the thermometer", where))

        _step("3. Another service", "It has another object. The system chose a port for each of them.", GREETER)
        stack.enter_context(_running("$ python greeter.py", ["-c", GREETER], "the greeter", where))

        explained = "It knows names and tags only. The name server tells it where they are, and it calls the objects:"
        _step("4. A client", explained, CLIENT)
        _finish("$ python client.py", ["-c", CLIENT], where)

        _step("5. What the name server knows", "You can ask it, too:")
        main = "from pyronym.cli.main import main; main()"
        _finish("$ pyronym ls --tree demo.", ["-c", main, "ls", "--tree", "demo."], where)
    _step("That was all", _END.rstrip())


def _leave(*_: object) -> NoReturn:
    """End as by Ctrl-C: so that the processes are ended."""
    raise KeyboardInterrupt


def _step(title: str, words: str, program: str = "") -> None:
    if title[0] != "1" and for_people() and sys.stdin.isatty():
        click.prompt("-- Enter goes on --", default="", prompt_suffix="", show_default=False)
    console().print(f"\n{title}", style="bold")
    click.echo(words)
    if program:
        click.echo("\n" + "".join(f"    {line}\n" for line in program.splitlines()).rstrip())


@contextmanager
def _running(command: str, arguments: list[str], ready: str, where: dict[str, str]) -> Iterator[str]:
    """Run a Python program until the context ends; give the line with which it says that it is ready."""
    starting = _start(command, arguments, where)
    try:
        yield _line(starting.result(), ready)
    finally:
        process = starting.result()
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _line(process: subprocess.Popen[str], ready: str) -> str:
    assert process.stdout is not None, "it is a pipe"
    said = []
    overdue = Timer(READY_SECONDS, process.kill)
    overdue.daemon = True  # an interrupt may come before it can be cancelled
    try:
        overdue.start()
        for line in process.stdout:
            said.append(line)
            if line.startswith(ready):
                _show(line)
                return line.strip()
    finally:
        overdue.cancel()
    raise PyroError(f"a program of the demo does not start, see what it says: {''.join(said)[-500:]}")


def _finish(command: str, arguments: list[str], where: dict[str, str]) -> None:
    """Run a Python program to its end, and show what it writes."""
    starting = _start(command, arguments, where)
    try:
        process = starting.result()
        output, _ = process.communicate(timeout=READY_SECONDS)
    except BaseException:
        process = starting.result()
        process.kill()
        process.wait()
        raise
    _show(output)
    if process.returncode:
        raise PyroError("a program of the demo failed, see above; please report it")


def _start(command: str, arguments: list[str], where: dict[str, str]) -> Future[subprocess.Popen[str]]:
    """Start a Python program that no Ctrl-C at the terminal reaches, and that knows no name server but the demo's.

    In a thread: an interrupt does not come there, between the start of a process and when somebody knows of it.
    """
    console().print(f"\n{command}", style="cyan")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYRO_")}
    program = [sys.executable, *arguments]
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **where}
    return in_thread(
        lambda: subprocess.Popen(  # noqa: S603  # programs of this file
            program,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
        )
    )


def _show(output: str) -> None:
    click.echo("".join(f"  {line}\n" for line in output.splitlines()), nl=False)
