"""What Pyro4's users find in its ``util``: tracebacks that also show what happened at the other side."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from pyronym.settings import config


def getPyroTraceback(
    ex_type: type[BaseException] | BaseException | None = None,
    ex_value: BaseException | None = None,
    ex_tb: TracebackType | None = None,
) -> list[str]:
    """The traceback of an exception as lines to print, followed by the remote one if the exception came from a daemon.

    Give what ``sys.exc_info`` gives, or the exception alone, or nothing for the exception that is being handled. With
    DETAILED_TRACEBACK the local part also shows the variables. TypeError when there is no exception in what is given.
    """
    if isinstance(ex_type, BaseException):
        ex_value = ex_type
    elif ex_type is None and ex_value is None:
        ex_value = sys.exception()
    if isinstance(ex_type, type) and ex_value is None:
        raise TypeError(f"only the type of an exception was given: {ex_type.__name__} (expected the exception itself)")
    if ex_value is None:
        return ["NoneType: None\n"]
    details = config.settings.detailed_traceback
    trace = ex_tb or ex_value.__traceback__
    local = traceback.TracebackException(type(ex_value), ex_value, trace, capture_locals=details)
    return [*local.format(), *_remote_lines(getattr(ex_value, "_pyroTraceback", None))]


def excepthook(ex_type: type[BaseException], ex_value: BaseException, ex_tb: TracebackType | None) -> None:
    """Print an exception with its local and remote traceback to stderr. To be assigned to ``sys.excepthook``."""
    sys.stderr.write("".join(getPyroTraceback(ex_type, ex_value, ex_tb)))


def _remote_lines(remote: object) -> list[str]:
    if not isinstance(remote, list | tuple) or not remote:
        return []
    text = "\n".join(str(part).removesuffix("\n") for part in remote)
    return [
        " +--- This exception occurred remotely (Pyro) - Remote traceback:\n",
        *(f" | {line}\n" for line in text.splitlines()),
        " +--- End of remote traceback\n",
    ]
