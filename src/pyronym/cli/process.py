"""What ``pyronym serve`` does to its process, so that many clients and large messages find room in it."""

from __future__ import annotations

import ctypes
import gc
import logging
import resource
import sys
from contextlib import suppress
from typing import Final

SWITCH_SECONDS: Final = 0.0005

YOUNG: Final = 10_000
"""New objects before they are looked through for garbage; usually 700 to 2000. So many belong to a few dozen
registrations that are on their way, which were looked through again and again: a node on etcd made 7 % less of them. To
look through 10,000 takes half a millisecond, and now and then the last 100,000 five.
"""

LARGE_BLOCK: Final = 1 << 17
"""Bytes. From here on the GNU C library gives back what is free, until it has learned otherwise."""
M_MMAP_THRESHOLD: Final = -3
"""From malloc.h of the GNU C library."""

log = logging.getLogger(__name__)


def make_room() -> None:
    """To be called before anything is opened or loaded."""
    _raise_open_file_limit()
    _give_back_large_blocks()


def keep_others_waiting_less() -> None:
    """To be called when everything is loaded."""
    # Threads that read large calls or list many names let go of the interpreter so often. The loop takes it once for
    # each packet: with 5 ms, as usual, eight clients that sent 8 MB each kept others waiting for 1.4 s.
    sys.setswitchinterval(SWITCH_SECONDS)
    # What was loaded stays. To look through 500,000 names for garbage stopped everything for 0.2 s; now 0.03.
    gc.freeze()
    gc.set_threshold(YOUNG)


def _raise_open_file_limit() -> None:
    """Let the process have as many connections as the system allows. The usual limit is meant for other programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as problem:  # some systems say "unlimited" and mean less
        log.warning("the limit of %d open files cannot be raised to %d: %s", soft, hard, problem)
    else:
        log.info("raised the limit of open files from %d to %d", soft, hard)


def _give_back_large_blocks() -> None:
    """Have the C library give memory for large messages back to the system as soon as it is free. By itself it learns
    from the first of them to keep such blocks: eight clients with calls of 8 MB left 600 MB that nobody used.
    """
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
