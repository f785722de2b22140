"""What all commands share: how they end when something is wrong, and where the HMAC key comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from pyronym.cli.showing import plain
from pyronym.errors import (
    ConnectionClosedError,
    NameServerNotFoundError,
    PyroError,
    TimeoutError,
    UncertainError,
    UnknownNameError,
)

FAILED = 1
BAD_USAGE = 2
NOT_REACHED = 3
INTERRUPTED = 130

HELP = {"help_option_names": ["-h", "--help"]}
"""Context settings of all commands."""

EXIT_STATUSES = """\
\b
Exit statuses:
  0    done
  1    failed, or something is not there
  2    wrong usage
  3    no name server was reached, or it was lost before it answered
  130  ended by Ctrl-C"""
"""For the help of commands."""

_ADVICE = (
    (NameServerNotFoundError, "start one with pyronym serve, or say where it is with --ns HOST[:PORT]"),
    (UnknownNameError, "see what there is with pyronym ls"),
)
"""What to do about errors whose own words do not say it."""


def run(command: click.Command, args: Sequence[str] | None, program: str) -> None:
    """Run a command and exit with its status, or that of its error, as EXIT_STATUSES says; each error is one line."""
    try:
        status = command.main(args, prog_name=program, standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(INTERRUPTED) from None
    except (click.UsageError, ValueError) as problem:
        _end(program, _one_line(problem), BAD_USAGE)
    except (NameServerNotFoundError, ConnectionClosedError, TimeoutError, UncertainError) as problem:
        _end(program, _with_advice(problem), NOT_REACHED)
    except (PyroError, OSError) as problem:
        _end(program, _with_advice(problem), FAILED)
    except Exception as problem:
        if not hasattr(problem, "_pyroTraceback"):
            raise
        _end(program, f"the name server says: {type(problem).__name__}: {problem}", FAILED)
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


def _with_advice(problem: Exception) -> str:
    advice = next((f"; {words}" for kind, words in _ADVICE if isinstance(problem, kind)), "")
    return f"{problem}{advice}"


def _end(program: str, message: str, status: int) -> None:
    click.echo(f"{program}: error: {plain(' '.join(message.split()))}", err=True)
    sys.exit(status)
