"""The simulation of large clusters runs, gives the same each time, and shows what its page in docs draws from it."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def simulate(*options):
    command = [sys.executable, "-m", "benchmarks.scaling", "--seconds", "0.3", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


the_simulation = cache(simulate)
"""What it gives; twice the same object, for what need not be simulated twice."""


def test_the_same_seed_gives_the_same_figures_and_another_one_does_not():
    assert simulate() == the_simulation()
    assert simulate("--seed", "2") != the_simulation()


def test_many_nodes_are_what_proxies_and_shards_are_for():
    rates = {(found["nodes"], found["proxies"] > 0, found["shards"]): found["rate"] for found in the_simulation()}
    assert rates[1000, False, 1] < rates[100, False, 1] <= rates[10, False, 1]
    assert rates[1000, False, 1] < rates[1000, True, 4]
    assert rates[1000, True, 1] <= rates[1000, True, 4]
