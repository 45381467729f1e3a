"""Soil water over cycles, restarts, clocks and reports: `core.soil_water` and its store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import polars as pl
import pytest

from edge_agent.agronomy.soil_water import begin
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import TIME, TIME_DTYPE
from edge_agent.core import cycle, soil_water
from edge_agent.core.command_handlers import command_handler
from edge_agent.core.runtime import DATABASE
from edge_agent.mqtt.commands import json_schema
from tests.fakes.forecasts import NOW
from tests.fakes.watered_farm import HOUR, WateredFarm, closes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_agent.core.events import Item

OPEN = """
[irrigation]
crop = "tomato"
area_m2 = 500.0
efficiency = 0.8
"""
COVERED = f"{OPEN}covered = true\n"
PROBE = """
[[sensors]]
topic = "soil"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
max_age_s = 7200
"""


def summer() -> pl.DataFrame:
    """Warm days without rain, before and after `NOW`."""
    times = [NOW + step * HOUR for step in range(-24 * 40, 24 * 20)]
    warmth = np.array([np.cos((at.hour - 6) / 24 * 2 * np.pi) for at in times])
    return pl.DataFrame(
        {
            TIME: times,
            "air_temperature_c": np.round(24 + 5 * warmth, 1),
            "relative_humidity_pct": np.round(60 - 15 * warmth),
            "rain_mm": 0.0,
        },
        schema_overrides={TIME: TIME_DTYPE},
    )


@pytest.fixture
def new_farm(tmp_path: Path) -> Iterator[Callable[..., WateredFarm]]:
    """Makes a farm with twenty days of history; takes its configuration."""
    farms: list[WateredFarm] = []

    def new(text: str = COVERED, hours: pl.DataFrame | None = None) -> WateredFarm:
        farms.append(WateredFarm(tmp_path, summer() if hours is None else hours, NOW, text))
        farms[0].know(20)
        return farms[0]

    yield new
    farms[0].close()


def balance(farm: WateredFarm) -> dict[str, Any]:
    """What the hour's advice tells."""
    sums: dict[str, Any] = farm.advice()["balance"]
    assert closes(sums) < 0.05
    return sums


def give(farm: WateredFarm, **request: object) -> str:
    """A report as it comes over MQTT."""
    reports: list[Item] = []
    handler = command_handler(farm.runtime, reports.append, lambda: None)
    answer = handler.ask("irrigated", json.dumps(request).encode())
    assert answer is not None
    ok, text = answer
    assert ok == (len(reports) == 1), "a report that counts is followed by a cycle"
    if not ok:
        raise BadData(text)
    return text


def test_first_start_is_told_as_assumed(new_farm: Callable[..., WateredFarm]) -> None:
    """Outdoors two weeks of hours count once; an hour later the same start (S4)."""
    farm = new_farm(OPEN)
    first = balance(farm)
    assert first["start_assumed"]
    assert first["since"] == "2026-06-17T05:00:00Z"
    assert 30.0 < first["depletion_mm"] < 80.0
    farm.clock.advance(48 * 3600)
    farm.know(3)
    later = balance(farm)
    assert later["since"] == first["since"]
    assert 4.0 < later["depletion_mm"] - first["depletion_mm"] < 12.0


def test_under_a_roof_it_starts_now(new_farm: Callable[..., WateredFarm]) -> None:
    """Nobody knows what was given before; and no hour later takes anything off."""
    farm = new_farm()
    assert balance(farm)["depletion_mm"] == 0.0
    amounts = [told["depletion_mm"] for told in farm.hours(60)]
    assert amounts == sorted(amounts)
    assert amounts[-1] > 5.0


def test_a_restart_and_a_repeated_hour_book_nothing_twice(
    new_farm: Callable[..., WateredFarm],
) -> None:
    """The hour worked three times, by two processes, is one hour (S2)."""
    farm = new_farm()
    list(farm.hours(24))
    first = balance(farm)
    farm.restart()
    assert balance(farm) == balance(farm) == first


