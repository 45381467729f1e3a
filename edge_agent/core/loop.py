"""The agent as a service: one loop that works the hours, carries messages and answers systemd.

Rules (tests name the numbers):

1. Nothing waits for the network: it starts, works and stops the same without broker and depot.
2. READY once configuration, database and release are good. Until the first release is there,
   systemd is told to be patient.
3. One cycle at the start and one whenever the wall clock's hour has changed, whatever the clock
   did meanwhile: after a day of sleep or a jump, once. New data or a new release: once more. Of a
   fleet each device has its own moment after the full hour.
4. Updates are fetched beside the loop, at jittered intervals; it reads what they brought. One that
   is asked for while another runs comes after it, once.
5. A fault in one job is said and counted; the others go on.
6. The watchdog is fed by the loop that does the work, and by nothing else.
7. HUP reads the configuration anew; a bad one changes nothing and is said.
8. After the wall clock was set (not after sleep) nothing expires for a quarter of an hour: what
   waits was dated by the old time, and the new one may be corrected again.
9. A disk that refuses, or a database file that is damaged or gone: everything is kept in memory,
   and after each cycle and each minute the way back is tried.
10. TERM: `offline` is published, what was acknowledged is written down, and the process ends
   within five seconds.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from edge_agent.contract.errors import FarmError, NothingNew, StorageError
from edge_agent.contract.hours import start_of_hour
from edge_agent.core.events import Fetched, Item, LoopCall, Signal
from edge_agent.core.interfaces import ServiceStatus
from edge_agent.mqtt.connection import Acknowledged, Down, Event, Received, Subscribed, Up
from edge_agent.system.jitter import jitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.interfaces import EventSource, MessageDelivery, Systemd, Work
    from edge_agent.system.ports import Clock

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

CYCLE_DELAY: Final = timedelta(seconds=90)
"""After the full hour: its last sensor readings are in."""
WATCH_S: Final = 60.0
RETRY_S: Final = 300.0
PING_S: Final = 30.0
STOP_S: Final = 3.0
BATCH: Final = 200
"""Events taken in one turn, so that a flood never starves the rest."""
JUMP_S: Final = 60.0
DISTRUST_S: Final = 900.0
PATIENCE_S: Final = 90.0
TOLD_S: Final = 86_400.0
"""So long `/health` tells of a disk that refused and is well again."""
_ON_DISK: Final = ("cycle", "watch", "outbox", "inbound", "errand")
"""Jobs that use the database; an update that finds the disk full is no reason to leave it."""


class ServiceLoop:
    """The loop.

    Args:
        work: What to do.
        mail: The delivery.
        inbox: Where events come from.
        words: systemd.
        clock: Time.
        random: Uniform numbers in [0, 1), for jitter; the first is this device's place in a fleet.
        start_thread: Runs the update beside the loop.
        tell: Hears after each turn how the service stands.
    """

    def __init__(
        self,
        work: Work,
        mail: MessageDelivery,
        inbox: EventSource,
        *,
        words: Systemd,
        clock: Clock,
        random: Callable[[], float],
        start_thread: Callable[[Callable[[], None]], None] | None = None,
        tell: Callable[[ServiceStatus], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._mail = mail
        self._inbox = inbox
        self._words = words
        self._clock = clock
        self._random = random
        self._place = random()
        self._start_thread = start_thread or _daemon
        self._tell = tell

        moment = clock.monotonic()
        self._ready = False
        self._stopping = False
        self._hour: datetime | None = None
        self._cycle_wanted = True
        self._watch_at = moment + WATCH_S
        self._fetch_at = moment
        self._fetching = False
        self._fetch_wanted = False
        self._ping_at = moment
        self._ping_s = min(PING_S, words.watchdog_s / 2) if words.watchdog_s else PING_S
        self._offset_s = self._clock_offset()
        self._distrust_until = moment
        self._said = ""
        self._outcome = "starting"
        self._faults: dict[str, str] = {}
        self._disk_failed = False
        self._lately = ""
        self._told_until = moment
        self._cycle_s: float | None = None
        self._updated_at: datetime | None = None

    def run(self) -> None:
        """Work until told to stop."""
        while not self._stopping:
            wait_s = self._turn()
            item = self._inbox.get(wait_s)
            for _ in range(BATCH):
                if item is None:
                    break
                self._take(item)
                item = self._inbox.get(0.0)
            if item is not None:
                self._take(item)
        self._stop()

    def _turn(self) -> float:
        moment = self._clock.monotonic()
        self._look_at_the_clock()
        if self._fetch_at <= moment and not self._fetching:
            self._fetching, self._fetch_wanted = True, False
            self._start_thread(self._fetch)
        if self._disk_failed:
            self._leave_the_disk()
        worked = self._work_the_hour()
        watched = self._watch_at <= moment
        if watched:
            self._watch_at = moment + WATCH_S
            self._guard("watch", lambda: self._work.watch(self._clock.now()))
        if self._work.sheltered and (worked or watched):
            self._try_the_disk()
        mail_s = self._guard("outbox", lambda: self._mail.tick(self._time_for_expiry()))
        self._say()
        moment = self._clock.monotonic()
        nexts = [self._watch_at, self._ping_at]
        if not self._fetching:
            nexts.append(self._fetch_at)
        waits = [at - moment for at in nexts]
        waits.append(self._until_the_hour())
        waits.append(WATCH_S if mail_s is None else mail_s)
        leaving = self._disk_failed and "storage" not in self._faults
        return 0.0 if leaving else max(min(waits), 0.0)

    def _work_the_hour(self) -> bool:
        hour = self._hour_of(self._clock.now())
        if hour == self._hour and not self._cycle_wanted:
            return False
        # Marked first: a fault must not make the loop spin, the next hour comes by itself.
        self._hour, self._cycle_wanted = hour, False
        began = self._clock.monotonic()
        problems = self._problems()
        outcome = self._guard("cycle", lambda: self._work.cycle(self._clock.now(), problems))
        self._cycle_s = self._clock.monotonic() - began
        if outcome is not None:
            self._outcome = outcome
            _log.info("cycle: %s", outcome)
        return True

    def _problems(self) -> list[str]:
        # The cycle's own fault is about the cycle that now goes through.
        faults = (f"{job}: {text}" for job, text in self._faults.items() if job != "cycle")
        concerns = (f"mqtt: {text}" for text in self._mail.state.concerns)
        over = [] if self._clock.monotonic() >= self._told_until else [self._lately]
        return [*faults, *concerns, *over]

    def _hour_of(self, now: datetime) -> datetime:
        return start_of_hour(now - self._delay())

    def _delay(self) -> timedelta:
        return CYCLE_DELAY + timedelta(seconds=self._place * self._work.pace.spread_s)

    def _until_the_hour(self) -> float:
        now = self._clock.now()
        due = self._hour_of(now) + timedelta(hours=1) + self._delay()
        return (due - now).total_seconds()

    def _fetch(self) -> None:
        try:
            self._inbox.put(Fetched(news=self._work.fetch()))
        except Exception as fault:  # noqa: BLE001 - handed to the loop, which tells bugs from faults
            self._inbox.put(Fetched(news=False, fault=fault))

    def _take(self, item: Item) -> None:
        match item:
            case Signal.STOP:
                self._stopping = True
            case Signal.RELOAD:
                self._reload()
            case Signal.CYCLE:
                self._cycle_wanted = True
            case Signal.FETCH:
                self._fetch_soon()
            case Fetched():
                self._take_over(item)
            case LoopCall():
                self._guard("errand", item.call)
            case Received():
                if not self._mail.handle(item, None):
                    self._guard("inbound", lambda: self._work.take(item))
            case Up() | Down() | Acknowledged() | Subscribed():
                self._hand_over(item, self._time_for_expiry())

    def _take_over(self, fetched: Fetched) -> None:
        self._fetching = False

        def outcome() -> bool:
            if fetched.fault is not None:
                raise fetched.fault
            return fetched.news

        news = self._guard("update", outcome)
        failed = "update" in self._faults
        if not failed:
            self._updated_at = self._clock.now()
        if not self._fetch_wanted:
            interval_s = self._work.pace.poll_interval_s
            mean_s = min(RETRY_S, interval_s) if failed else interval_s
            pause_s = jitter(0.8 * mean_s, 1.2 * mean_s, self._random)
            self._fetch_at = self._clock.monotonic() + pause_s
        self._cycle_wanted = self._cycle_wanted or bool(news)

    def _reload(self) -> None:
        moment_us = int(self._clock.monotonic() * 1e6)
        self._words.send("RELOADING=1", f"MONOTONIC_USEC={moment_us}")
        fresh = self._guard("reload", self._work.reload)
        if fresh is not None:
            self._go_on_with(fresh)
            _log.info("configuration taken anew")
        if self._ready:
            self._words.send("READY=1", f"STATUS={self.status()}")

    def _leave_the_disk(self) -> None:
        why = next((self._faults[job] for job in _ON_DISK if job in self._faults), "")
        fresh = self._guard("storage", self._work.shelter)
        self._disk_failed = False
        if "storage" in self._faults:
            return
        self._cycle_wanted = True
        if fresh is not None:
            self._go_on_with(fresh)
            self._fault("storage", f"everything is kept in memory: {why}")

    def _try_the_disk(self) -> None:
        fresh = self._guard("way back", self._work.go_home)
        if fresh is not None:
            self._go_on_with(fresh)
            why = self._faults.pop("storage", "")
            self._lately = f"storage: until {self._clock.now():%Y-%m-%d %H:%M} UTC {why}"
            self._told_until = self._clock.monotonic() + TOLD_S
            _log.warning("storage: the disk takes writes again; nothing is kept in memory any more")

    def _go_on_with(self, mail: MessageDelivery) -> None:
        self._part()
        self._mail = mail
        self._guard("reload", self._work.settle)
        self._disk_failed = False
        self._cycle_wanted = True
        self._fetch_soon()

    def _fetch_soon(self) -> None:
        self._fetch_at, self._fetch_wanted = self._clock.monotonic(), True

    def _guard(self, job: str, call: Callable[[], _T]) -> _T | None:
        try:
            result = call()
        except NothingNew:
            result = None
        except FarmError as fault:
            self._fault(job, str(fault))
            if isinstance(fault, StorageError) and job in _ON_DISK:
                self._disk_failed = not self._work.sheltered
            return None
        except Exception as fault:  # noqa: BLE001 - rule 5: a bug in one job must not stop the others
            self._fault(job, f"internal error: {type(fault).__name__}: {fault}")
            _log.debug("unexpected fault in %s", job, exc_info=True)
            return None
        self._faults.pop(job, None)
        return result

    def _fault(self, job: str, text: str) -> None:
        if self._faults.get(job) != text:
            _log.warning("%s: %s", job, text)
        self._faults[job] = text

    def status(self) -> str:
        """One line for people: outcome of the last cycle, connection, faults."""
        link = self._mail.state
        mail = f"mqtt {link.version}" if link.connected else f"mqtt: {link.problem}"
        return "; ".join([self._outcome, mail, *(f"{k}: {v}" for k, v in self._faults.items())])

    def _condition(self) -> ServiceStatus:
        return ServiceStatus(
            self._mail.state, dict(self._faults), self._outcome, self._cycle_s, self._updated_at
        )

    def _say(self) -> None:
        moment = self._clock.monotonic()
        self._tell(self._condition())
        if not self._ready and self._guard("release", self._work.ready):
            self._ready = True
            self._words.send("READY=1", f"STATUS={self.status()}")
            _log.info("ready")
        if self._ping_at <= moment:
            self._ping_at = moment + self._ping_s
            lines = ["WATCHDOG=1", f"STATUS={self.status()}"]
            if not self._ready:
                lines.append(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_S * 1e6)}")
            self._said = lines[1]
            self._words.send(*lines)
        elif self._said != (line := f"STATUS={self.status()}"):
            self._said = line
            self._words.send(line)

    def _look_at_the_clock(self) -> None:
        offset_s = self._clock_offset()
        jump_s = offset_s - self._offset_s
        if abs(jump_s) >= JUMP_S:
            _log.warning("clock: the wall clock was set by %+.0f s", jump_s)
            self._distrust_until = self._clock.monotonic() + DISTRUST_S
        self._offset_s = offset_s

    def _time_for_expiry(self) -> datetime | None:
        self._look_at_the_clock()
        if self._clock.monotonic() < self._distrust_until:
            return None
        return self._work.known_time()

    def _clock_offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _stop(self) -> None:
        self._words.send("STOPPING=1", "STATUS=stopping")
        self._part()
        _log.info("stopped")

    def _part(self) -> None:
        """End the connection; PUBACKs that still came are written down, the rest is kept."""
        self._guard("outbox", lambda: self._mail.hang_up(STOP_S))
        others = []
        while (item := self._inbox.get(0.0)) is not None:
            if isinstance(item, Up | Down | Acknowledged | Subscribed):
                self._hand_over(item, None)
            else:
                others.append(item)
        for item in others:
            self._inbox.put(item)
        self._guard("outbox", self._mail.write_down)

    def _hand_over(self, event: Event, now: datetime | None) -> None:
        self._guard("outbox", lambda: self._mail.handle(event, now))


def _daemon(target: Callable[[], None]) -> None:
    # A daemon: an update that hangs must not keep the process from ending.
    threading.Thread(target=target, name="update", daemon=True).start()
