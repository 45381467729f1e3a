"""A new snapshot for a request: what the loop knows now, not at its last watch."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import FarmError
from edge_agent.core.events import LoopBusy, on_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.events import Item
    from edge_agent.system.ports import Clock

RENEW_S: Final = 2.0
"""However many requests come, a snapshot is taken so often at the most."""
WAIT_S: Final = 1.0
"""So long a request waits for it; while the loop works an hour, the one before is shown."""


class Renewal:
    """Has the loop take a snapshot before a request is answered; for any thread.

    Args:
        put: Puts an item into the loop's queue.
        take: Takes the snapshot; called on the loop's thread.
        clock: Measures the time between two snapshots.
    """

    def __init__(self, put: Callable[[Item], None], take: Callable[[], None], clock: Clock) -> None:
        self._put = put
        self._take = take
        self._clock = clock
        self._lock = threading.Lock()
        self._due_at = clock.monotonic()

    def __call__(self) -> None:
        """Wait for a snapshot that is no older than `RENEW_S`, for `WAIT_S` at the most."""
        if self._clock.monotonic() < self._due_at or not self._lock.acquire(timeout=WAIT_S):
            return
        try:
            if self._clock.monotonic() >= self._due_at:
                with suppress(LoopBusy, FarmError):
                    on_loop(self._put, self._take, WAIT_S)
                self._due_at = self._clock.monotonic() + RENEW_S
        finally:
            self._lock.release()
