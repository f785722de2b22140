"""One call that a peer makes: what it asks for, performing it, and the reply."""

from __future__ import annotations

import logging
import os
import reprlib
from collections.abc import Callable, Generator, Iterator, Sequence, Sized
from typing import Any, Final

from pyronym.errors import DaemonError, ProtocolError, PyroError, SecurityError, SerializeError
from pyronym.rpc.exposed import exposed_method, exposed_property
from pyronym.rpc.hosting import Host, Hosted, LongWork, Peer, Step
from pyronym.rpc.offences import Complaint, complaint_about
from pyronym.rpc.references import replace_values
from pyronym.rpc.remote_traceback import traceback_lines
from pyronym.rpc.replies import NO_FLAGS, Replies
from pyronym.rpc.tally import BATCH, DONE, FAILED, OTHER, REGISTER
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.registry import Serializer
from pyronym.settings import Settings
from pyronym.wire.message import Flag, Message, MessageType
from pyronym.wire.straight import Begun

LARGE_PAYLOAD: Final = 1 << 16
"""Bytes. Calls that are larger are read in a worker thread."""

MANY_CALLS: Final = 50
"""A batch of more calls to an inline object is performed in a worker thread: 64 KiB of ``list()`` take seconds."""

MAX_BATCH_RESULTS: Final = 2_000_000
"""Elements that all results of a batch of calls to an inline object may have together. As many as a call may have."""

TOGETHER: Final = 100
"""Calls of a batch that an object may perform together. Few enough for one commit of any storage."""

IN_WORKER: Final = object()
"""What `Call.run` yields to be gone on with in a worker thread."""

log = logging.getLogger(__name__)


class Binder:
    """The objects that answer one peer's calls: each hosted thing is bound once for the session, or for each call."""

    def __init__(self, host: Host, peer: Peer) -> None:
        self.host = host
        self.peer = peer
        self._bound: dict[Hosted, object] = {}

    def target(self, hosted: Hosted) -> object:
        """The object that answers this peer's calls to what is hosted. Oneway calls may ask in several threads."""
        if hosted.per_call:
            return hosted.bind(self.peer)
        if hosted not in self._bound:
            return self._bound.setdefault(hosted, hosted.bind(self.peer))
        return self._bound[hosted]

    def close(self) -> None:
        """The session has ended."""
        while self._bound:
            hosted, bound = self._bound.popitem()
            hosted.release(bound)


