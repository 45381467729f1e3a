"""The cycle learns from its own forecasts, and only from what has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent.alerts import default_rules
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.forecast import Forecast
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME, TIME_DTYPE
from edge_agent.replay import replay
from edge_agent.settings import Builtin, Config, Learning, Rule
from tests.fakes.forecasts import NOW
from tests.fakes.loaded import FakeRelease
from tests.fakes.tuned import correction

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np

    from edge_agent.core.cycle import Decision

HOUR = timedelta(hours=1)
OWN, STATION = "sensor:outdoor", "station:108"
DAYS = 9
START, END = NOW + 200 * HOUR, NOW + (200 + 24 * DAYS) * HOUR
COLD = Rule(name="cold", quantity=AIR_TEMPERATURE, operator="<=", threshold=23.0, within_h=12)


def recorded(warm: float = 0.0) -> pl.DataFrame:
    """Plain weather around 23 C (more by `warm`) and 60 %, beyond the last hour."""
    steps = range(200 + 24 * DAYS + 60)
    return pl.DataFrame(
        {
            TIME: [NOW + i * HOUR for i in steps],
            AIR_TEMPERATURE: [22.0 + warm + (i % 24) / 12 for i in steps],
            RELATIVE_HUMIDITY: [60.0 + (i % 5) for i in steps],
        },
        schema_overrides={TIME: TIME_DTYPE},
    )


def guidance(value: float, last: datetime) -> pl.DataFrame:
    """An issue of KMA each three hours up to `last`, two days ahead, always of one temperature."""
    issues = [START + i * 3 * HOUR for i in range(int((last - START) / (3 * HOUR)) + 1)]
    names = (ISSUED, VALID, AIR_TEMPERATURE, RELATIVE_HUMIDITY)
    rows = [
        dict(zip(names, (at, at + lead * HOUR, value, 62.0), strict=True))
        for at in issues
        for lead in range(1, 49)
    ]
    return pl.DataFrame(rows, schema=GUIDANCE)


def play(
    frames: dict[str, pl.DataFrame],
    *,
    settings: Learning | None = None,
    kma: pl.DataFrame | None = None,
    end: datetime = END,
    release: FakeRelease | None = None,
) -> list[Decision]:
    """Every hour, by models that always say 20 C and 60 %."""
    config = Config(
        rules=(COLD,), builtin=Builtin(off=default_rules.NAMES), learning=settings or Learning()
    )
    models = release or FakeRelease()
    return list(replay.run(config, models, frames, START, end, guidance=kma))


def temperature(decision: Decision) -> np.ndarray:
    """What was said."""
    assert isinstance(decision.forecast, Forecast)
    return decision.forecast.targets[AIR_TEMPERATURE].values


def test_bias_is_learned_within_days() -> None:
    """Models that are three degrees too cold are believed at first, and corrected in a week."""
    decisions = play({STATION: recorded()})
    assert temperature(decisions[0]).tolist() == [20.0] * 48
    assert temperature(decisions[48]).tolist() == [20.0] * 48
    last = decisions[-1]
    assert temperature(last)[:12] == pytest.approx([22.9] * 12, abs=0.8)
    assert isinstance(last.forecast, Forecast)
    assert list(last.forecast.adjusted) == ["bias"]
    assert last.past_forecast is not None
    assert last.past_forecast.values[0, :, 0].tolist() == [20.0] * 48, (
        "the record keeps the models'"
    )


def test_what_the_correction_takes_off_is_not_taken_off_again() -> None:
    """A farm whose models get its own correction after days of learning starts to learn anew."""
    release, middle = FakeRelease(), START + (DAYS - 1) * 24 * HOUR
    config = Config(rules=(COLD,), builtin=Builtin(off=default_rules.NAMES))
    said = []
    for decision in replay.run(config, release, {OWN: recorded()}, START, END):
        said.append(decision)
        if decision.at > middle:
            release.tuning = {AIR_TEMPERATURE: correction("", offset=3.0)}
    turned = next(i for i, one in enumerate(said) if "tuning" in _adjusted(one))
    assert _adjusted(said[turned - 1]) == ["bias"]
    assert _adjusted(said[turned]) == ["tuning"]
    assert temperature(said[turned]).tolist() == [23.0] * 48
    assert _adjusted(said[-1]) == ["tuning"], "a day of its own record is not enough to learn from"


def test_the_bias_of_corrected_models_is_learned_too() -> None:
    """What a correction leaves over is seen within days; both are named."""
    release = FakeRelease(tuning={AIR_TEMPERATURE: correction("", offset=-2.0)})
    last = play({OWN: recorded()}, release=release)[-1]
    assert _adjusted(last) == ["tuning", "bias"]
    assert temperature(last)[:12] == pytest.approx([22.9] * 12, abs=0.8)


def _adjusted(decision: Decision) -> list[str]:
    assert isinstance(decision.forecast, Forecast)
    return list(decision.forecast.adjusted)


def test_nothing_of_the_future_teaches() -> None:
    """Weather and guidance after an hour change nothing of what was said at it or before."""
    end = END - 30 * HOUR
    frame = recorded()
    other = frame.with_columns(
        pl.when(pl.col(TIME) > end)
        .then(35.0)
        .otherwise(pl.col(AIR_TEMPERATURE))
        .alias(AIR_TEMPERATURE)
    )
    known, more = guidance(24.0, end), guidance(24.0, END)
    plays = [
        [d.messages for d in play({STATION: f}, kma=g, end=end)]
        for f, g in ((frame, known), (other, more))
    ]
    assert plays[0] == plays[1]


def test_own_sensor_is_the_truth_of_a_farm() -> None:
    """Forecasts on the station's weather are scored against the farm's, where it is measured."""
    own = recorded(4.0).filter(pl.col(TIME).dt.hour() < 12)
    decisions = play({STATION: recorded(), OWN: own})
    assert decisions[-1].origin_source == STATION, "half of the hours are not steady"
    taught = [
        made.scored_hours.tallies
        for made in decisions
        if made.scored_hours and made.scored_hours.tallies
    ]
    block, tally = max(taught[-1].items())
    assert block[1] == STATION
    count, total = tally[0, :, 0].sum(), tally[0, :, 1].sum()
    assert total / count == pytest.approx(6.9, abs=1.2)


def test_guidance_takes_part_from_the_first_hour() -> None:
    """By prior weights, without waiting for a record; named, with its age, as an input."""
    kma = guidance(23.0, END)
    decisions = play({STATION: recorded()}, settings=Learning(bias=False), kma=kma)
    # The first issue can be read an hour after its base time.
    early = decisions[4]
    assert isinstance(early.forecast, Forecast)
    assert early.forecast.source == "model_relayed_station"
    assert temperature(early)[5:44] == pytest.approx([23.0] * 39, abs=1.5), "the weather, by KMA"
    assert list(early.forecast.adjusted) == ["guidance"]
    assert [each.name for each in early.inputs] == [STATION, "guidance:village"]
    assert early.inputs[1].at == START + 3 * HOUR
    off = play({STATION: recorded()}, settings=Learning(bias=False, guidance=False), kma=kma)
    assert temperature(off[-1]).tolist() == [20.0] * 48
    assert off[-1].guidance is None


def test_what_was_learned_of_guidance_survives_a_change_of_source() -> None:
    """The record's name has nothing of the observations, and own errors stay known (V6, M2)."""
    kma = guidance(19.0, END)
    own = recorded().filter(pl.col(TIME) < END - 48 * HOUR)
    settings = Learning(bias=False)
    decisions = play({STATION: recorded(), OWN: own}, settings=settings, kma=kma)
    before, after = decisions[24 * (DAYS - 2) - 2], decisions[-1]
    assert (before.origin_source, after.origin_source) == (OWN, STATION)
    records = {each.past_forecast.source for each in (before, after) if each.past_forecast}
    assert records == {"guidance"}
    # KMA is four degrees too cold here: that is known though the sensor is dead for two days.
    assert temperature(after)[24:40] == pytest.approx([22.9] * 16, abs=0.8)


def test_chances_are_scored_when_their_window_has_passed() -> None:
    """Cold within twelve hours was sure by the models and came: a Brier score near nought."""
    scored = [d.scored_hours.rule_scores for d in play({STATION: recorded()}) if d.scored_hours]
    found = [score for scores in scored for score in scores.items()]
    assert len(found) == 24 * DAYS - 12 - 6 + 1, "each decision once, six hours after its window"
    assert all(what.startswith(AIR_TEMPERATURE) and came for (_, what), (_, came) in found)
    assert found[0][1][0] < 0.01


def test_humidity_is_learned_as_well() -> None:
    """Both targets have a record of their own."""
    last = play({STATION: recorded()})[-1]
    assert isinstance(last.forecast, Forecast)
    assert set(last.forecast.targets) == set(TARGETS)
    assert last.forecast.targets[RELATIVE_HUMIDITY].values[5] == pytest.approx(62.0, abs=0.7)
