"""Reads pickles of protocols 2 to 5 without being able to do what they say.

A pickle is a program for a stack machine, and Python's own machine lets it call anything. This one has only the
instructions that plain data needs, and can call only what `pickle_globals` has. Instances are made empty and get their
state, its types checked, exactly once. The instructions are documented in ``pickletools``.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import (
    FEW_KEYS,
    LIMITS,
    MAX_INTEGER_BITS,
    SET_COST,
    Budget,
    Keys,
    are_safe_keys,
    check_repeated,
    make_set,
)
from pyronym.serializers.classes import BatchFailure, RemoteReference, build_failure, build_reference, uri_state
from pyronym.serializers.exceptions import set_attributes
from pyronym.serializers.pickle_globals import Global, find_global
from pyronym.uri import URI

_STOP: Final = pickle.STOP[0]

_PROTOCOLS: Final = (2, 3, 4, 5)

_STEPS_OF_AN_ELEMENT: Final = 2
"""Picklers need one instruction to make a value and one to remember it."""

_COPY_ALLOWANCE: Final = 1_000_000
"""Beyond the size of the pickle, how many bytes and elements may be copied in calls. Something large that is remembered
could otherwise be copied by a few bytes of pickle, again and again."""


def read_pickle(data: bytes, *, is_answer: bool) -> object:
    """The value in `data`. `is_answer`: a server sent it, so exceptions and proxies may be in it.

    SerializeError when there is none, or when it exceeds the bounds; SecurityError when it names another global.
    """
    machine = _Machine(data, is_answer)
    try:
        value = machine.run()
    except ValueError as problem:  # text in a wrong encoding, an integer of too many digits
        raise SerializeError(f"invalid pickle: {problem}") from problem
    if not machine.is_within_bounds():
        check_repeated(value, data, forbidden=Global)
    return value


class _Machine:
    def __init__(self, data: bytes, is_answer: bool) -> None:
        self.data = data
        self.position = 0
        self._is_answer = is_answer
        self._is_simple = True
        self.stack: list[Any] = []
        self._stacks_below: list[list[Any]] = []  # one for each mark
        self._memo: dict[int, object] = {}
        self._without_state: dict[int, object] = {}  # by id, which their being here keeps from being used again
        self._keys: dict[int, tuple[object, Keys]] = {}  # likewise, of containers with more than a few keys
        self._most_steps = _STEPS_OF_AN_ELEMENT * LIMITS.elements
        self._steps = Budget(self._most_steps)
        self._copies = Budget(len(data) + _COPY_ALLOWANCE)

    def run(self) -> object:
        protocol = self.data[1] if self.data[:1] == pickle.PROTO and len(self.data) > 1 else None
        if protocol not in _PROTOCOLS:
            raise SerializeError("invalid pickle: it does not start like one of protocol 2, 3, 4 or 5")
        self.position = 2
        while (code := self._next_code()) != _STOP:
            step = _STEPS.get(code)
            if step is None:
                raise SerializeError(f"invalid pickle: instruction {bytes([code])!r} is not needed for plain data")
            step(self)
        value = self.pop()
        if self.stack or self._stacks_below or self.position != len(self.data):
            raise SerializeError("invalid pickle: it contains more than one value")
        if self._without_state:
            raise SerializeError("invalid pickle: an object did not get its state")
        return value

    def _next_code(self) -> int:
        position = self.position
        if position >= len(self.data):
            raise SerializeError("invalid pickle: it is cut off")
        self.position = position + 1
        self._steps.spend(1)
        return self.data[position]

    def is_within_bounds(self) -> bool:
        """Whether it is certain without a look that the value is neither too deep, nor too large, nor a global.

        So it is after a few steps that named no global and repeated nothing: nearly always.
        """
        return self._is_simple and self._steps.left >= self._most_steps - LIMITS.depth

    def take(self, size: int) -> bytes:
        start = self.position
        if size > len(self.data) - start:
            raise SerializeError(f"invalid pickle: {size} bytes announced, {len(self.data) - start} are left")
        self.position = start + size
        return self.data[start : self.position]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def line(self) -> str:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise SerializeError("invalid pickle: a line without end")
        return self.take(end + 1 - self.position)[:-1].decode("utf-8")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def push_sized(self, width: int, convert: Callable[[bytes], object]) -> None:
        """A value of a size that is announced in `width` bytes."""
        start = self.position + width
        end = start + int.from_bytes(self.data[start - width : start], "little")
        if end > len(self.data):
            raise SerializeError(
                f"invalid pickle: {end - start} bytes announced, {max(0, len(self.data) - start)} are left"
            )
        self.position = end
        self.stack.append(convert(self.data[start:end]))

    def push_empty(self, make: Callable[[], object], cost: int = 1) -> None:
        self._steps.spend(cost)  # once more, because it takes much more memory than other values of one byte
        self.push(make())

    def pop(self) -> Any:
        if not self.stack:
            raise SerializeError("invalid pickle: nothing is left on the stack")
        return self.stack.pop()

    def mark(self) -> None:
        self._steps.spend(1)  # a second time, as for other empty lists
        self._stacks_below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        if not self._stacks_below:
            raise SerializeError("invalid pickle: a mark is missing")
        values, self.stack = self.stack, self._stacks_below.pop()
        return values

    def top(self, kind: type) -> Any:
        """What is on the stack after its arguments were taken, which must be of this class."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise SerializeError(f"invalid pickle: no {kind.__name__} to put something into")
        return self.stack[-1]

    def push_tuple(self, size: int) -> None:
        self.push(tuple([self.pop() for _ in range(size)][::-1]))

    def integer(self, size: int) -> None:
        if size * 8 > MAX_INTEGER_BITS:
            raise SerializeError(f"invalid pickle: integer of more than {MAX_INTEGER_BITS} bits")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def decimal(self) -> None:
        line = self.line()
        if not line.removeprefix("-").isdecimal():
            raise SerializeError("invalid pickle: a number that is none")
        self.push({"00": False, "01": True}[line] if line in ("00", "01") else int(line))

    def extend(self, elements: list[Any]) -> None:
        self.top(list).extend(elements)

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise SerializeError("invalid pickle: a key of a dict without its value")
        target = self.top(dict)
        self._check_keys(target, items[::2])
        target.update(zip(items[::2], items[1::2], strict=True))

    def add(self, elements: list[Any]) -> None:
        target = self.top(set)
        self._check_keys(target, elements)
        target.update(elements)

    def _check_keys(self, target: Collection[object], keys: list[object]) -> None:
        """`target` may be filled in many small steps, and only together they may show what they are up to."""
        if are_safe_keys(keys):
            return
        _, guard = self._keys.get(id(target), (target, None))
        if guard is None:
            guard = Keys(self._steps)
            guard.check(target)
            if len(target) + len(keys) > FEW_KEYS:
                self._keys[id(target)] = (target, guard)
        guard.check(keys)

    def set_of(self, elements: list[Any]) -> set[object]:
        return make_set(elements, self._steps)

    def skip_frame(self) -> None:
        size = self.number(8)  # tells when to read more of a file; all is there already
        if size > len(self.data) - self.position:
            raise SerializeError(f"invalid pickle: a frame of {size} bytes announced, more than there are")

    def remember(self, index: int | None = None) -> None:
        if not self.stack:
            raise SerializeError("invalid pickle: nothing is there to remember")
        self._memo[len(self._memo) if index is None else index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self._memo:
            raise SerializeError(f"invalid pickle: nothing is remembered as {index}")
        self._is_simple = False
        self.push(self._memo[index])

    def find_global(self, module: object, name: object) -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise SerializeError("invalid pickle: the name of a global is no text")
        self._is_simple = False
        return find_global(module, name, self._is_answer)

    def call(self) -> None:
        args, called = self.pop(), self.pop()
        if not isinstance(called, Global) or called.call is None or type(args) is not tuple:
            raise SerializeError("invalid pickle: something is called that cannot be")
        self._copies.spend(sum(len(part) for part in args if isinstance(part, str | bytes | list | tuple)))
        self.push(called.call(self, args))

    def make(self) -> None:
        args, kind = self.pop(), self.pop()
        if args != ():
            raise SerializeError("invalid pickle: an instance is made with arguments")
        self.push(self.empty_instance(kind))

    def empty_instance(self, kind: object) -> object:
        if not isinstance(kind, Global) or kind.make is None:
            raise SerializeError("invalid pickle: an instance is made of something that has none")
        instance = kind.make()
        self._without_state[id(instance)] = instance
        return instance

    def set_state(self) -> None:
        state = self.pop()
        instance = self.stack[-1] if self.stack else None
        if isinstance(instance, Exception):
            if isinstance(state, dict):
                self._copies.spend(len(state))
            set_attributes(instance, state)
            return
        if self._without_state.pop(id(instance), None) is None:
            raise SerializeError("invalid pickle: a state for something that needs none")
        if isinstance(instance, URI):
            instance.__setstate__(uri_state(state))
        elif isinstance(instance, BatchFailure):
            _copy_fields(build_failure(state if isinstance(state, dict) else {}), instance)
        else:
            _copy_fields(_reference(state), instance)


def _copy_fields(source: BatchFailure | RemoteReference, target: object) -> None:
    """Complete a frozen instance that was made empty."""
    for item in fields(source):
        object.__setattr__(target, item.name, getattr(source, item.name))


def _reference(state: object) -> RemoteReference:
    if not isinstance(state, tuple) or len(state) not in (8, 9):
        raise SerializeError("invalid pickle: the state of a proxy is not one")
    uri, oneway, methods, attributes, _, key, handshake = state[:7]
    return build_reference(uri, oneway, methods, attributes, key, handshake, state[8] if len(state) == 9 else None)


_Step = Callable[[_Machine], None]


def _constant(value: object) -> _Step:
    return lambda machine: machine.stack.append(value)


def _empty(make: Callable[[], object], cost: int = 1) -> _Step:
    return lambda machine: machine.push_empty(make, cost)


def _sized(width: int, convert: Callable[[bytes], object]) -> _Step:
    return lambda machine: machine.push_sized(width, convert)


def _number(width: int, *, signed: bool = False) -> _Step:
    return lambda machine: machine.push(int.from_bytes(machine.take(width), "little", signed=signed))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _python2_text(content: bytes) -> str:
    return content.decode("ascii")


_BY_CODE: Final[dict[bytes, _Step]] = {
    pickle.FRAME: _Machine.skip_frame,
    pickle.NONE: _constant(None),
    pickle.NEWTRUE: _constant(True),
    pickle.NEWFALSE: _constant(False),
    pickle.EMPTY_LIST: _empty(list),
    pickle.EMPTY_DICT: _empty(dict),
    pickle.EMPTY_SET: _empty(set, SET_COST),
    pickle.EMPTY_TUPLE: _constant(()),
    pickle.BININT1: _number(1),
    pickle.BININT2: _number(2),
    pickle.BININT: _number(4, signed=True),
    pickle.INT: _Machine.decimal,
    pickle.LONG1: lambda machine: machine.integer(machine.number(1)),
    pickle.LONG4: lambda machine: machine.integer(machine.number(4)),
    pickle.BINFLOAT: lambda machine: machine.push(struct.unpack(">d", machine.take(8))[0]),
    pickle.SHORT_BINUNICODE: _sized(1, _text),
    pickle.BINUNICODE: _sized(4, _text),
    pickle.BINUNICODE8: _sized(8, _text),
    pickle.SHORT_BINBYTES: _sized(1, bytes),
    pickle.BINBYTES: _sized(4, bytes),
    pickle.BINBYTES8: _sized(8, bytes),
    pickle.BYTEARRAY8: _sized(8, bytearray),
    pickle.SHORT_BINSTRING: _sized(1, _python2_text),
    pickle.BINSTRING: _sized(4, _python2_text),
    pickle.MARK: _Machine.mark,
    pickle.TUPLE1: lambda machine: machine.push_tuple(1),
    pickle.TUPLE2: lambda machine: machine.push_tuple(2),
    pickle.TUPLE3: lambda machine: machine.push_tuple(3),
    pickle.TUPLE: lambda machine: machine.push(tuple(machine.pop_to_mark())),
    pickle.FROZENSET: lambda machine: machine.push(frozenset(machine.set_of(machine.pop_to_mark()))),
    pickle.APPEND: lambda machine: machine.extend([machine.pop()]),
    pickle.APPENDS: lambda machine: machine.extend(machine.pop_to_mark()),
    pickle.SETITEM: lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    pickle.SETITEMS: lambda machine: machine.set_items(machine.pop_to_mark()),
    pickle.ADDITEMS: lambda machine: machine.add(machine.pop_to_mark()),
    pickle.BINPUT: lambda machine: machine.remember(machine.number(1)),
    pickle.LONG_BINPUT: lambda machine: machine.remember(machine.number(4)),
    pickle.MEMOIZE: _Machine.remember,
    pickle.BINGET: lambda machine: machine.recall(machine.number(1)),
    pickle.LONG_BINGET: lambda machine: machine.recall(machine.number(4)),
    pickle.GLOBAL: lambda machine: machine.push(machine.find_global(machine.line(), machine.line())),
    pickle.STACK_GLOBAL: lambda machine: machine.push(machine.find_global(*[machine.pop(), machine.pop()][::-1])),
    pickle.REDUCE: _Machine.call,
    pickle.NEWOBJ: _Machine.make,
    pickle.BUILD: _Machine.set_state,
}

_STEPS: Final = {code[0]: step for code, step in _BY_CODE.items()}
