"""Fixtures for the tests of storages."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def open_folder():
    """A folder that every user can reach: ``tmp_path`` belongs to the user who runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def _without_privileges():
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)  # permissions mean nothing to root
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def without_privileges():
    """A context in which file permissions count."""
    return _without_privileges
