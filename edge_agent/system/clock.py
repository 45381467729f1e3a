"""The wall clock, in the one place that may read it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock` on the operating system's clocks."""

    def now(self) -> datetime:
        """Aware UTC time of the wall clock."""
        return datetime.now(UTC)  # noqa: TID251 - this class is the Clock

    def monotonic(self) -> float:
        """Seconds that never jump; time asleep counts, so a day of sleep is no jump of `now`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
