"""The loop of a server that does nothing but serve: made on uvloop where that is installed (``pyronym[fast]``)."""

from __future__ import annotations

from collections.abc import Callable

from pyronym.errors import DaemonError
from pyronym.server.loop import LoopBase, ServerLoop, apart

try:
    import uvloop
except ImportError:
    HAS_UVLOOP = False
else:
    HAS_UVLOOP = True

    class UvLoop(LoopBase, uvloop.Loop):  # type: ignore[misc]  # its stubs and the standard ones differ in three methods
        """A loop that can only be served for good: no other loop can drive it, and it knows no loop condition."""

        _serving = False

        def fileno(self) -> int:
            """There is no descriptor that would tell what is due."""
            raise DaemonError("a daemon on uvloop can only be served by its requestLoop")

        def turn(self) -> None:
            """There are no turns."""
            raise DaemonError("a daemon on uvloop can only be served by its requestLoop")

        def serve(self, condition: Callable[[], object] | None, pause: float) -> None:
            """Run until `interrupt` is called, or was called before. DaemonError if there is a condition."""
            if condition is not None:
                raise DaemonError("a daemon on uvloop can only be served without a loop condition")
            self._serving = True
            try:
                if not self._interrupted:
                    with apart():
                        self.run_forever()
            finally:
                self._serving = self._interrupted = False

        def interrupt(self) -> None:
            """End `serve`, or the next one at its start. From any thread, and from signal handlers."""
            self._interrupted = True
            self.post(self._stop_serving)

        def _stop_serving(self) -> None:
            # Not while closing, which also runs the loop; and not for an interrupt that has ended an earlier `serve`.
            if self._serving and self._interrupted:
                self.stop()


def fastest_loop() -> LoopBase:
    """A loop for a daemon that is served by its requestLoop only."""
    return UvLoop() if HAS_UVLOOP else ServerLoop()
