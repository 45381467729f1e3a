"""The service's loop with fakes all round and a clock that its own waiting turns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_agent.contract.errors import StorageError
from edge_agent.core.events import Item, Signal
from edge_agent.core.interfaces import Host, Schedule
from edge_agent.core.loop import ServiceLoop
from edge_agent.mqtt.connection import ConnectionState, Event, Received
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_agent.system.clock_trust import Timekeeper

START = datetime(2026, 7, 1, 12, 20, tzinfo=UTC)


class _Events:
    """Waiting turns the clock; at the given seconds items come in or things happen."""

    def __init__(self, clock: FakeClock, plan: dict[float, Item | Callable[[], None]]) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._plan = sorted(plan.items(), key=lambda pair: pair[0])
        self._now: list[Item] = []
        self.waits: list[float] = []

    def put(self, item: Item) -> None:
        self._now.append(item)

    def get(self, timeout_s: float) -> Item | None:
        if self._now:
            return self._now.pop(0)
        if timeout_s > 0:
            self.waits.append(timeout_s)
            assert len(self.waits) < 50_000, "the loop spins"
        end = self._clock.monotonic() + timeout_s
        if self._plan and self._start + self._plan[0][0] <= end:
            at, what = self._plan.pop(0)
            self._clock.advance(max(self._start + at - self._clock.monotonic(), 0.0))
            if not callable(what):
                return what
            what()
            return None
        self._clock.advance(timeout_s)
        return None


class _Work:
    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.time: Timekeeper | None = None
        self.schedule = Schedule(3600.0)
        self.is_ready = True
        self.cycles: list[datetime] = []
        self.watched = 0
        self.taken: list[Received] = []
        self.fetches = 0
        self.news = False
        self.fault: Exception | None = None
        self.fetch_fault: Exception | None = None
        self.reload_fault: Exception | None = None
        self.fresh: _Delivery | None = None
        self.keeps = False
        self.settled = 0
        self.problems: list[str] = []
        self.watch_problems: list[str] = []
        self.in_memory = False
        self.slow = ""
        self.room = False
        self.walled_in = False
        self.disk_well = False

    def move_to_memory(self) -> _Delivery | None:
        if self.walled_in:
            raise StorageError("no memory left")
        if self.room:
            self.room, self.fault = False, None
            return None
        self.in_memory, self.fault, self.fresh = True, None, _Delivery()
        return self.fresh

    def move_to_disk(self) -> _Delivery | None:
        if not self.disk_well:
            return None
        self.in_memory, self.fresh = False, _Delivery()
        return self.fresh

    def check_disk(self) -> None:
        if self.slow:
            raise StorageError(self.slow)

    def ready(self) -> bool:
        return self.is_ready

    def known_time(self) -> datetime | None:
        vouched = self.time is None or self.time.vouched()
        return self._clock.now() if vouched else None

    def cycle(self, now: datetime, problems: Sequence[str]) -> str:
        self.cycles.append(now)
        self.problems = list(problems)
        if self.fault is not None:
            raise self.fault
        return f"cycle {len(self.cycles)}"

    def watch(self, now: datetime, problems: Sequence[str]) -> None:
        assert now == self._clock.now()
        self.watch_problems = list(problems)
        self.watched += 1

    def take(self, message: Received) -> None:
        self.taken.append(message)

    def fetch(self) -> bool:
        self.fetches += 1
        if self.fetch_fault is not None:
            raise self.fetch_fault
        return self.news

    def reload(self) -> _Delivery:
        if self.reload_fault is not None:
            raise self.reload_fault
        self.fresh = _Delivery()
        self.fresh.keeps = self.keeps
        return self.fresh

    def close_replaced(self) -> None:
        self.settled += 1


class _Delivery:
    def __init__(self) -> None:
        self.times: list[datetime | None] = []
        self.handled: list[Event] = []
        self.ended: list[str] = []
        self.keeps = False
        self.fault: Exception | None = None

    @property
    def state(self) -> ConnectionState:
        return ConnectionState(
            connected=False, version="", problem="away", connections=0, refused_topics=()
        )

    def tick(self, now: datetime | None) -> float:
        self.times.append(now)
        if self.fault is not None:
            raise self.fault
        return 20.0

    def handle(self, event: Event) -> bool:
        if isinstance(event, Received):
            return False
        self.handled.append(event)
        return True

    def take_over(self, before: _Delivery) -> bool:
        assert before is not self
        return self.keeps

    def retry(self) -> None:
        self.ended.append("retry")

    def disconnect(self, timeout_s: float) -> None:
        assert timeout_s < 5
        self.ended.append("hang up")

    def remove_acknowledged(self) -> None:
        self.ended.append("write down")


class _Systemd:
    def __init__(self, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self.said: list[str] = []

    def send(self, *lines: str) -> None:
        self.said.extend(lines)


class ServiceCase:
    """A service with its surroundings; `run` lets it live for some seconds, then stops it."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        self.clock = FakeClock(START)
        self.work = _Work(self.clock)
        self.delivery = _Delivery()
        self.systemd = _Systemd(watchdog_s)
        self.events: _Events | None = None

    def run(
        self,
        seconds: float,
        plan: dict[float, Item | Callable[[], None]] | None = None,
        start_thread: Callable[[Callable[[], None]], None] = lambda target: target(),
    ) -> None:
        """Live for so many seconds; at those of the plan items come in or things happen."""
        self.events = _Events(self.clock, {**(plan or {}), seconds: Signal.STOP})
        ServiceLoop(
            self.work,
            self.delivery,
            self.events,
            Host(self.systemd, self.clock, lambda: 0.5, start_thread),
        ).run()


def hours(case: ServiceCase) -> list[str]:
    """Day and minute of each cycle."""
    return [f"{at:%d %H:%M}" for at in case.work.cycles]
