"""What all commands share: how they end when something is wrong, and where the HMAC key comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pyronym.errors import PyroError

BAD_USAGE = 2
FAILED = 1


def run(command: click.Command, args: Sequence[str] | None, program: str) -> None:
    """Run a command and exit: 0 when done, 1 when it failed, 2 for wrong options; each error is one line."""
    try:
        status = command.main(args, prog_name=program, standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except (click.UsageError, ValueError) as problem:
        _end(program, _one_line(problem), BAD_USAGE)
    except (PyroError, OSError) as problem:
        _end(program, str(problem), FAILED)
    else:
        raise SystemExit(status if isinstance(status, int) else 0)


def hmac_key(option: str | None) -> str | None:
    """The key from ``-k`` or from PYRO_HMAC_KEY. UsageError if both are given."""
    variable = os.environ.get("PYRO_HMAC_KEY")
    if option is None:
        return variable
    if variable is not None:
        raise click.UsageError("don't use -k and PYRO_HMAC_KEY at the same time")
    click.echo(
        "warning: everyone on this machine can read a key given with -k in the list of processes; "
        "set PYRO_HMAC_KEY instead",
        err=True,
    )
    return option


def _one_line(problem: click.UsageError | ValueError) -> str:
    if not isinstance(problem, click.UsageError):
        return str(problem)
    command = problem.ctx.command_path if problem.ctx else ""
    return f"{problem.format_message()} (see {command} --help)" if command else problem.format_message()


def _end(program: str, message: str, status: int) -> None:
    click.echo(f"{program}: error: {message}", err=True)
    sys.exit(status)
