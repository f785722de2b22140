"""The text of a traceback, as it travels with an exception."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import FrameType, TracebackType


def attach_traceback(problem: Exception, *, detailed: bool) -> None:
    """Have `problem` tell its peer where it was raised; `detailed` adds each frame's local variables."""
    problem._pyroTraceback = _lines(problem, detailed)  # type: ignore[attr-defined]  # what all Pyro clients read


def _lines(problem: Exception, detailed: bool) -> list[str]:
    if not detailed:
        return traceback.format_exception(problem)
    lines = [f"extended stacktrace of {type(problem).__name__}: {problem}\n"]
    for frame, line_number in _frames(problem.__traceback__):
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {line_number}, in {code.co_qualname}\n')
        lines.extend(f"      {name} = {_safe_repr(value)}\n" for name, value in sorted(frame.f_locals.items()))
    lines.extend(traceback.format_exception_only(problem))
    return lines


def _frames(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _safe_repr(value: object) -> str:
    try:
        return repr(value)[:200]
    except Exception as problem:
        return f"<repr failed: {type(problem).__name__}>"
