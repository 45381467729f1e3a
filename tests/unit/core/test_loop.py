"""The service's rules with fakes all round and a clock that its own waiting turns."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import BadData, ConfigError, NothingNew, TryLater
from edge_agent.core.events import EventQueue, Fetched, Item, Signal
from edge_agent.core.interfaces import Schedule
from edge_agent.mqtt.connection import Acknowledged, Down, Received, Up
from edge_agent.system.clock_trust import Timekeeper
from tests.fakes.service_case import START, ServiceCase, hours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def test_one_cycle_at_the_start_and_one_an_hour() -> None:
    """Rule 3: at the start, then shortly after each full hour, none missed, none twice."""
    case = ServiceCase()
    case.run(24 * 3600)
    assert hours(case)[:3] == ["01 12:20", "01 13:01", "01 14:01"]
    assert len(case.work.cycles) == 25


def test_a_day_of_sleep_is_caught_up_with_one_cycle() -> None:
    """Rule 3: after a suspend of a day one cycle follows, and the hours go on."""
    case = ServiceCase()
    case.run(26 * 3600, {600: lambda: case.clock.advance(24 * 3600)})
    assert hours(case) == ["01 12:20", "02 12:30", "02 13:01", "02 14:01"]


def test_devices_of_a_fleet_work_the_hour_one_after_the_other() -> None:
    """Rule 3: in the middle of ten minutes by this device's draw, each hour; live rules as ever."""
    case = ServiceCase()
    case.work.schedule = Schedule(3600.0, spread_s=600.0)
    case.run(3 * 3600)
    assert hours(case) == ["01 12:20", "01 13:06", "01 14:06", "01 15:06"]
    assert case.work.watched == 3 * 60 - 1


def test_a_new_connection_is_watched_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What expired in the queue is replaced first; the minutes go on from there."""
    case = ServiceCase()
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
    case = ServiceCase()
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
    case = ServiceCase()
    case.run(2.5 * 3600, {600: lambda: case.clock.jump(jump_h * 3600)})
    assert len(case.work.cycles) == 4
    gaps = [b - a for a, b in zip(case.work.cycles[1:], case.work.cycles[2:], strict=False)]
    assert gaps[-1] == timedelta(hours=1)


def test_nothing_expires_after_the_clock_was_set(tmp_path: Path) -> None:
    """Rule 8: a jump suspends expiry for a quarter of an hour; sleep does not."""
    case = ServiceCase()
    case.work.time = Timekeeper(tmp_path, case.clock, lambda: True)
    case.run(1800, {300: lambda: case.clock.jump(3 * 86_400)})
    unknown = [n for n, time in enumerate(case.delivery.times) if time is None]
    assert unknown
    assert case.delivery.times[0] is not None
    assert case.delivery.times[-1] is not None
    assert unknown == list(range(unknown[0], unknown[-1] + 1))
    asleep = ServiceCase()
    asleep.work.time = Timekeeper(tmp_path / "asleep", asleep.clock, lambda: True)
    asleep.run(90_000, {300: lambda: asleep.clock.advance(86_400)})
    assert None not in asleep.delivery.times


def test_ready_waits_for_the_release_and_not_for_the_network() -> None:
    """Rules 1 and 2: patience is asked for until a release is there; MQTT is down throughout."""
    case = ServiceCase()
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
    case = ServiceCase(watchdog_s=20.0)
    case.run(1000)
    assert case.systemd.said.count("WATCHDOG=1") >= 100
    assert case.events is not None
    assert max(case.events.waits) <= 10.0


def test_a_loop_that_hangs_does_not_feed_the_watchdog() -> None:
    """Rule 6: while a cycle hangs no ping is sent."""
    case = ServiceCase(watchdog_s=20.0)
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
    case = ServiceCase()
    case.run(4 * 3600 + 60)
    assert case.work.fetches == 5
    failing = ServiceCase()
    failing.work.fetch_fault = TryLater("depot: no answer")
    failing.run(3660)
    assert failing.work.fetches == 13
    assert any("update: depot: no answer" in line for line in failing.systemd.said)


def test_a_reload_changes_the_pace() -> None:
    """Rules 4 and 7: from then on updates come as often as the configuration now says."""
    case = ServiceCase()

    def change() -> None:
        case.work.schedule = Schedule(600.0)

    case.run(3660, {30: change, 40: Signal.RELOAD})
    assert case.work.fetches == 8


def test_nothing_new_is_no_fault() -> None:
    """Rule 4: an unchanged depot is the usual case."""
    case = ServiceCase()
    case.work.fetch_fault = NothingNew("release 3 is live already")
    case.run(3 * 3600 + 60)
    assert case.work.fetches == 4
    assert not any("update:" in line for line in case.systemd.said)


def test_news_make_another_cycle() -> None:
    """Rule 3: fresh observations or a new release are used at once."""
    case = ServiceCase()
    case.work.news = True
    case.run(1800)
    assert hours(case) == ["01 12:20", "01 12:20"]


def test_only_one_update_at_a_time() -> None:
    """Rule 4: while one runs no second is started."""
    case = ServiceCase()
    started: list[int] = []
    case.run(20_000, start_thread=lambda _target: started.append(1))
    assert started == [1]


@pytest.mark.parametrize("wish", [Signal.FETCH, Signal.RELOAD])
@pytest.mark.parametrize("fault", [None, TryLater("depot: no answer")])
def test_an_update_asked_for_during_one_comes_after_it(
    wish: Signal, fault: Exception | None
) -> None:
    """Rule 4: the one that runs may have looked before there was anything; once, not for each."""
    case = ServiceCase()
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
    case = ServiceCase()
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


def test_messages_reach_the_work_and_events_the_delivery() -> None:
    """Sensors and commands go to the work, the link's own events to the delivery."""
    case = ServiceCase()
    received = Received("s/1", b"21", retain=False, at=START)
    up = Up("5", window=10, largest=None)
    case.run(100, {10: received, 20: up, 30: Acknowledged(1, 0, ""), 40: Down("x")})
    assert case.work.taken == [received]
    assert case.delivery.handled == [up, Acknowledged(1, 0, ""), Down("x")]