class Call:
    """One invoke message. The shell performs it with `run` and then gives it back to its session.

    `inline`: it never blocks and runs on the event loop; otherwise it belongs in a worker thread.
    `is_read`: false before the first step of a call so large that reading it takes seconds and many megabytes.
    `never_blocks`: what it does takes time at most, it waits for nothing else than what `run` yields.
    `detached`: nobody waits for it, the session goes on meanwhile.
    `reply`: the bytes to send when it has run; empty if there is nothing to say.
    `complaints`: what the client did wrong.
    `fatal`: the connection must close after the reply.
    `steps`: what is called, as (method, arguments, keywords), when that is known; several in a batch.
    `method`, `result`: how it is counted, see `rpc.tally`.
    `began`: when it was taken from its session, if anybody measures that.

    `failure`: what its first step has failed with already.
    """

    fatal = False
    reply = b""
    complaints: tuple[Complaint, ...] = ()
    steps: Sequence[Step] = ()
    method = OTHER
    result = DONE
    began: float | None = None

    def __init__(
        self,
        request: Message,
        serializer: Serializer,
        binder: Binder,
        settings: Settings,
        replies: Replies,
        failure: Exception | None = None,
    ) -> None:
        self._request = request
        self._serializer = serializer
        self._binder = binder
        self._settings = settings
        self._replies = replies
        self._oneway = bool(request.flags & Flag.ONEWAY)
        self._batch = bool(request.flags & Flag.BATCH)
        self._room = MAX_BATCH_RESULTS
        self._failure: Exception | None = None
        """Why the request could not be read."""
        self._first_failure = failure
        self._raised: Exception | None = None
        """What the method has raised, unless it is one of a batch."""
        # A payload of 16 MB takes seconds to read, in which the event loop must serve other clients.
        self.is_read = request.unpack is None and len(request.data) <= LARGE_PAYLOAD and self._decode()
        self._look_where_it_goes()
        self.inline = self.is_read and self.never_blocks
        self.detached = self._oneway and not self.inline

    @property
    def held(self) -> int:
        """Bytes of the call that are kept until it is read."""
        return 0 if self.is_read else len(self._request.data)

    def forget(self) -> None:
        """Nobody waits for the call any longer: drop what is kept of it until it is read."""
        if not self.is_read:
            self._request = self._request._replace(data=b"")

    def _look_where_it_goes(self) -> None:
        self.never_blocks = self.is_read and (self._failure is not None or self._hosted.inline)

    def _decode(self) -> bool:
        """Find out what is called. What is wrong with that is answered in `run`, as if the method had raised it."""
        try:
            self._read()
        except Exception as problem:
            self._failure = problem
            self.fatal = isinstance(problem, SecurityError | ProtocolError) and not isinstance(problem, SerializeError)
        return True

    def _read(self) -> None:
        request = self._request = self._request.unpacked()
        if request.flags & Flag.KEEP_SERIALIZED:
            raise SerializeError("calls with a serialized blob are not supported (send plain arguments)")
        object_id, method, args, kwargs = self._serializer.loads_call(request.data)
        self.steps = _batch_steps(args) if self._batch else [(method, args, kwargs)]
        hosted = self._binder.host.get(object_id)
        if hosted is None:
            raise DaemonError("unknown object")
        self._hosted: Hosted = hosted
        if hosted.inline:
            known = self._batch or method in hosted.members(request.protocol).methods
            self.method = BATCH if self._batch else method if known else OTHER

    def _complain(self, problem: Exception) -> None:
        # What methods of users raise is their own affair.
        if self._failure is not None or self._hosted.inline:
            complaint = complaint_about(problem)
            self.complaints += (complaint,) if complaint is not None else ()

    def run(self) -> Generator[Any, Any, None]:
        """Perform the call, as a generator: it yields what must be waited for (a Deferred or an awaitable), and is sent
        the result or thrown the exception; or IN_WORKER, to be gone on with in a worker thread. When it ends, `reply`
        is there.
        """
        try:
            if not self.is_read:
                self.is_read = self._decode()
                self._look_where_it_goes()
                yield IN_WORKER
            if self._failure is not None:
                raise self._failure
            results = yield from self._perform(self._binder.target(self._hosted))
            if self._raised is not None:
                raise self._raised
            if not self._oneway:
                self._succeed(results)
        except Exception as problem:
            self._complain(problem)
            self._fail(problem)
        finally:
            # Its traceback leads to this call, and to all that had been read of it: that should not have to wait for
            # the garbage collector, which seldom looks at what is old.
            self._failure = self._raised = self._first_failure = None

    def _perform(self, target: object) -> Generator[Any, Any, list[object]]:
        """The results of all that is called, up to the first error."""
        results: list[object] = []
        if self._first_failure is not None:
            self._failed(self._first_failure, results)
            return results
        many = self._hosted.inline and len(self.steps) > MANY_CALLS
        for first in range(0, len(self.steps), TOGETHER):
            if many:  # also after something was waited for
                yield IN_WORKER
            some = self.steps[first : first + TOGETHER]
            try:
                done = (yield from self._hosted.together(target, some)) if self._batch else None
                if done is not None:
                    results += done
                    continue
            except Exception as problem:
                self._failed(problem, results)
                return results
            for name, args, kwargs in some:
                perform = self._resolve(target, name, args, kwargs)
                try:
                    result = yield from _finished(perform(), many)
                    self._check_room(result)
                except Exception as problem:
                    self._failed(problem, results)
                    return results
                results.append(result)
        return results

    def _check_room(self, result: object) -> None:
        if self._batch and self._hosted.inline and isinstance(result, Sized):
            self._room -= len(result)
            if self._room < 0:
                raise PyroError(f"the results of the batch have over {MAX_BATCH_RESULTS} elements: send less")

    def _failed(self, problem: Exception, results: list[object]) -> None:
        """Take the error of a call: in a batch it is the last of the results.

        Otherwise it is not raised on the spot: the StopIteration of an exhausted iterator cannot leave a generator.
        """
        if not self._batch:
            self._raised = problem
            return
        self._attach_traceback(problem)
        self._complain(problem)
        self.result = self._counted_as(problem)
        results.append(BatchFailure(problem))

    def _fail(self, problem: Exception) -> None:
        log.debug("call from %s failed: %r", self._binder.peer.remote, problem)
        self.result = self._counted_as(problem)
        if not self._oneway:
            self._attach_traceback(problem)
            self.reply = self._replies.error(self._request, problem)

    def _counted_as(self, problem: Exception) -> str:
        # What methods of users raise may be of any class.
        is_ours = self._failure is not None or self._hosted.inline
        return type(problem).__name__ if is_ours else FAILED

    def _attach_traceback(self, problem: Exception) -> None:
        lines = traceback_lines(problem, detailed=self._settings.detailed_traceback)
        problem._pyroTraceback = lines  # type: ignore[attr-defined]  # the attribute that all Pyro clients read

    def _resolve(self, target: object, name: str, args: Any, kwargs: Any) -> Callable[[], object]:
        require_expose = self._hosted.require_expose
        if not self._hosted.inline:
            args, kwargs = self._with_proxies(args), self._with_proxies(kwargs)
        if name == "__getattr__" and len(args) == 1 and isinstance(args[0], str):
            found = exposed_property(target, args[0], require_expose)
            return lambda: found.__get__(target)
        if name == "__setattr__" and len(args) == 2 and isinstance(args[0], str):
            found = exposed_property(target, args[0], require_expose)
            if found.fset is None:
                raise AttributeError(f"attempt to access unexposed or unknown remote attribute '{args[0]}'")
            return lambda: found.__set__(target, args[1])
        method = exposed_method(target, name, require_expose)
        return lambda: method(*args, **kwargs)

    def _with_proxies(self, value: Any) -> Any:
        revive = self._binder.host.revive
        return replace_values(value, lambda part: revive(part) if isinstance(part, RemoteReference) else part)

    def _succeed(self, results: list[object]) -> None:
        value = results if self._batch else results[0]
        if not self._hosted.inline:
            if isinstance(value, Iterator):
                self._stream(value)
                return
            if self._settings.autoproxy:
                reference = self._binder.host.reference
                value = replace_values(value, lambda part: reference(part) or part)
        flags = Flag.BATCH if self._batch else NO_FLAGS
        self.reply = self._replies.answer(self._request, MessageType.RESULT, self._serializer.dumps(value), flags)

    def _stream(self, value: Iterator[object]) -> None:
        """Answer with a stream. On the wire it is an error, which says enough to clients that know no streams."""
        annotations: dict[str, bytes] = {}
        if self._settings.iter_streaming:
            stream_id = os.urandom(16).hex()
            self._binder.peer.streams[stream_id] = value
            annotations["STRM"] = stream_id.encode()
        problem = ProtocolError("result of call is an iterator")
        self.reply = self._replies.error(self._request, problem, Flag.ITEM_STREAM, annotations)


