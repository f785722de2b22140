"""What was acknowledged survives kill -9 at any moment. `make torture-storage` does the same for longer."""

import random

import pytest
from killing import STORES, kill_a_committing_program, kill_a_server_with_64_clients

ROUNDS = 4


@pytest.mark.parametrize("kind", STORES)
def test_kill_9_loses_no_acknowledged_commit_and_leaves_none_half_done(kind, tmp_path):
    assert kill_a_committing_program(kind, tmp_path / "names", ROUNDS, random.Random(kind)).acknowledged


@pytest.mark.parametrize("kind", STORES)
def test_kill_9_under_the_load_of_64_clients_loses_no_acknowledged_change(kind, tmp_path):
    assert kill_a_server_with_64_clients(kind, tmp_path / "names", ROUNDS, random.Random(kind)).acknowledged
