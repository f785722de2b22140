"""Commands in this process: they do what they do in one of their own, whose start takes longer than they do."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from processes import Completed, clean_environment
from pyronym.cli.main import main
from pyronym.settings import config


def command(*arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = "") -> Completed:
    """Run ``pyronym`` with these arguments, with no terminal, and nothing configured but by `env`."""
    stdout, stderr, typed = io.StringIO(), io.StringIO(), io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    try:
        with mock.patch.dict(os.environ, clean_environment(env), clear=True), mock.patch.object(sys, "stdin", typed):
            config.reset()
            with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
                main([str(argument) for argument in arguments])
    finally:
        config.reset()
    assert isinstance(ended.value.code, int)
    return Completed(ended.value.code, stdout.getvalue(), stderr.getvalue())
