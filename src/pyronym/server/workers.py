"""Threads that run what may block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Workers:
    """At most `size` threads, started when they are needed, that run jobs in the order in which these come.

    Not `concurrent.futures`: the interpreter waits at its exit for the threads of those pools, and a method that hangs
    must not keep a server from ending.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` as soon as a thread is free; it must not raise. After `close` it is dropped."""
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._size:
                thread = threading.Thread(target=self._work, name="pyronym worker", daemon=True)
                self._threads.add(thread)
                thread.start()

    def __contains__(self, thread: threading.Thread) -> bool:
        return thread in self._threads

    def close(self) -> None:
        """Let each thread end when it has run what is waiting; does not wait for them."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # while the thread waits for the next one it must not keep alive what this one used
            with self._lock:
                self._idle += 1
