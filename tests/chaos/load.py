"""Clients that use the nodes while these suffer, and write down what they see."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos.history import WRITES, Answer, History, Kind, Operation, Outcome, Told
from processes import SCRIPTS, Process
from pyronym.client.locate import locate
from pyronym.client.proxy import Proxy
from pyronym.errors import CommunicationError, NameTakenError, NamingError, PyroError, UncertainError, UnknownNameError
from pyronym.settings import Settings

READ_TIMEOUT = 0.5
WRITE_TIMEOUT = 2.5
"""Seconds that clients wait for an answer. A node gives one to a change within 2."""
WATCH_SECONDS = 1.0
LEASE = 5.0
PAUSE = 0.04
"""Seconds that a client rests between two calls at most: all of them have two processors together."""

MOST_CALLS = 200
"""Of one proxy."""

OPEN = [f"open.{number}" for number in range(12)]
"""Names that anybody registers and removes."""
SAFE = [f"safe.{number}" for number in range(6)]
"""Names that are only registered where there are none."""
HELD = "held."
"""What names that are kept by renewing them begin with."""
PREFIXES = ("", "open.", "safe.", HELD)


class Client(threading.Thread):
    """One that goes on until `over`, at the nodes at `locations`."""

    timeout = READ_TIMEOUT

    def __init__(
        self, name: str, locations: Sequence[str], history: History, over: threading.Event, seed: object
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._locations = locations
        self._history = history
        self._over = over
        self._chance = random.Random(f"{seed} {name}")
        self._registrations = 0
        self.problem: BaseException | None = None
        """What ended it before its time."""

    def run(self) -> None:
        try:
            while not self._over.is_set():
                with self._located() as proxy:
                    for _ in range(self._chance.randrange(MOST_CALLS)):
                        if self._over.wait(self._chance.random() * PAUSE):
                            break
                        self.act(proxy)
        except BaseException as problem:
            self.problem = problem
            raise

    def act(self, proxy: Proxy) -> None:
        """The next thing to do."""
        raise NotImplementedError

    def _located(self) -> Proxy:
        """A proxy that begins at any of the nodes. Otherwise all clients would soon be at those that never failed."""
        settings = Settings(commtimeout=self.timeout)
        while True:
            order = self._chance.sample(self._locations, len(self._locations))
            with suppress(PyroError):
                return locate(",".join(order), settings=settings)

    def _do(self, proxy: Proxy, kind: Kind, name: str, ask: Callable[[], Any], **details: Any) -> Operation:
        """Make a call and write it down."""
        invoked, outcome, words = time.monotonic(), Outcome.OK, ""
        found: Any = None
        try:
            found = ask()
        except UnknownNameError:
            pass  # that is an answer, too
        except NameTakenError as problem:
            outcome, words = Outcome.TAKEN, str(problem)
        except (NamingError, CommunicationError) as problem:
            words = str(problem)
            outcome = Outcome.UNKNOWN if kind in WRITES and _may_be_done(problem) else Outcome.REFUSED
        returned = time.monotonic()
        match kind:
            case "lookup":
                details["uri"] = None if found is None else str(found)
            case "list":
                details["listing"] = {n: uri for n, uri in (found or {}).items() if not n.startswith("Pyro.")}
            case "remove":
                details["count"] = found or 0
            case "renew":
                details["count"] = int(found == {"unknown": [], "taken": []})
        operation = Operation(self.name, kind, name, node_of(proxy), invoked, returned, outcome, words=words, **details)
        self._history.operations.append(operation)
        return operation

    def _register(self, proxy: Proxy, name: str, kind: Kind = "register", **more: Any) -> Any:
        """What the name server gives, None if it gives nothing."""
        self._registrations += 1
        uri = f"PYRO:{self.name}-{self._registrations}@host:1"
        given: list[Any] = []
        lease = more.get("lease")
        self._do(proxy, kind, name, lambda: given.append(proxy.register(name, uri, **more)), uri=uri, lease=lease)
        return given[0] if given else None


def stock_client(python: Path, location: str, seed: int) -> Process:
    """A stock Pyro4 program, which stays with its node and writes down what it sees for `operations_of`."""
    uri = f"PYRO:Pyro.NameServer@{location}"
    script = SCRIPTS / "chaos_client.py"
    return Process([python, "-W", "ignore", script, uri, str(seed), ",".join(OPEN), ",".join(SAFE)])


def operations_of(stock: Process, location: str) -> Iterator[Operation]:
    """What it has seen."""
    for line in stock.lines:
        said = json.loads(line)
        outcome = Outcome(said.pop("outcome"))
        yield Operation(client="stock", node=location, outcome=outcome, **said)


def node_of(proxy: Proxy) -> str:
    """Where the node is that has answered."""
    connection = proxy._pyroConnection
    return "" if connection is None else str(connection.uri.location)


def _may_be_done(problem: Exception) -> bool:
    return isinstance(problem, UncertainError) or any(
        words in str(problem) for words in ("unknown whether", "half done")
    )


class Reader(Client):
    """Looks names up, and lists them."""

    def _located(self) -> Proxy:
        """Writes down that it has no answer, because for those who read it is part of the wait."""
        now = time.monotonic()
        self._history.operations.append(Operation(self.name, "lookup", OPEN[0], "", now, now, Outcome.REFUSED))
        return super()._located()

    def act(self, proxy: Proxy) -> None:
        if self._chance.random() < 0.2:
            prefix = self._chance.choice(PREFIXES)
            self._do(proxy, "list", prefix, lambda: proxy.list(prefix=prefix))
        else:
            name = self._chance.choice(OPEN + SAFE)
            self._do(proxy, "lookup", name, lambda: proxy.lookup(name))


class Writer(Client):
    """Registers and removes, and sometimes looks at what it has done."""

    timeout = WRITE_TIMEOUT

    def act(self, proxy: Proxy) -> None:
        deed = self._chance.choice([self._replace, self._take, self._remove])
        name = deed(proxy)
        if self._chance.random() < 0.3:
            self._do(proxy, "lookup", name, lambda: proxy.lookup(name))

    def _replace(self, proxy: Proxy) -> str:
        name = self._chance.choice(OPEN)
        self._register(proxy, name)
        return name

    def _take(self, proxy: Proxy) -> str:
        name = self._chance.choice(SAFE)
        self._register(proxy, name, "register_safe", safe=True)
        return name

    def _remove(self, proxy: Proxy) -> str:
        name = self._chance.choice(OPEN + SAFE)
        self._do(proxy, "remove", name, lambda: proxy.remove(name))
        return name


class Keeper(Client):
    """Has a record with a lease, which it renews several times in each."""

    timeout = WRITE_TIMEOUT
    _id: str | None = None

    def act(self, proxy: Proxy) -> None:
        name = f"{HELD}{self.name}"
        if self._id is None:
            lease = self._register(proxy, name, lease=LEASE)
            self._id = lease and lease["id"]
        else:
            names = {name: self._id}
            renewed = self._do(proxy, "renew", name, lambda: proxy.renew(names), lease=LEASE)
            if renewed.outcome is Outcome.OK and not renewed.count:
                self._id = None
        self._over.wait(LEASE / 10)


class Watcher(Client):
    """Hears of all changes. Goes on when it is over for others, until it has come to `target`."""

    timeout = WATCH_SECONDS + 1.0

    def __init__(self, *args: Any, prefix: str) -> None:
        super().__init__(*args)
        self._prefix = prefix
        self._since: int | None = None
        self.resets = 0

    def act(self, proxy: Proxy) -> None:
        invoked = time.monotonic()
        try:
            news = proxy.watch(prefix=self._prefix, since=self._since, timeout=WATCH_SECONDS)
        except (NamingError, CommunicationError):
            return
        changes = [Told(c["revision"], c["kind"], c["name"], str(c["uri"])) for c in news["changes"]]
        times = invoked, time.monotonic()
        answer = Answer(
            self.name, self._prefix, node_of(proxy), *times, self._since, news["revision"], changes, news["reset"]
        )
        self._history.answers.append(answer)
        self._since = answer.revision
        if answer.reset:
            self.resets += 1
            self._do(proxy, "list", self._prefix, lambda: proxy.list(prefix=self._prefix))

    @property
    def revision(self) -> int:
        """Up to which it has heard of everything."""
        return self._since or 0
