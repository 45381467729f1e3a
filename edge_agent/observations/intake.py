"""Sensor messages as they come in: checked, reduced to one a minute, held until they are stored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from edge_agent.contract.errors import BadData
from edge_agent.observations import sensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edge_agent.observations.sensors import Sample
    from edge_agent.observations.store import Store
    from edge_agent.settings import Sensor

_log = logging.getLogger(__name__)
MAX_WAITING: Final = 200_000
"""Samples held between two writes; far more than three days of ten sensors."""
_RECENT_MIN: Final = sensors.RECENT // timedelta(minutes=1)
_Key = TypeVar("_Key", bound=Hashable)


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
        self._recent: dict[str, dict[int, Sample]] = {}
        self.accepted = 0
        self.refused: Counter[str] = Counter()

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to subscribe to."""
        return tuple(self._by_topic)

    def take(self, topic: str, payload: bytes, received_at: datetime) -> int:
        """Read one message; returns how many samples it gave. Bad messages are counted."""
        count = 0
        for sensor in self._by_topic.get(topic, ()):
            key = sensors.key_of(sensor)
            try:
                samples = sensors.read(sensor, payload, received_at)
            except BadData as fault:
                if not self.refused[key]:
                    _log.warning("%s (more of this sensor are only counted)", fault)
                self.refused[key] += 1
                continue
            for sample in samples:
                self._hold(key, sample)
            count += len(samples)
        self.accepted += bool(count)
        return count

    def newest(self, sensor: Sensor) -> Sample | None:
        """Value of a sensor now, from its messages since the start (S6)."""
        recent = self._recent.get(sensors.key_of(sensor), {})
        return sensors.settled(sensor.quantity, list(recent.values()))

    def flush(self, store: Store) -> datetime | None:
        """Store the samples that wait; returns the earliest time among them, None without any.

        Raises:
            StorageError: The disk refused; the samples wait for the next call.
        """
        if not self._waiting:
            return None
        store.put_samples((key, sample) for (key, _), sample in self._waiting.items())
        earliest = min(sample.at for sample in self._waiting.values())
        self._waiting.clear()
        return earliest

    def _hold(self, key: str, sample: Sample) -> None:
        minute = int(sample.at.timestamp()) // 60
        if (key, minute) not in self._waiting and len(self._waiting) >= MAX_WAITING:
            # The disk has refused for long: the oldest is dropped, as the store does.
            del self._waiting[next(iter(self._waiting))]
        _latest(self._waiting, (key, minute), sample)
        recent = self._recent.setdefault(key, {})
        _latest(recent, minute, sample)
        oldest = max(recent) - _RECENT_MIN
        for old in [minute for minute in recent if minute < oldest]:
            del recent[old]


def _latest(samples: dict[_Key, Sample], key: _Key, sample: Sample) -> None:
    """Keep the latest sample of a key; of two at one time the larger, whichever came first."""
    before = samples.get(key)
    if before is None or (sample.at, sample.value) > (before.at, before.value):
        samples[key] = sample
