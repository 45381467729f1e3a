"""Sensor samples that wait to be stored, one for each minute, and what becomes of their dates."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from edge_agent.observations.sensors import Sample
from edge_agent.system.clock import SystemClock
from edge_agent.system.clock_jumps import ClockJumps

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge_agent.observations.store import Store
    from edge_agent.system.ports import Clock

MOST: Final = 200_000
"""Samples held between two writes; far more than three days of ten sensors."""
JUDGED_S: Final = 10.0
"""The clock is judged so often, not at each message: that reads files."""
_Key = TypeVar("_Key", bound=Hashable)


class WaitingSamples:
    """Samples by sensor key. What a clock dated that nobody vouched for moves when it is set.

    Args:
        clock: Time; the system's by default.
        vouched: Whether somebody vouches for it now; by default somebody always does.
    """

    def __init__(self, clock: Clock | None, vouched: Callable[[], bool]) -> None:
        self._clock = clock or SystemClock()
        self._vouched = vouched
        self._jumps = ClockJumps(self._clock)
        self._judge_at = self._clock.monotonic()
        self._surely_dated = False
        self._samples: dict[tuple[str, int], Sample] = {}
        self._movable: set[tuple[str, int]] = set()
        self._overtaking: set[str] = set()

    def follow_clock(self) -> bool:
        """Move what must move; whether the clock was set since the last call."""
        jump_s = self._jumps.look()
        if jump_s:
            self._move(timedelta(seconds=jump_s))
        if jump_s or self._clock.monotonic() >= self._judge_at:
            self._judge_at = self._clock.monotonic() + JUDGED_S
            self._surely_dated = self._vouched()
        return bool(jump_s)

    def hold(self, key: str, sample: Sample, received_at: datetime) -> None:
        """Add a sample; one that has the time of its arrival was dated by the clock."""
        place = key, minute_of(sample)
        if place not in self._samples and len(self._samples) >= MOST:
            # The disk has refused for long: the oldest is dropped, as the store does.
            oldest = next(iter(self._samples))
            del self._samples[oldest]
            self._movable.discard(oldest)
        keep_latest(self._samples, place, sample)
        if sample.at == received_at and not self._surely_dated:
            self._movable.add(place)

    def of(self, key: str) -> list[Sample]:
        """Samples of one sensor, in no order."""
        return [sample for (name, _), sample in self._samples.items() if name == key]

    def flush(self, store: Store) -> datetime | None:
        """Store all of them; returns the earliest time among them, None without any.

        Raises:
            StorageError: The disk refused; the samples wait for the next call.
        """
        if not self._samples:
            return None
        # By a clock that was set back they may have an earlier time than what is stored.
        store.overtake({key for key, _ in self._movable})
        self._overtaking.clear()
        store.put_samples((key, sample) for (key, _), sample in self._samples.items())
        earliest = min(sample.at for sample in self._samples.values())
        self._samples.clear()
        self._movable.clear()
        return earliest

    def overtake(self, store: Store) -> None:
        """Remember in the store that they came later, where they cannot be written yet.

        Raises:
            StorageError: The disk refused.
        """
        news = {key for key, _ in self._samples} - self._overtaking
        if news:
            store.overtake(news)
            self._overtaking |= news

    def _move(self, by: timedelta) -> None:
        before, movable = self._samples, self._movable
        self._samples, self._movable = {}, set()
        for (key, minute), sample in before.items():
            if (key, minute) not in movable:
                keep_latest(self._samples, (key, minute), sample)
                continue
            moved = Sample(sample.at + by, sample.value)
            place = key, minute_of(moved)
            keep_latest(self._samples, place, moved)
            self._movable.add(place)


def minute_of(sample: Sample) -> int:
    """Number of its minute since 1970."""
    return int(sample.at.timestamp()) // 60


def keep_latest(samples: dict[_Key, Sample], key: _Key, sample: Sample) -> None:
    """Keep the latest sample of a key; of two at one time the larger, whichever came first."""
    before = samples.get(key)
    if before is None or (sample.at, sample.value) > (before.at, before.value):
        samples[key] = sample
