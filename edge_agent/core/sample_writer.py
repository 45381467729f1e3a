"""Writes sensor samples to the store and aggregates them to hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.observations import source_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.observations.intake import Intake
    from edge_agent.observations.store import Store
    from edge_agent.settings import Sensor
    from edge_agent.system.clock_trust import Timekeeper
    from edge_agent.system.ports import Clock

WRITE_S: Final = 1800.0
"""Samples are written this often between cycles: a power cut loses no more of them."""
_LATE: Final = timedelta(hours=6)
"""Hours that are aggregated again in each cycle, for samples that came late."""
_OLDEST: Final = timedelta(days=3)
"""Nothing older is aggregated: a board that starts in 1970 would have 56 years to do."""


class SampleWriter:
    """Moves samples from the intake to the store, while the clock dates them rightly.

    Args:
        intake: Samples since the last write.
        store: Takes samples and hours.
        sensors: The sensors of the configuration.
        clock: Measures the time between two writes.
        time: Judges the same clock.
    """

    def __init__(
        self,
        intake: Intake,
        store: Store,
        sensors: Sequence[Sensor],
        clock: Clock,
        time: Timekeeper,
    ) -> None:
        self._intake = intake
        self._store = store
        self._sensors = sensors
        self._clock = clock
        self._time = time
        self._written_at = clock.monotonic()
        self._earliest: datetime | None = None

    def take_over(self, intake: Intake) -> None:
        """Write the samples of a runtime that is replaced, and remember its refusals."""
        self._intake.take_over(intake)
        if self._time.dates():
            self._earliest = intake.flush(self._store)

    def write(self) -> None:
        """Write the samples that came since the last write.

        While the clock is wrong they wait: what is stored is then not the newest.
        """
        if not self._time.dates():
            self._intake.overtake(self._store)
            return
        self._written_at = self._clock.monotonic()
        earliest = self._intake.flush(self._store)
        if earliest is not None:
            self._earliest = min(earliest, self._earliest or earliest)

    def write_when_due(self) -> None:
        """Write them if the last write is long ago, or what is stored is no longer to be used."""
        due = self._clock.monotonic() - self._written_at >= WRITE_S
        if due or self._intake.urgent or not self._time.dates():
            self.write()

    def aggregate(self, now: datetime) -> None:
        """Write the samples, then the hours up to `now` that they change.

        While the clock is wrong both wait. Where nobody vouches for it and it is behind hours that
        are there already, these stay as they are.
        """
        self.write()
        if not self._time.dates():
            return
        since = max(min(now - _LATE, self._earliest or now), now - _OLDEST)
        sure = self._time.vouched()
        source_choice.aggregate(self._store, self._sensors, since, now, sure=sure)
        self._earliest = None
