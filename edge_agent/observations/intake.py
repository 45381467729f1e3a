"""Sensor messages as they come in: checked, thinned to one a minute, kept until written down."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from edge_agent.errors import BadData
from edge_agent.observations import sensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edge_agent.config_structs import Sensor
    from edge_agent.observations.sensors import Sample
    from edge_agent.observations.store import Store

_log = logging.getLogger(__name__)
MAX_WAITING: Final = 200_000
"""Samples held between two writes; far more than three days of ten sensors."""


class Intake:
    """Samples by sensor. Not thread-safe: one thread takes and flushes.

    Args:
        configured: The sensors of the configuration.

    Attributes:
        accepted: Messages that gave at least one sample.
        refused: Refusals by sensor key.
    """

    def __init__(self, configured: Sequence[Sensor]) -> None:
        self._by_topic: dict[str, list[Sensor]] = {}
        for sensor in configured:
            self._by_topic.setdefault(sensor.topic, []).append(sensor)
        self._waiting: dict[tuple[str, int], Sample] = {}
        self._newest: dict[str, Sample] = {}
        self.accepted = 0
        self.refused: Counter[str] = Counter()

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to subscribe to."""
        return tuple(self._by_topic)

    def take(self, topic: str, payload: bytes, received_at: datetime) -> int:
        """Read one message; number of samples it gave. A bad message is counted, never raised."""
        given = 0
        for sensor in self._by_topic.get(topic, ()):
            key = sensors.key_of(sensor)
            try:
                sample = sensors.read(sensor, payload, received_at)
            except BadData as fault:
                if not self.refused[key]:
                    _log.warning("%s (more of this sensor are counted, not said)", fault)
                self.refused[key] += 1
                continue
            self._keep(key, sample)
            given += 1
        self.accepted += bool(given)
        return given

    def newest(self, sensor: Sensor) -> Sample | None:
        """Newest sample of a sensor since the start, by event time."""
        return self._newest.get(sensors.key_of(sensor))

    def flush(self, store: Store) -> datetime | None:
        """Write what waits; earliest event time among it, None when nothing waited.

        Raises:
            StorageError: The disk refused; everything is kept for the next call.
        """
        if not self._waiting:
            return None
        store.put_samples((key, sample) for (key, _), sample in self._waiting.items())
        earliest = min(sample.at for sample in self._waiting.values())
        self._waiting.clear()
        return earliest

    def _keep(self, key: str, sample: Sample) -> None:
        slot = (key, int(sample.at.timestamp()) // 60)
        held = self._waiting.get(slot)
        if held is None and len(self._waiting) >= MAX_WAITING:
            # The disk has refused for long: the oldest goes, as on the disk itself.
            del self._waiting[next(iter(self._waiting))]
        if held is None or (sample.at, sample.value) > (held.at, held.value):
            self._waiting[slot] = sample
        newest = self._newest.get(key)
        if newest is None or (sample.at, sample.value) > (newest.at, newest.value):
            self._newest[key] = sample
