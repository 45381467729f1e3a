"""The service's rules with fakes all round and a clock that its own waiting turns."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import BadData, ConfigError, NothingNew, StorageError, TryLater
from edge_agent.core.events import EventQueue, Fetched, Item, Signal
from edge_agent.core.interfaces import Host, Schedule
from edge_agent.core.loop import ServiceLoop
from edge_agent.mqtt.connection import Acknowledged, ConnectionState, Down, Event, Received, Up
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.system.sd_notify import Notifier
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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


class _Case:
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
        self.events = _Events(self.clock, {**(plan or {}), seconds: Signal.STOP})
        ServiceLoop(
            self.work,
            self.delivery,
            self.events,
            Host(self.systemd, self.clock, lambda: 0.5, start_thread),
        ).run()


def _hours(case: _Case) -> list[str]:
    return [f"{at:%d %H:%M}" for at in case.work.cycles]


def test_one_cycle_at_the_start_and_one_an_hour() -> None:
    """Rule 3: at the start, then shortly after each full hour, none missed, none twice."""
    case = _Case()
    case.run(24 * 3600)
    assert _hours(case)[:3] == ["01 12:20", "01 13:01", "01 14:01"]
    assert len(case.work.cycles) == 25


def test_a_day_of_sleep_is_caught_up_with_one_cycle() -> None:
    """Rule 3: after a suspend of a day one cycle follows, and the hours go on."""
    case = _Case()
    case.run(26 * 3600, {600: lambda: case.clock.advance(24 * 3600)})
    assert _hours(case) == ["01 12:20", "02 12:30", "02 13:01", "02 14:01"]


def test_devices_of_a_fleet_work_the_hour_one_after_the_other() -> None:
    """Rule 3: in the middle of ten minutes by this device's draw, each hour; live rules as ever."""
    case = _Case()
    case.work.schedule = Schedule(3600.0, spread_s=600.0)
    case.run(3 * 3600)
    assert _hours(case) == ["01 12:20", "01 13:06", "01 14:06", "01 15:06"]
    assert case.work.watched == 3 * 60 - 1


def test_a_new_connection_is_watched_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What expired in the queue is replaced first; the minutes go on from there."""
    case = _Case()
    order: list[tuple[str, float]] = []
    start = case.clock.monotonic()

    def note(what: str) -> float:
        order.append((what, case.clock.monotonic() - start))
        return 20.0

    monkeypatch.setattr(case.work, "watch", lambda *_: note("watch"))
    monkeypatch.setattr(case.delivery, "tick", lambda _: note("send"))
    case.run(50, {30.5: Up("5", window=10, largest=None)})
    assert [entry for entry in order if entry[1] >= 30.5][:2] == [("watch", 30.5), ("send", 30.5)]
    assert [what for what, _ in order].count("watch") == 1


def test_a_reading_that_a_rule_waits_for_is_not_left_for_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A watch within seconds, and no more than one every five however many readings come."""
    case = _Case()
    start, watched = case.clock.monotonic(), []
    monkeypatch.setattr(
        case.work, "watch", lambda *_: watched.append(case.clock.monotonic() - start)
    )
    plan: dict[float, Item | Callable[[], None]] = {30.0 + n / 8: Signal.WATCH for n in range(40)}
    case.run(100, plan)
    assert watched == [30.0, 35.0, 95.0]


@pytest.mark.parametrize("jump_h", [-2, 72])
def test_a_clock_jump_makes_one_cycle(jump_h: int) -> None:
    """Rule 3: set back or forward, one cycle at once, then each hour again."""
    case = _Case()
    case.run(2.5 * 3600, {600: lambda: case.clock.jump(jump_h * 3600)})
    assert len(case.work.cycles) == 4
    gaps = [b - a for a, b in zip(case.work.cycles[1:], case.work.cycles[2:], strict=False)]
    assert gaps[-1] == timedelta(hours=1)


def test_nothing_expires_after_the_clock_was_set(tmp_path: Path) -> None:
    """Rule 8: a jump suspends expiry for a quarter of an hour; sleep does not."""
    case = _Case()
    case.work.time = Timekeeper(tmp_path, case.clock, lambda: True)
    case.run(1800, {300: lambda: case.clock.jump(3 * 86_400)})
    unknown = [n for n, time in enumerate(case.delivery.times) if time is None]
    assert unknown
    assert case.delivery.times[0] is not None
    assert case.delivery.times[-1] is not None
    assert unknown == list(range(unknown[0], unknown[-1] + 1))
    asleep = _Case()
    asleep.work.time = Timekeeper(tmp_path / "asleep", asleep.clock, lambda: True)
    asleep.run(90_000, {300: lambda: asleep.clock.advance(86_400)})
    assert None not in asleep.delivery.times


