"""The benchmark suite: ``python -m benchmarks`` measures everything, docs/performance.md shows it.

Each server runs in a process of its own, the load comes from another one (load.c), and the servers take turns, several
times, so that a machine whose speed drifts is fair to all.
"""