def test_reload_takes_over() -> None:
    """Rule 7: RELOADING, the old delivery parts first, the new one carries on, then READY."""
    case = ServiceCase()
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
    case = ServiceCase()
    case.work.keeps = True
    case.run(100, {50: Signal.RELOAD})
    assert case.delivery.ended == []
    assert case.work.settled == 1
    assert case.work.fresh is not None
    assert case.work.fresh.ended == ["hang up", "write down"]


def test_commands_ask_for_a_cycle_and_an_update() -> None:
    """Rule 3 and 4: on request a cycle is worked and an update fetched at once."""
    case = ServiceCase()
    case.run(100, {30: Signal.CYCLE, 60: Signal.FETCH})
    assert len(case.work.cycles) == 2
    assert case.work.fetches == 2


def test_a_bad_reload_changes_nothing() -> None:
    """Rule 7: the old configuration stays, the fault is said."""
    case = ServiceCase()
    case.work.reload_fault = ConfigError("config.toml:3: mqtt.prot: unknown")
    case.run(100, {50: Signal.RELOAD})
    assert case.work.settled == 0
    assert case.delivery.ended == ["hang up", "write down"]
    assert case.systemd.said.count("READY=1") == 2
    assert any("reload: config.toml:3" in line for line in case.systemd.said)


def test_a_stop_hangs_up_and_writes_down_late_acknowledgements() -> None:
    """Rule 9: STOPPING is said, `offline` goes out, then the PUBACKs that still came are kept."""
    case = ServiceCase()
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


def test_health_tells_within_a_minute_of_a_cycle_that_fails() -> None:
    """Rule 5: `/health` comes with the next watch, and not with the cycle that cannot send it."""
    case = ServiceCase()
    case.work.fault = BadData("no such hour")
    case.run(90)
    assert case.work.watch_problems == ["cycle: no such hour"]
