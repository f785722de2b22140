"""What the stock servers do not have."""

from __future__ import annotations

from typing import Final

BEYOND_STOCK: Final = frozenset({"leases", "liveness", "nodes", "register_unique", "renew", "status", "watch"})
"""Methods of the name server."""
