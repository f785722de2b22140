"""The names of the name server, for shells that complete them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

import click

from pyronym.cli.where import where_of
from pyronym.client.deadline import in_thread
from pyronym.errors import PyroError

QUICK: Final = 0.5
"""Seconds in which the name server has to answer. Without an answer, nothing is completed: who types will not wait."""


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The names that begin so, of the name server that the options before say; none if it does not answer quickly."""

    def ask() -> list[str]:
        where = where_of(ctx.params)
        settings = replace(where.settings, locate_timeout=QUICK, commtimeout=QUICK)
        with replace(where, settings=settings).connect() as name_server:
            return sorted(filter(str.isprintable, name_server.list(prefix=incomplete)))

    with suppress(PyroError, OSError, ValueError, click.UsageError):  # the second is what Python's TimeoutError is
        return in_thread(ask).result(QUICK)
    return []
