"""The agent as a service: one loop that works the hours, delivers messages and answers systemd.

Rules (tests name the numbers):

1. Nothing waits for the network: it starts, works and stops the same without broker and depot.
2. READY once configuration, database and release are good. Until the first release is there,
   systemd is asked for more time.
3. One cycle at the start, and one whenever the wall clock's hour has changed, whatever the clock
   did meanwhile: after a day of sleep or a jump, one. New data or a new release: one more. In a
   fleet each device has its own moment after the full hour.
4. Updates are fetched beside the loop, at jittered intervals; it reads what they brought. One that
   is asked for while another runs comes after it, once.
5. An error in one job is logged and counted; the others continue.
6. The watchdog is fed by the loop that does the work, and by nothing else.
7. HUP reads the configuration anew; a bad one changes nothing and is reported.
8. Nothing expires while nobody vouches for the clock, nor for a quarter of an hour after it was
   set (not after sleep); see `system.clock_trust`.
9. When the disk refuses, or the database file is damaged or gone, everything is held in memory.
   After each cycle and each minute the way back to the disk is tried.
10. TERM: `offline` is published, what was acknowledged is written, and the process ends within
   five seconds.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.hours import start_of_hour
from edge_agent.core.events import Fetched, Item, LoopCall, Signal
from edge_agent.core.interfaces import ServiceStatus
from edge_agent.core.jobs import Jobs
from edge_agent.core.systemd_reports import SystemdReports
from edge_agent.mqtt.connection import Acknowledged, Down, Event, Received, Subscribed, Up
from edge_agent.system.jitter import jitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.core.interfaces import EventSource, Host, MessageDelivery, Work

_log = logging.getLogger(__name__)

CYCLE_DELAY: Final = timedelta(seconds=90)
"""After the full hour: its last sensor readings are in."""
WATCH_S: Final = 60.0
EARLY_WATCH_S: Final = 5.0
"""After a watch, where a reading has come that a rule waits for."""
RETRY_S: Final = 300.0
STOP_S: Final = 3.0
BATCH: Final = 200
"""Events taken in one turn, so that a flood does not hold up the other work."""


class ServiceLoop:
    """The loop.

    Args:
        work: What to do.
        delivery: Delivers the messages.
        events: Where events come from.
        host: The machine; its first random number is this device's place in a fleet.
        show_status: Takes the status of the service after each turn.
    """

    def __init__(
        self,
        work: Work,
        delivery: MessageDelivery,
        events: EventSource,
        host: Host,
        show_status: Callable[[ServiceStatus], None] = lambda _: None,
    ) -> None:
        self._work = work
        self._delivery = delivery
        self._events = events
        self._clock = host.clock
        self._random = host.random
        self._start_thread = host.start_thread
        self._show_status = show_status
        self._fleet_place = host.random()
        self._jobs = Jobs(lambda: self._work.in_memory, host.clock)
        if work.in_memory:
            self._jobs.fail(
                "storage", "everything is kept in memory: the disk refused at the start"
            )
        self._reports = SystemdReports(host.systemd, host.clock)

        now = host.clock.monotonic()
        self._stopping = False
        self._hour: datetime | None = None
        self._cycle_wanted = True
        self._watched_at, self._watch_at = now, now + WATCH_S
        self._fetch_at = now
        self._fetching = False
        self._fetch_wanted = False
        self._outcome = "starting"
        self._cycle_s: float | None = None
        self._updated_at: datetime | None = None

    def run(self) -> None:
        """Work until told to stop."""
        while not self._stopping:
            wait_s = self._turn()
            item = self._events.get(wait_s)
            for _ in range(BATCH):
                if item is None:
                    break
                self._take(item)
                item = self._events.get(0.0)
            if item is not None:
                self._take(item)
        self._reports.stopping()
        self._disconnect()
        _log.info("stopped")

    def _turn(self) -> float:
        """Do what is due; seconds until the next time."""
        now = self._clock.monotonic()
        if self._fetch_at <= now and not self._fetching:
            self._fetching, self._fetch_wanted = True, False
            self._start_thread(self._fetch)
        if self._jobs.disk_failed:
            self._leave_the_disk()
        worked = self._work_the_hour()
        watched = self._watch_at <= now
        if watched:
            self._watched_at, self._watch_at = now, now + WATCH_S
            problems = self._jobs.problems("watch", self._delivery.state.concerns)
            self._jobs.run("watch", lambda: self._work.watch(self._clock.now(), problems))
        if self._work.in_memory and (worked or watched):
            self._try_the_disk()
        delivery_s = self._jobs.run("outbox", lambda: self._delivery.tick(self._work.known_time()))
        self._jobs.run("disk", self._work.check_disk)
        self._show_status(
            ServiceStatus(
                self._delivery.state,
                dict(self._jobs.errors),
                self._outcome,
                self._cycle_s,
                self._updated_at,
            )
        )
        self._reports.report(self.status, lambda: self._jobs.run("release", self._work.ready))
        return self._until_next(WATCH_S if delivery_s is None else delivery_s)

    def _until_next(self, delivery_s: float) -> float:
        if self._jobs.disk_failed and "storage" not in self._jobs.errors:
            return 0.0
        due = [self._watch_at, self._reports.due]
        if not self._fetching:
            due.append(self._fetch_at)
        now = self._clock.monotonic()
        waits = [at - now for at in due]
        return max(min(*waits, self._until_the_hour(), delivery_s), 0.0)

    def _work_the_hour(self) -> bool:
        hour = self._hour_of(self._clock.now())
        if hour == self._hour and not self._cycle_wanted:
            return False
        # Marked first: an error must not make the loop spin, the next hour comes by itself.
        self._hour, self._cycle_wanted = hour, False
        began = self._clock.monotonic()
        problems = self._jobs.problems("cycle", self._delivery.state.concerns)
        outcome = self._jobs.run("cycle", lambda: self._work.cycle(self._clock.now(), problems))
        self._cycle_s = self._clock.monotonic() - began
        if outcome is not None:
            self._outcome = outcome
            _log.info("cycle: %s", outcome)
        return True

    def _hour_of(self, now: datetime) -> datetime:
        return start_of_hour(now - self._delay())

    def _delay(self) -> timedelta:
        return CYCLE_DELAY + timedelta(seconds=self._fleet_place * self._work.schedule.spread_s)

    def _until_the_hour(self) -> float:
        now = self._clock.now()
        return (self._hour_of(now) + timedelta(hours=1) + self._delay() - now).total_seconds()

    def _fetch(self) -> None:
        try:
            self._events.put(Fetched(news=self._work.fetch()))
        except Exception as fault:  # noqa: BLE001 - handed to the loop, which tells bugs from faults
            self._events.put(Fetched(news=False, fault=fault))

    def _take(self, item: Item) -> None:
        match item:
            case Signal():
                self._take_signal(item)
            case Fetched():
                self._take_update(item)
            case LoopCall():
                self._jobs.run("errand", item.call)
            case Received():
                if not self._delivery.handle(item):
                    self._jobs.run("inbound", lambda: self._work.take(item))
            case Up() | Down() | Acknowledged() | Subscribed():
                self._handle(item)

    def _take_signal(self, signal: Signal) -> None:
        match signal:
            case Signal.STOP:
                self._stopping = True
            case Signal.RELOAD:
                self._reload()
            case Signal.CYCLE:
                self._cycle_wanted = True
            case Signal.FETCH:
                self._fetch_soon()
            case Signal.WATCH:
                self._watch_at = min(self._watch_at, self._watched_at + EARLY_WATCH_S)
            case Signal.RETRY:
                self._delivery.retry()

    def _take_update(self, fetched: Fetched) -> None:
        self._fetching = False

        def outcome() -> bool:
            if fetched.fault is not None:
                raise fetched.fault
            return fetched.news

        news = self._jobs.run("update", outcome)
        failed = "update" in self._jobs.errors
        if not failed:
            self._updated_at = self._clock.now()
        if not self._fetch_wanted:
            interval_s = self._work.schedule.poll_interval_s
            mean_s = min(RETRY_S, interval_s) if failed else interval_s
            pause_s = jitter(0.8 * mean_s, 1.2 * mean_s, self._random)
            self._fetch_at = self._clock.monotonic() + pause_s
        self._cycle_wanted = self._cycle_wanted or bool(news)

    def _reload(self) -> None:
        self._reports.reloading()
        delivery = self._jobs.run("reload", self._work.reload)
        if delivery is not None:
            self._continue_with(delivery)
            _log.info("configuration taken anew")
        self._reports.reloaded(self.status())

    def _leave_the_disk(self) -> None:
        error = self._jobs.disk_error()
        delivery = self._jobs.run("storage", self._work.move_to_memory)
        self._jobs.disk_failed = False
        if "storage" in self._jobs.errors:
            return
        self._cycle_wanted = True
        if delivery is not None:
            self._continue_with(delivery)
            self._jobs.fail("storage", f"everything is kept in memory: {error}")

    def _try_the_disk(self) -> None:
        delivery = self._jobs.run("way back", self._work.move_to_disk)
        if delivery is not None:
            self._continue_with(delivery)
            self._jobs.disk_recovered()

    def _continue_with(self, delivery: MessageDelivery) -> None:
        if not delivery.take_over(self._delivery):
            self._disconnect()
        self._delivery = delivery
        self._jobs.run("reload", self._work.close_replaced)
        self._jobs.disk_failed = False
        self._cycle_wanted = True
        self._fetch_soon()

    def _fetch_soon(self) -> None:
        self._fetch_at, self._fetch_wanted = self._clock.monotonic(), True

    def status(self) -> str:
        """One line for people: outcome of the last cycle, connection, errors."""
        connection = self._delivery.state
        mqtt = (
            f"mqtt {connection.version}" if connection.connected else f"mqtt: {connection.problem}"
        )
        errors = (f"{job}: {text}" for job, text in self._jobs.errors.items())
        return "; ".join([self._outcome, mqtt, *errors])

    def _disconnect(self) -> None:
        """End the connection; late acknowledgements are written, other events stay queued."""
        self._jobs.run("outbox", lambda: self._delivery.disconnect(STOP_S))
        others = []
        while (item := self._events.get(0.0)) is not None:
            if isinstance(item, Up | Down | Acknowledged | Subscribed):
                self._handle(item)
            else:
                others.append(item)
        for item in others:
            self._events.put(item)
        self._jobs.run("outbox", self._delivery.remove_acknowledged)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Up):
            # Before anything is sent: an action that expired in the queue is ordered anew.
            self._watch_at = self._clock.monotonic()
        self._jobs.run("outbox", lambda: self._delivery.handle(event))