def method_of(begun: Begun) -> str:
    """What a call counts as that the straight road has begun: no others have to be waited for."""
    return BATCH if begun.flags else REGISTER


def _batch_steps(calls: object) -> list[Step]:
    """The calls of a batch, checked."""
    if not isinstance(calls, list | tuple):
        raise SerializeError(f"invalid batch: {reprlib.repr(calls)} (expected a list of calls)")
    steps = []
    for item in calls:
        match item:
            case (str() as method, list() | tuple() as args, dict() as kwargs):
                steps.append((method, args, kwargs))
            case _:
                raise SerializeError(
                    f"invalid call in batch: {reprlib.repr(item)} (expected method, arguments, keywords)"
                )
    return steps


def _finished(result: object, many: bool) -> Generator[Any, Any, Any]:
    """What comes of a result that takes long to make, or has to be waited for, or both. `many`: as one of many calls,
    which are performed in a worker thread.
    """
    while True:
        if isinstance(result, LongWork):
            yield IN_WORKER
            result = result.do()
        elif _must_wait(result):
            result = yield result
            if many:
                yield IN_WORKER
        else:
            return result


def _must_wait(result: object) -> bool:
    # Asked of the class: a proxy looks for unknown attributes in the remote object.
    kind = type(result)
    return hasattr(kind, "add_done_callback") or hasattr(kind, "__await__")
