"""How long clients had to do without answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chaos.history import Operation, Outcome

_ANSWERS = (Outcome.OK, Outcome.TAKEN)


class Wait(NamedTuple):
    """From when a client asked in vain, or had to wait, until an answer came to it."""

    client: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def waits(operations: Iterable[Operation]) -> Iterator[Wait]:
    """All waits of all clients, of an instant each as a rule. One that has found no answer lasts to its last call."""
    by_client: dict[str, list[Operation]] = {}
    for operation in operations:
        by_client.setdefault(operation.client, []).append(operation)
    for client, calls in by_client.items():
        began: float | None = None
        for call in sorted(calls, key=lambda call: call.invoked):
            began = call.invoked if began is None else began
            if call.outcome in _ANSWERS:
                yield Wait(client, began, call.returned)
                began = None
        if began is not None:
            yield Wait(client, began, max(call.returned for call in calls))


def longest(operations: Iterable[Operation], began: float, ended: float) -> Wait | None:
    """The longest wait that has something to do with the time between `began` and `ended`."""
    concerned = (wait for wait in waits(operations) if wait.began < ended and wait.ended > began)
    return max(concerned, key=lambda wait: wait.seconds, default=None)
