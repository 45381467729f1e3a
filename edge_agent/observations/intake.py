"""Sensor messages as they come in: checked, reduced to one a minute, held until they are stored."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.observations import sensors
from edge_agent.observations.sensors import Refusal, RefusalRecord
from edge_agent.observations.waiting_samples import WaitingSamples, keep_latest, minute_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, tzinfo

    from edge_agent.observations.sensors import Sample
    from edge_agent.observations.store import Store
    from edge_agent.settings import Sensor
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
_RECENT_MIN: Final = sensors.RECENT // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SensorState:
    """What is known of one sensor.

    Attributes:
        sensor: Which sensor.
        sample: Newest accepted sample since the start, in the unit of the schema; None: none came.
        refused: Number of refusals.
        last_refused: The newest of them; None: nothing was refused.
        out_of_range: Whether its newest reading lay out of limits, so that its value is unknown.
    """

    sensor: Sensor
    sample: Sample | None
    refused: int
    last_refused: Refusal | None
    out_of_range: bool


@dataclass(slots=True)
class _Memory:
    """What is held of one sensor; `recent` by minute, `out_since` is the time of measurement."""

    sensor: Sensor
    sample: Sample | None = None
    recent: dict[int, Sample] = field(default_factory=dict)
    refused: int = 0
    last_refused: Refusal | None = None
    out_since: datetime | None = None


class Intake:
    """Samples by sensor. Not thread-safe: one thread takes and flushes.

    When the clock is set, what came before is no current value any more.

    Args:
        configured: The sensors of the configuration.
        zone: Of times that name none: the farm's.
        records: Refusals that were stored, by sensor key; see `Store.refusals`.
        clock: Time; the system's by default.
        vouched: Whether somebody vouches for it now; by default somebody always does.

    Attributes:
        accepted: Messages that gave at least one sample.
        clock_was_set: The clock was set since the start.
        urgent: Whether a sensor has become unknown since the last `flush`.
    """

    def __init__(
        self,
        configured: Sequence[Sensor],
        zone: tzinfo = UTC,
        records: dict[str, RefusalRecord] | None = None,
        clock: Clock | None = None,
        vouched: Callable[[], bool] = lambda: True,
    ) -> None:
        self._zone = zone
        self._memories = {sensors.key_of(sensor): _Memory(sensor) for sensor in configured}
        self._by_topic: dict[str, list[str]] = {}
        for key, memory in self._memories.items():
            self._by_topic.setdefault(memory.sensor.topic, []).append(key)
        self._waiting = WaitingSamples(clock, vouched)
        self.clock_was_set = False
        self._unwritten = False
        self.accepted = 0
        self.urgent = False
        self._restore(records or {})

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to subscribe to."""
        return tuple(self._by_topic)

    @property
    def refused(self) -> Counter[str]:
        """Number of refusals by sensor key."""
        return Counter({key: m.refused for key, m in self._memories.items() if m.refused})

    def take(self, topic: str, payload: bytes, received_at: datetime, *, live: bool = True) -> int:
        """Read one message; returns how many samples it gave. What is refused is counted.

        Args:
            topic: Of the message.
            payload: Its content.
            received_at: When it came in, UTC.
            live: Published just now. What the broker had kept counts only with a time of its own.
        """
        self._follow_clock()
        count = 0
        for key in self._by_topic.get(topic, ()):
            memory = self._memories[key]
            for reading in sensors.read(memory.sensor, payload, received_at, self._zone, live=live):
                if not isinstance(reading, Refusal):
                    self._accept(key, memory, reading, received_at)
                    count += 1
                # What the broker had kept comes with each connection, and is counted once.
                elif live or (reading.out_of_limits and reading != memory.last_refused):
                    self._refuse(memory, reading, received_at)
        self.accepted += bool(count)
        return count

    def states(self) -> tuple[SensorState, ...]:
        """Every sensor, in the order of the configuration."""
        self._follow_clock()
        return tuple(
            SensorState(
                sensor=memory.sensor,
                sample=memory.sample,
                refused=memory.refused,
                last_refused=memory.last_refused,
                out_of_range=memory.out_since is not None,
            )
            for memory in self._memories.values()
        )

    def out_of_range(self, sensor: Sensor) -> bool:
        """Whether the newest reading of a sensor lay out of limits: its value is unknown."""
        return self._memories[sensors.key_of(sensor)].out_since is not None

    def newest(self, sensor: Sensor) -> Sample | None:
        """Value of a sensor now, from its messages since the start (S6); None: unknown."""
        self._follow_clock()
        memory = self._memories[sensors.key_of(sensor)]
        if memory.out_since is not None:
            return None
        return sensors.settled(sensor, list(memory.recent.values()))

    def waiting(self, sensor: Sensor) -> list[Sample]:
        """Samples of a sensor that are not yet stored, in no order."""
        return self._waiting.of(sensors.key_of(sensor))

    def flush(self, store: Store) -> datetime | None:
        """Store what waits; returns the earliest time among the samples, None without any.

        Raises:
            StorageError: The disk refused; the samples wait for the next call.
        """
        if self._unwritten:
            store.put_refusals(self.records())
            self._unwritten = self.urgent = False
        self._follow_clock()
        return self._waiting.flush(store)

    def overtake(self, store: Store) -> None:
        """Remember in the store that what waits came after it; see `WaitingSamples.overtake`.

        Raises:
            StorageError: The disk refused.
        """
        self._waiting.overtake(store)

    def records(self) -> dict[str, RefusalRecord]:
        """Refusals by sensor key, to be stored or taken over."""
        return {
            key: RefusalRecord(memory.refused, memory.last_refused, memory.out_since)
            for key, memory in self._memories.items()
            if memory.last_refused is not None
        }

    def take_over(self, before: Intake) -> None:
        """Refusals, and readings of now, of the intake that this one replaces."""
        self._restore(before.records())
        self._unwritten = self._unwritten or before._unwritten
        self.clock_was_set = before.clock_was_set
        for key in before._memories.keys() & self._memories.keys():
            memory, former = self._memories[key], before._memories[key]
            # A reading under other settings, such as a scale, may be another value.
            if memory.sensor == former.sensor:
                memory.sample, memory.recent = former.sample, dict(former.recent)

    def _restore(self, records: dict[str, RefusalRecord]) -> None:
        for key in records.keys() & self._memories.keys():
            memory, record = self._memories[key], records[key]
            memory.refused, memory.last_refused = record.count, record.last
            memory.out_since = record.out_since

    def _accept(self, key: str, memory: _Memory, sample: Sample, received_at: datetime) -> None:
        latest = received_at + sensors.AHEAD
        if memory.sample is not None and memory.sample.at > latest:
            # The clock was ahead and has been set back.
            memory.sample = None
            memory.recent.clear()
        leap = sensors.leap(memory.sensor, memory.sample, sample) if memory.sample else None
        if leap is not None:
            self._refuse(memory, leap, received_at)
        if memory.sample is None or sample.at >= memory.sample.at:
            memory.sample = sample
        if memory.out_since is not None and not sample.at < memory.out_since <= latest:
            memory.out_since = None
            self._unwritten = True
        self._hold(key, memory, sample, received_at)

    def _refuse(self, memory: _Memory, refusal: Refusal, received_at: datetime) -> None:
        if not memory.refused:
            _log.warning("%s (more of this sensor are only counted)", refusal.reason)
        memory.refused += 1
        memory.last_refused = refusal
        self._unwritten = True
        if not refusal.out_of_limits:
            return
        known = [memory.sample.at] if memory.sample is not None else []
        known += [memory.out_since] if memory.out_since is not None else []
        # A time beyond what can be is of a clock that was ahead and has been set back.
        if all(at <= refusal.at or at > received_at + sensors.AHEAD for at in known):
            self.urgent = self.urgent or memory.out_since is None
            memory.out_since = refusal.at

    def _follow_clock(self) -> None:
        if not self._waiting.follow_clock():
            return
        self.clock_was_set = True
        for memory in self._memories.values():
            memory.sample = None
            memory.recent.clear()

    def _hold(self, key: str, memory: _Memory, sample: Sample, received_at: datetime) -> None:
        self._waiting.hold(key, sample, received_at)
        keep_latest(memory.recent, minute_of(sample), sample)
        oldest = max(memory.recent) - _RECENT_MIN
        for old in [minute for minute in memory.recent if minute < oldest]:
            del memory.recent[old]
