"""The system's clocks; no other module may read the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` on the operating system's clocks."""

    def now(self) -> datetime:
        """Aware UTC time of the wall clock."""
        return datetime.now(UTC)  # noqa: TID251 - this class is the Clock

    def monotonic(self) -> float:
        """Seconds that never jump; they count while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