def test_ready_waits_for_the_release_and_not_for_the_network() -> None:
    """Rules 1 and 2: patience is asked for until a release is there; MQTT is down throughout."""
    case = _Case()
    case.work.is_ready = False

    def arrive() -> None:
        case.work.is_ready = True

    case.run(1000, {500: arrive})
    first_ready = case.systemd.said.index("READY=1")
    before = case.systemd.said[:first_ready]
    after = case.systemd.said[first_ready:]
    assert before.count("EXTEND_TIMEOUT_USEC=90000000") >= 16
    assert not [line for line in after if line.startswith("EXTEND_TIMEOUT")]
    assert case.systemd.said.count("READY=1") == 1


def test_the_watchdog_is_fed_at_half_its_time() -> None:
    """Rule 6: pings never come later than half of WatchdogSec while the loop turns."""
    case = _Case(watchdog_s=20.0)
    case.run(1000)
    assert case.systemd.said.count("WATCHDOG=1") >= 100
    assert case.events is not None
    assert max(case.events.waits) <= 10.0


def test_a_loop_that_hangs_does_not_feed_the_watchdog() -> None:
    """Rule 6: while a cycle hangs no ping is sent."""
    case = _Case(watchdog_s=20.0)
    pings: list[int] = []

    def slow(now: datetime, problems: Sequence[str]) -> str:  # noqa: ARG001 - the interface has it
        before = case.systemd.said.count("WATCHDOG=1")
        case.clock.advance(500)
        pings.append(case.systemd.said.count("WATCHDOG=1") - before)
        return f"late {now}"

    case.work.cycle = slow  # type: ignore[method-assign]
    case.run(1000)
    assert pings[0] == 0


def test_updates_come_jittered_and_again_sooner_after_a_fault() -> None:
    """Rule 4: once an interval; after a fault within five minutes or so."""
    case = _Case()
    case.run(4 * 3600 + 60)
    assert case.work.fetches == 5
    failing = _Case()
    failing.work.fetch_fault = TryLater("depot: no answer")
    failing.run(3660)
    assert failing.work.fetches == 13
    assert any("update: depot: no answer" in line for line in failing.systemd.said)


def test_a_reload_changes_the_pace() -> None:
    """Rules 4 and 7: from then on updates come as often as the configuration now says."""
    case = _Case()

    def change() -> None:
        case.work.schedule = Schedule(600.0)

    case.run(3660, {30: change, 40: Signal.RELOAD})
    assert case.work.fetches == 8


def test_nothing_new_is_no_fault() -> None:
    """Rule 4: an unchanged depot is the usual case."""
    case = _Case()
    case.work.fetch_fault = NothingNew("release 3 is live already")
    case.run(3 * 3600 + 60)
    assert case.work.fetches == 4
    assert not any("update:" in line for line in case.systemd.said)


def test_news_make_another_cycle() -> None:
    """Rule 3: fresh observations or a new release are used at once."""
    case = _Case()
    case.work.news = True
    case.run(1800)
    assert _hours(case) == ["01 12:20", "01 12:20"]


def test_only_one_update_at_a_time() -> None:
    """Rule 4: while one runs no second is started."""
    case = _Case()
    started: list[int] = []
    case.run(20_000, start_thread=lambda _target: started.append(1))
    assert started == [1]


@pytest.mark.parametrize("wish", [Signal.FETCH, Signal.RELOAD])
@pytest.mark.parametrize("fault", [None, TryLater("depot: no answer")])
def test_an_update_asked_for_during_one_comes_after_it(
    wish: Signal, fault: Exception | None
) -> None:
    """Rule 4: the one that runs may have looked before there was anything; once, not for each."""
    case = _Case()
    started: list[float] = []
    end = Fetched(news=False, fault=fault)
    begin = case.clock.monotonic()
    case.run(
        200,
        {10: wish, 20: wish, 30: end, 40: end},
        start_thread=lambda _target: started.append(case.clock.monotonic() - begin),
    )
    assert started == [0, 30]