def test_a_cycle_that_was_not_committed_booked_nothing(
    new_farm: Callable[..., WateredFarm], monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, reports and messages are one transaction; the next cycle does it all."""
    farm = new_farm()
    balance(farm)
    farm.clock.advance(3600)
    farm.know(1)
    give(farm, mm=3.0, at=(NOW + HOUR / 2).isoformat())
    before = farm.runtime.soil_water.state(), farm.runtime.soil_water.pending()

    def full(_: object) -> bool:
        raise StorageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(farm.runtime.outbox, "put", full)
        with pytest.raises(StorageError):
            farm.runtime.run_cycle()
    assert (farm.runtime.soil_water.state(), farm.runtime.soil_water.pending()) == before
    farm.restart()
    assert balance(farm)["given_mm"] == 3.0
    assert farm.runtime.soil_water.pending() == []


def test_a_dry_run_and_a_past_hour_write_nothing(new_farm: Callable[..., WateredFarm]) -> None:
    """A decision alone reads; one about a past hour reckons from a first start (rule 3)."""
    farm = new_farm(OPEN)
    list(farm.hours(24))
    state = farm.runtime.soil_water.state()
    farm.clock.advance(3 * 3600)
    farm.know(1)
    farm.runtime.decide()
    decision = farm.runtime.decide(NOW - 48 * HOUR)
    assert decision.soil_water is not None
    assert decision.soil_water.booked is None
    assert decision.soil_water.water.through == NOW - 48 * HOUR
    farm.runtime.run_cycle(NOW - 48 * HOUR)
    assert farm.runtime.soil_water.state() == state


def test_a_clock_that_may_be_wrong_books_nothing(new_farm: Callable[..., WateredFarm]) -> None:
    """Rule 1: what is missing is told, and booked once the clock is right."""
    farm = new_farm()
    list(farm.hours(24))
    state = farm.runtime.soil_water.state()
    farm.know(1)
    context, now = farm.runtime.context(), farm.clock.now()
    untrusted = cycle.decide(context, now, "untrusted")
    cycle.commit(context, untrusted)
    assert farm.runtime.soil_water.state() == state
    assert untrusted.soil_water is not None
    assert untrusted.soil_water.water == soil_water.reckon(context, now).booked


def test_a_clock_set_back_books_no_hour_twice(new_farm: Callable[..., WateredFarm]) -> None:
    """Rule 2: the state stays until its time has come again; forward again: as if never back."""
    farm = new_farm()
    list(farm.hours(72))
    before = balance(farm)
    farm.clock.jump(-60 * 3600)
    assert list(farm.hours(30))[-1] == before
    farm.clock.jump(30 * 3600)
    assert balance(farm) == before
    farm.clock.advance(3600)
    assert balance(farm)["depletion_mm"] >= before["depletion_mm"]


def test_a_state_from_the_far_future_goes_on(new_farm: Callable[..., WateredFarm]) -> None:
    """Rule 2: booked on a clock years ahead: its depletion holds, from now on."""
    farm = new_farm()
    future = begin(NOW + 2000 * 24 * HOUR, 21.0)
    assert farm.runtime.soil_water.book(None, future, ())
    told = list(farm.hours(24))
    assert told[0]["depletion_mm"] == 21.0
    assert 3.0 < told[-1]["depletion_mm"] - 21.0 < 6.0


def test_late_hours_change_nothing_in_the_end(new_farm: Callable[..., WateredFarm]) -> None:
    """A day without the station counts as filled; when its hours come, as what they were."""
    hours = summer().with_columns(
        rain_mm=pl.when(pl.col(TIME) == NOW + 5 * HOUR).then(9.0).otherwise(0.0)
    )
    farm = new_farm(OPEN, hours)
    balance(farm)
    farm.clock.advance(10 * 3600)
    context = farm.runtime.context()
    waiting = soil_water.reckon(context, farm.clock.now())
    assert waiting.booked is not None
    assert (waiting.booked.through, waiting.water.filled_hours) == (NOW, 10)
    assert waiting.water.rain_mm == 0.0
    farm.know(1)
    known = soil_water.reckon(context, farm.clock.now()).water
    assert (known.filled_hours, known.rain_mm) == (0, 9.0)


def test_another_crop_keeps_what_is_missing(new_farm: Callable[..., WateredFarm]) -> None:
    """In mm, bounded by what the new root zone holds; a roof changes nothing (S5)."""
    farm = new_farm(OPEN)
    first = balance(farm)
    farm.restart(COVERED)
    assert balance(farm)["depletion_mm"] == first["depletion_mm"]
    farm.restart(COVERED.replace('"tomato"', '"lettuce"\nroot_depth_m = 0.2\nsoil = "sand"'))
    now = balance(farm)
    assert now["depletion_mm"] == 15.0
    assert now["corrected_mm"] == pytest.approx(15.0 - first["depletion_mm"], abs=0.02)


def test_a_probe_corrects_and_is_told(new_farm: Callable[..., WateredFarm]) -> None:
    """At 20 % of loam 35 mm are missing; a probe that is gone leaves it there."""
    farm = new_farm(COVERED + PROBE)
    balance(farm)
    farm.runtime.intake.take("soil", b"20.0", farm.clock.now())
    measured = farm.advice()
    assert measured["measured"]
    assert measured["balance"]["corrected_mm"] == measured["depletion_mm"] == 35.0
    farm.clock.advance(4 * 3600)
    farm.know(1)
    later = farm.advice()
    assert not later["measured"]
    assert later["balance"]["demand_mm"] > 0
    assert later["balance"]["corrected_mm"] == 35.0


def test_a_probe_is_a_start(new_farm: Callable[..., WateredFarm]) -> None:
    """A state that begins with a plausible reading assumes nothing (S4)."""
    farm = new_farm(OPEN + PROBE)
    farm.runtime.intake.take("soil", b"20.0", farm.clock.now())
    sums = balance(farm)
    assert not sums["start_assumed"]
    assert (sums["start_mm"], sums["corrected_mm"]) == (35.0, 0.0)


@pytest.mark.parametrize(
    ("request_", "mm"),
    [({"mm": 10}, 10.0), ({"mm": 10.0, "zone": "field"}, 10.0), ({"volume_l": 5000}, 10.0)],
)
def test_water_that_is_reported_is_taken_off(
    new_farm: Callable[..., WateredFarm], request_: dict[str, object], mm: float
) -> None:
    """What reaches the roots; the rest is lost on the way (S6)."""
    farm = new_farm(OPEN)
    before = balance(farm)
    text = give(farm, **request_)
    assert text == "noted: 10 mm at 2026-07-01 05:02 UTC"
    after = balance(farm)
    assert after["depletion_mm"] == pytest.approx(before["depletion_mm"] - 0.8 * mm, abs=0.02)
    assert after["given_mm"] == mm
    assert after["drained_mm"] - before["drained_mm"] == pytest.approx(0.2 * mm, abs=0.02)
    assert (after["last_given_at"], after["last_given_mm"]) == ("2026-07-01T05:02:00Z", mm)
    farm.clock.advance(3600)
    farm.know(1)
    assert balance(farm)["given_mm"] == mm


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({}, "give mm or volume_l, one of them"),
        ({"mm": 5, "volume_l": 100}, "give mm or volume_l, one of them"),
        ({"mm": 0}, "0 mm: give more than 0 and at most 200 mm"),
        ({"mm": -4.5}, "-4.5 mm: give more than 0 and at most 200 mm"),
        ({"mm": 200.5}, "200.5 mm: give more than 0 and at most 200 mm"),
        ({"volume_l": -1}, "-0.002 mm: give more than 0 and at most 200 mm"),
        ({"volume_l": 1e9}, "2e+06 mm: give more than 0 and at most 200 mm"),
        ({"mm": 5, "zone": "z2"}, "zone 'z2': there is only 'field'"),
        ({"mm": 5, "at": "2026-07-01T05:10:00Z"}, "at 2026-07-01 05:10 UTC: is in the future"),
        (
            {"mm": 5, "at": "2026-06-17T04:00:00Z"},
            "at 2026-06-17 04:00 UTC: is more than 14 days ago",
        ),
    ],
)
def test_a_report_that_cannot_be_is_refused(
    new_farm: Callable[..., WateredFarm], request_: dict[str, object], why: str
) -> None:
    """Rule 4: with the same answer over MQTT and the local API; nothing is noted."""
    farm = new_farm(OPEN)
    with pytest.raises(BadData) as fault:
        give(farm, **request_)
    assert str(fault.value) == why
    assert farm.runtime.soil_water.pending() == []


@pytest.mark.parametrize(
    "payload",
    [b'{"mm": NaN}', b'{"mm": "5"}', b'{"mm": true}', b'{"mm": 1e999}', b'{"litres": 5}',
     b'{"mm": 5, "at": "2026-07-01T05:00:00"}', b'{"mm": 5, "at": 1782882000}'],
)  # fmt: skip
def test_what_is_no_report_is_refused(new_farm: Callable[..., WateredFarm], payload: bytes) -> None:
    """No number, no zone of time, an unknown key."""
    farm = new_farm(OPEN)
    handler = command_handler(farm.runtime, lambda _: None, lambda: None)
    with pytest.raises(BadData):
        handler.ask("irrigated", payload)


def test_reports_follow_the_schema() -> None:
    """docs/mqtt/command.schema.json takes them."""
    schema = json.loads(json_schema("command"))
    for request in ({"mm": 5}, {"volume_l": 10.5, "at": "2026-07-01T05:00:00Z", "zone": "field"}):
        jsonschema.validate(request, schema)


def test_a_report_before_the_start_is_refused(new_farm: Callable[..., WateredFarm]) -> None:
    """Its water is not in the sums, whose start says what was missing then."""
    farm = new_farm()
    balance(farm)
    with pytest.raises(BadData, match="soil water is counted from 2026-07-01 05:00 UTC on"):
        give(farm, mm=5, at=(NOW - HOUR).isoformat())


def test_a_report_with_a_known_id_counts_once(new_farm: Callable[..., WateredFarm]) -> None:
    """Store's rule 2: also after a restart, as a broker may deliver it again; without id twice."""
    farm = new_farm(OPEN)
    give(farm, mm=5, id="a")
    farm.restart()
    assert give(farm, mm=5, id="a") == "report a is known: it counts once"
    assert balance(farm)["given_mm"] == 5.0
    assert give(farm, mm=5, id="a") == "report a is known: it counts once"
    give(farm, mm=5)
    give(farm, mm=5)
    assert balance(farm)["given_mm"] == 15.0


def test_a_report_on_a_clock_ahead_counts_when_it_is_right(
    new_farm: Callable[..., WateredFarm],
) -> None:
    """It has the time of the wrong clock; the water was given all the same."""
    farm = new_farm(OPEN)
    before = balance(farm)
    farm.clock.jump(900 * 24 * 3600)
    give(farm, mm=5)
    farm.clock.jump(-900 * 24 * 3600)
    now = balance(farm)
    assert now["depletion_mm"] == pytest.approx(before["depletion_mm"] - 4.0, abs=0.02)
    assert now["last_given_at"] == "2026-07-01T05:00:00Z"
    assert farm.runtime.soil_water.pending() == []


def test_without_a_crop_there_is_nothing_to_count(new_farm: Callable[..., WateredFarm]) -> None:
    """And no table is filled."""
    farm = new_farm("")
    with pytest.raises(BadData, match="there is no soil water to count it in"):
        give(farm, mm=5)
    decision, _ = farm.runtime.run_cycle()
    assert decision.soil_water is None
    assert farm.runtime.soil_water.state() is None


def test_two_processes_book_an_hour_once(
    new_farm: Callable[..., WateredFarm], tmp_path: Path
) -> None:
    """Store's rule 3: who decided on an older state books nothing, and loses no report."""
    farm = new_farm()
    balance(farm)
    farm.clock.advance(2 * 3600)
    farm.know(1)
    slow = farm.runtime.decide()
    give(farm, mm=4, at=(NOW + HOUR / 2).isoformat())
    quick = balance(farm)
    cycle.commit(farm.runtime.context(), slow)
    assert balance(farm) == quick
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        assert db.execute("SELECT counted FROM water_given").fetchall() == [(1,)]


def test_old_reports_are_dropped(new_farm: Callable[..., WateredFarm]) -> None:
    """Store's rule 4: the newest thousand stay, and all that are not counted."""
    farm = new_farm()
    store = farm.runtime.soil_water
    state = begin(NOW)
    for number in range(1, 1006):
        store.report(NOW, 1.0, str(number))
    assert store.book(None, state, range(1, 1004))
    assert [gift.number for gift in store.pending()] == [1004, 1005]
    assert store.report(NOW, 1.0, "1"), "dropped, so it is not known"
    assert not store.report(NOW, 1.0, "6")
