"""Coverage-guided fuzzing with atheris: ``make fuzz``, or ``python -m fuzz.coverage TARGET [libFuzzer's options]``.

Without a target all are run, one after the other, for FUZZ_SECONDS seconds each (60). The inputs to begin with are
what stock clients were recorded to send, and the corpus in the checkout; what is found goes to ``.fuzz/``, from where
the next run goes on. ``make fuzz-corpus`` puts the fewest of these that reach as much into the corpus.

Any outcome but a value and a clean error is a finding, and so is one that takes more than 10 seconds or 2 GB.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pyronym"]):
    from fuzz.readers import TARGETS, seeds

from fuzz import corpus

FOUND = Path(__file__).parent.parent.parent / ".fuzz"
MOST = 1024
"""Bytes of an input that is kept in the corpus."""
KEEP = "--keep"
AGAIN = "FUZZ_AGAIN"


def main() -> int:
    if sys.argv[1:] == [KEEP]:
        for target in TARGETS:
            _keep(target)
        return 0
    if len(sys.argv) > 1:
        logging.disable()
        target = sys.argv.pop(1)
        sys.argv[0] = os.environ.get(AGAIN, sys.argv[0])
        atheris.Setup(sys.argv, TARGETS[target])
        atheris.Fuzz()
        return 0
    seconds = os.environ.get("FUZZ_SECONDS", "60")
    failed = [target for target in TARGETS if not _run(target, seconds)]
    if failed:
        print(f"findings in: {', '.join(failed)} (the inputs are in {FOUND})")
    return int(bool(failed))


def _run(target: str, seconds: str) -> bool:
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    for data in {*seeds(target), *corpus.read(target)}:
        (found / hashlib.sha1(data).hexdigest()).write_bytes(data)
    log = FOUND / f"{target}.log"
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=2048"]
    command = [sys.executable, "-m", "fuzz.coverage", target, *options, f"-artifact_prefix={FOUND}/{target}-"]
    with log.open("w") as output:
        status = subprocess.run([*command, str(found)], stderr=output).returncode
    lines = log.read_text(errors="replace").splitlines()
    figures = [line for line in lines if "cov:" in line] or ["no figures"]
    print(f"{target}: {figures[-1]}{'' if status == 0 else f', status {status}, see {log}'}", flush=True)
    return status == 0


def _keep(target: str) -> None:
    """Put the fewest inputs into the corpus that reach as much as all that were found."""
    with tempfile.TemporaryDirectory() as folder:
        # To merge, libFuzzer starts the program again under its first argument, which must be one that can be started.
        again = Path(folder) / "again"
        again.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fuzz.coverage {target} "$@"\n')
        again.chmod(0o700)
        merged = Path(folder) / "merged"
        merged.mkdir()
        command = [again, "-merge=1", f"-max_len={MOST}", merged, FOUND / target]
        subprocess.run(command, env={**os.environ, AGAIN: str(again)}, stderr=subprocess.DEVNULL, check=True)
        kept = [path.read_bytes() for path in merged.iterdir()]
    corpus.write(target, kept)
    print(f"{target}: {len(kept)} inputs, {sum(map(len, kept)):,} bytes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