@pytest.mark.parametrize("fault", [BadData("a row"), KeyError("bug")])
def test_a_fault_in_one_job_leaves_the_others(fault: Exception) -> None:
    """Rule 5: a failing cycle is reported, the other jobs continue; a recovery clears it."""
    case = _Case()
    case.work.fault = fault

    def repair() -> None:
        case.work.fault = None

    case.run(3 * 3600 + 60, {5000: repair})
    assert len(case.work.cycles) == 4
    assert len(case.delivery.times) > 100
    assert case.work.fetches == 4
    texts = [line for line in case.systemd.said if line.startswith("STATUS=")]
    assert any("cycle: " in line for line in texts)
    assert "cycle: " not in texts[-2]


def test_a_failing_outbox_does_not_make_the_loop_spin() -> None:
    """Rule 5: a disk fault in the queue is said and tried again later, not at once for ever."""
    case = _Case()
    case.delivery.fault = StorageError("disk full")
    case.work.in_memory = True
    case.run(3600)
    assert len(case.delivery.times) < 400
    assert any("outbox: disk full" in line for line in case.systemd.said)


def test_a_start_in_memory_is_a_problem_until_the_disk_takes_writes() -> None:
    """Rule 9: told in `/health` from the first cycle on."""
    case = _Case()
    case.work.in_memory = True
    case.run(60)
    assert case.work.problems == [
        "storage: everything is kept in memory: the disk refused at the start"
    ]


def test_a_slow_disk_is_said_and_nothing_is_moved_to_memory() -> None:
    """It takes every write, so everything stays there; the problem ends with its cause."""
    case = _Case()
    case.work.slow = "the disk is slow"

    def repair() -> None:
        case.work.slow = ""

    case.run(3600, {1800: repair})
    assert not case.work.in_memory
    texts = [line for line in case.systemd.said if line.startswith("STATUS=")]
    assert any("disk: the disk is slow" in line for line in texts)
    assert "disk is slow" not in texts[-2]


def test_messages_reach_the_work_and_events_the_delivery() -> None:
    """Sensors and commands go to the work, the link's own events to the delivery."""
    case = _Case()
    received = Received("s/1", b"21", retain=False, at=START)
    up = Up("5", window=10, largest=None)
    case.run(100, {10: received, 20: up, 30: Acknowledged(1, 0, ""), 40: Down("x")})
    assert case.work.taken == [received]
    assert case.delivery.handled == [up, Acknowledged(1, 0, ""), Down("x")]


def test_reload_takes_over() -> None:
    """Rule 7: RELOADING, the old delivery parts first, the new one carries on, then READY."""
    case = _Case()
    late, sensor = Acknowledged(7, 0, ""), Received("s/1", b"1", retain=False, at=START)

    def disconnect(timeout_s: float) -> None:
        assert timeout_s < 5
        assert case.events is not None
        case.events.put(sensor)
        case.events.put(late)
        case.delivery.ended.append("hang up")

    case.delivery.disconnect = disconnect  # type: ignore[method-assign]
    case.run(100, {50: Signal.RELOAD})
    assert case.delivery.ended == ["hang up", "write down"]
    assert case.delivery.handled == [late], "an event of the old link is not for the new delivery"
    assert case.work.taken == [sensor]
    assert case.work.settled == 1
    assert case.work.fresh is not None
    assert case.work.fresh.times
    assert case.work.fresh.ended == ["hang up", "write down"]
    reloading = case.systemd.said.index("RELOADING=1")
    assert case.systemd.said[reloading + 1].startswith("MONOTONIC_USEC=")
    assert case.systemd.said[reloading + 2] == "READY=1"
    assert len(case.work.cycles) == 2


def test_reload_keeps_a_connection_that_stays_as_it_is() -> None:
    """Rule 7: what the new delivery takes over is not ended."""
    case = _Case()
    case.work.keeps = True
    case.run(100, {50: Signal.RELOAD})
    assert case.delivery.ended == []
    assert case.work.settled == 1
    assert case.work.fresh is not None
    assert case.work.fresh.ended == ["hang up", "write down"]


def test_commands_ask_for_a_cycle_and_an_update() -> None:
    """Rule 3 and 4: on request a cycle is worked and an update fetched at once."""
    case = _Case()
    case.run(100, {30: Signal.CYCLE, 60: Signal.FETCH})
    assert len(case.work.cycles) == 2
    assert case.work.fetches == 2


def test_a_bad_reload_changes_nothing() -> None:
    """Rule 7: the old configuration stays, the fault is said."""
    case = _Case()
    case.work.reload_fault = ConfigError("config.toml:3: mqtt.prot: unknown")
    case.run(100, {50: Signal.RELOAD})
    assert case.work.settled == 0
    assert case.delivery.ended == ["hang up", "write down"]
    assert case.systemd.said.count("READY=1") == 2
    assert any("reload: config.toml:3" in line for line in case.systemd.said)


