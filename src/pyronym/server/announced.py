"""The announcements of a daemon's objects."""

from __future__ import annotations

from pyronym.client.announce import ThreadAnnouncement


class Announced:
    """Announcements by the ids of their objects. To end them never waits: the name server may be in the same daemon."""

    def __init__(self) -> None:
        self._by_id: dict[str, list[ThreadAnnouncement]] = {}

    def add(self, object_id: str, announcement: ThreadAnnouncement) -> None:
        """One more for an object. Those that have ended are forgotten."""
        running = [other for other in self._by_id.get(object_id, ()) if not other.ended]
        self._by_id[object_id] = [*running, announcement]

    def end(self, object_id: str) -> None:
        """End those of an object."""
        for announcement in self._by_id.pop(object_id, ()):
            announcement.close_soon()

    def end_all(self) -> None:
        """End all."""
        for object_id in list(self._by_id):
            self.end(object_id)
