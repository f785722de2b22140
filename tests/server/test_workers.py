from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest

from pyronym.server.workers import Workers

PATIENCE = 5.0


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers(3)
    yield workers
    workers.close()


def run_together(workers: Workers, count: int) -> None:
    """Run so many jobs that all wait for each other."""
    barrier = threading.Barrier(count + 1)
    for _ in range(count):
        workers.submit(lambda: barrier.wait(PATIENCE) and None)
    barrier.wait(PATIENCE)


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pyronym worker"]


def test_as_many_jobs_as_there_are_threads_run_at_once(workers: Workers) -> None:
    run_together(workers, 3)
    run_together(workers, 3)


def test_no_more_threads_than_allowed_are_made_and_no_job_is_forgotten(workers: Workers) -> None:
    release = threading.Event()
    done = threading.Semaphore(0)
    seen: set[str] = set()

    def job() -> None:
        seen.add(str(threading.get_ident()))
        release.wait(PATIENCE)
        done.release()

    for _ in range(20):
        workers.submit(job)
    release.set()
    for _ in range(20):
        assert done.acquire(timeout=PATIENCE)
    assert len(seen) <= 3


def test_one_thread_is_enough_for_jobs_that_come_one_after_the_other() -> None:
    workers = Workers(40)
    before = len(own_threads())
    for _ in range(20):
        done = threading.Event()
        workers.submit(done.set)
        assert done.wait(PATIENCE)
        run_when_idle(workers)
    assert len(own_threads()) - before <= 2  # a second one if a job came while the first was just becoming free
    workers.close()


def run_when_idle(workers: Workers) -> None:
    """Wait until the last job's thread counts as idle again."""
    while not workers._idle:
        pass


def test_it_knows_its_own_threads(workers: Workers) -> None:
    found: list[bool] = []
    done = threading.Event()

    def job() -> None:
        found.append(threading.current_thread() in workers)
        done.set()

    workers.submit(job)
    assert done.wait(PATIENCE)
    assert found == [True]
    assert threading.current_thread() not in workers


def test_closing_ends_the_threads_after_the_jobs_that_wait() -> None:
    workers = Workers(1)
    started, release, second = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        started.set()
        release.wait(PATIENCE)

    workers.submit(first)
    workers.submit(second.set)
    assert started.wait(PATIENCE)
    threads = own_threads()
    workers.close()
    workers.submit(pytest.fail)
    release.set()
    assert second.wait(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_an_idle_thread_keeps_nothing_of_its_last_job_alive(workers: Workers) -> None:
    class Big:
        def use(self) -> None:
            pass

    big = Big()
    gone = weakref.ref(big)
    workers.submit(big.use)
    del big
    run_when_idle(workers)
    gc.collect()
    assert gone() is None


def test_a_job_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = (
        "import threading; from pyronym.server.workers import Workers; started = threading.Event()\n"
        "def hang(): started.set(); threading.Event().wait()\n"
        "Workers(1).submit(hang); started.wait()"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