def test_a_stop_hangs_up_and_writes_down_late_acknowledgements() -> None:
    """Rule 9: STOPPING is said, `offline` goes out, then the PUBACKs that still came are kept."""
    case = _Case()
    late = Acknowledged(7, 0, "")

    def disconnect(timeout_s: float) -> None:
        assert timeout_s < 5
        case.delivery.ended.append("hang up")
        assert case.events is not None
        case.events.put(late)

    case.delivery.disconnect = disconnect  # type: ignore[method-assign]
    case.run(10)
    assert case.systemd.said[-2:] == ["STOPPING=1", "STATUS=stopping"]
    assert case.delivery.ended == ["hang up", "write down"]
    assert case.delivery.handled == [late]


def test_a_flood_of_messages_is_bounded_and_counted() -> None:
    """The events drops messages of others beyond its limit, and never anything else."""
    events = EventQueue(most_received=3)
    for _ in range(5):
        events.put(Received("s/1", b"1", retain=False, at=START))
    events.put(Acknowledged(1, 0, ""))
    events.put(Signal.STOP)
    events.put(Fetched(news=False))
    items = [events.get(0.0) for _ in range(7)]
    assert events.dropped == 2
    assert items[3:] == [Acknowledged(1, 0, ""), Signal.STOP, Fetched(news=False), None]


def test_systemd_hears_what_is_said(tmp_path: Path) -> None:
    """Lines arrive as one datagram; a socket that is gone is no fault."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        Notifier({"NOTIFY_SOCKET": address}).send("READY=1", "STATUS=좋음")
        assert ear.recv(1000).decode() == "READY=1\nSTATUS=좋음"
    Notifier({"NOTIFY_SOCKET": address}).send("READY=1")
    Notifier({}).send("READY=1")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({}, None),
    ],
)
def test_watchdog_time_is_systemds(env: dict[str, str], expected: float | None) -> None:
    """Only a watchdog that is meant for this process counts."""
    assert Notifier(env, pid=7).watchdog_s == expected


def test_a_disk_that_refuses_is_left_and_found_again() -> None:
    """Rule 9: the hour is worked in memory at once, health tells of it, then the way back."""
    case = _Case()
    case.work.fault = StorageError("disk full")

    def repair() -> None:
        case.work.disk_well = True

    case.run(4000, {600: repair})
    assert case.delivery.ended == ["hang up", "write down"]
    assert _hours(case) == ["01 12:20", "01 12:20", "01 12:30", "01 13:01"]
    texts = [line for line in case.systemd.said if line.startswith("STATUS=")]
    assert any("storage: everything is kept in memory: disk full" in line for line in texts)
    assert "storage" not in texts[-2]
    assert not case.work.in_memory
    assert case.work.settled == 2
    assert case.work.problems == [
        "storage: until 2026-07-01 12:30 UTC everything is kept in memory: disk full"
    ]


def test_health_tells_of_faults() -> None:
    """Rules 5 and 9: the next cycle is told what is wrong elsewhere, and not its own last fault."""
    case = _Case()
    case.work.fault = StorageError("disk full")
    case.work.fetch_fault = TryLater("depot: no answer")
    case.run(4000)
    assert case.work.problems == [
        "update: depot: no answer", "storage: everything is kept in memory: disk full",
    ]  # fmt: skip


def test_health_tells_within_a_minute_of_a_cycle_that_fails() -> None:
    """Rule 5: `/health` comes with the next watch, and not with the cycle that cannot send it."""
    case = _Case()
    case.work.fault = BadData("no such hour")
    case.run(90)
    assert case.work.watch_problems == ["cycle: no such hour"]


def test_room_on_the_disk_is_enough() -> None:
    """Rule 9: where the reserve could be given back the hour is worked again on the disk."""
    case = _Case()
    case.work.fault, case.work.room = StorageError("disk full"), True
    case.run(600)
    assert len(case.work.cycles) == 2
    assert case.work.settled == 0
    assert case.systemd.said[-3].startswith("STATUS=cycle 2")


def test_without_any_way_out_the_loop_does_not_spin() -> None:
    """Rule 9: neither disk nor memory: it is said, and the hours go on."""
    case = _Case()
    case.work.fault, case.work.walled_in = StorageError("disk full"), True
    case.run(3 * 3600 + 60)
    assert len(case.work.cycles) == 4
    assert any("storage: no memory left" in line for line in case.systemd.said)
    assert case.events is not None
    assert len(case.events.waits) < 1000
