"""Scores of what was foreseen (rules V1 to V5), and that they are kept."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS
from edge_agent.forecasting import verification
from edge_agent.forecasting.verification import (
    BLOCK_H,
    SHAPE,
    SUMS,
    TALLY_SHAPE,
    PastForecast,
    Truth,
    block_of,
)
from edge_agent.forecasting.verification_store import TALLIES_DAYS, VerificationStore
from edge_agent.settings import Rule
from edge_agent.system.database import connect
from tests.fakes import forecasts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.contract.forecast import Forecast

HOUR = timedelta(hours=1)
START = datetime(2026, 7, 1, tzinfo=UTC)
NOTHING = dict.fromkeys(TARGETS, np.full(48, np.nan))
HEAT = Rule(name="heat", quantity=AIR_TEMPERATURE, operator=">=", threshold=30.0, within_h=3)


def truth(*temperatures: float, first: datetime = START) -> Truth:
    """Hours from `first` on; humidity is 50 %."""
    return Truth(first, np.array([[warm, 50.0] for warm in temperatures]))


def kept(origin: datetime, value: float, *, model: float | None = None) -> PastForecast:
    """A forecast of one temperature and 60 %, with one degree more and less as its interval."""
    values = np.full(SHAPE, np.nan, np.float32)
    values[0] = [value if model is None else model, np.nan, value, value - 1, value + 1]
    values[1] = [60.0, np.nan, 60.0, 50.0, 70.0]
    return PastForecast(origin, origin, "sensor:outdoor", values, {})


def sums(tally: np.ndarray, lead: int, target: int = 0) -> dict[str, float]:
    """Sums of one lead by name."""
    return dict(zip(SUMS, tally[target, lead - 1].tolist(), strict=True))


def test_errors_are_summed_by_lead() -> None:
    """Observed minus said, each at the lead at which it was said; covered when inside (V1)."""
    block = hour_of(START) // BLOCK_H
    known = truth(20.0, 21.0, 22.0, 23.0, 24.0, 25.0)
    tally = verification.tally(
        block, [kept(START - 2 * HOUR, 22.0), kept(START - HOUR, 21.0)], known
    )
    assert sums(tally, 1)["said"] == -1.0
    assert sums(tally, 2) == dict.fromkeys(SUMS, 0.0) | {
        "count": 2.0,
        "model": -2.0,
        "model_squared": 4.0,
        "said": -2.0,
        "said_squared": 4.0,
        "covered": 1.0,
    }
    assert sums(tally, 8)["count"] == 0.0, "the block ends five hours after its start"
    assert sums(tally, 3, target=1)["said"] == -20.0


def test_missing_hours_are_not_scored() -> None:
    """Neither where nothing was observed nor where nothing was foreseen (V4)."""
    block = hour_of(START) // BLOCK_H
    tally = verification.tally(block, [kept(START - HOUR, 22.0)], truth(np.nan, 21.0))
    assert sums(tally, 1)["count"] == 0
    assert sums(tally, 2)["count"] == 1
    assert tally[0, :, SUMS.index("count")].sum() == 1


def test_guidance_is_compared_on_hours_that_both_foresaw() -> None:
    """Pairs count where the guidance gave a value, with the errors of both."""
    one = kept(START - HOUR, 22.0)
    one.values[0, 1, verification.PARTS.index("guidance")] = 20.0
    tally = verification.tally(hour_of(START) // BLOCK_H, [one], truth(20.0, 21.0, 22.0))
    found = sums(tally, 2)
    assert (found["pairs"], found["pair"], found["guidance"], found["product"]) == (1, -1, 1, -1)
    assert sums(tally, 1)["pairs"] == 0


def test_skill_is_that_of_textbooks() -> None:
    """Errors of 3 and -4: RMSE sqrt(12.5), bias -0.5; one of two inside."""
    tally = np.zeros(TALLY_SHAPE)
    tally[0, 23] = [2, -1, 25, -1, 25, 1, 0, 0, 0, 0, 0, 0]
    (found,) = verification.skill(tally, (6, 24))
    assert (found.quantity, found.lead_h, found.hours) == (AIR_TEMPERATURE, 24, 2)
    assert (found.rmse, found.bias, found.coverage) == (3.54, -0.5, 0.5)


@pytest.mark.parametrize(
    ("hours", "came"),
    [
        ((31.0, 20.0, 20.0, 20.0), False),
        ((20.0, 20.0, 20.0, 30.0), True),
        ((20.0, np.nan, 20.0, 20.0), None),
        ((20.0, np.nan, 31.0, 20.0), True),
        ((20.0, 20.0, 20.0), None),
    ],
)
def test_event_of_a_window(hours: tuple[float, ...], came: bool | None) -> None:
    """Hours after the decision alone; a hole says nothing unless the event is seen (V5)."""
    assert verification.happened(HEAT, START + timedelta(minutes=2), truth(*hours)) is came


def test_rules_that_mean_the_same_share_a_score() -> None:
    """Name and severity do not matter, the threshold does."""
    other = Rule(name="hot", quantity=AIR_TEMPERATURE, operator=">=", threshold=30.0, within_h=3)
    assert verification.meaning(HEAT) == verification.meaning(other)
    assert "30" in verification.meaning(HEAT)


def test_foresee_keeps_both_the_models_and_what_was_said() -> None:
    """Rows lie at their leads; hours that have passed stay empty."""
    model = forecasts.forecast([20.0] * 48)
    said = forecasts.forecast([22.0] * 48)
    made = verification.past_forecast_of(model, said, NOTHING, "station:108", {"x": 0.4})
    assert made.values.shape == SHAPE
    assert made.values[0, 23, [0, 2]].tolist() == [20.0, 22.0]
    assert made.values[0, 0, 3] == pytest.approx(22.0 - 2.4)
    assert np.isnan(made.values[:, :, 1]).all()
    assert made.source == "station:108"
    corrected = replace(model, adjusted=("tuning",))
    record = verification.record_of(corrected, "sensor:outdoor")
    assert record == "sensor:outdoor+tuning", "kept apart (V6)"


def test_hours_beyond_the_longest_lead_are_not_kept() -> None:
    """A forecast with KMA's may reach further than the models."""
    old = [replace(f, origin=f.origin - timedelta(hours=5)) for f in both()]
    made = verification.past_forecast_of(old[0], old[1], NOTHING, "guided", {})
    assert np.isfinite(made.values[0, :, 2]).nonzero()[0].tolist() == list(range(5, 48))


def both() -> tuple[Forecast, Forecast]:
    """The models' and what was said."""
    return forecasts.forecast([20.0] * 48), forecasts.forecast([22.0] * 48)


@pytest.fixture
def track() -> Iterator[VerificationStore]:
    """An empty record."""
    with closing(connect(Path(":memory:"))) as db:
        yield VerificationStore(db)


def test_record_gives_back_what_was_written(track: VerificationStore) -> None:
    """Forecasts, sums and chances; the first forecast of an origin stays (V2)."""
    first, again = kept(START, 20.0), kept(START, 25.0)
    track.put_past_forecast(first)
    track.put_past_forecast(again)
    (found,) = track.past_forecasts(START)
    assert np.array_equal(found.values, first.values, equal_nan=True)
    assert (found.origin, found.source) == (START, "sensor:outdoor")
    tally = np.arange(np.prod(TALLY_SHAPE), dtype=np.float64).reshape(TALLY_SHAPE)
    block = hour_of(START) // BLOCK_H
    track.put_tallies({(block, "sensor:outdoor"): tally * 0})
    track.put_tallies({(block, "sensor:outdoor"): tally})
    assert np.array_equal(track.tallies(START)[block, "sensor:outdoor"], tally)
    track.put_rule_scores({(START, "a"): (0.25, True), (START + HOUR, "a"): (0.75, False)})
    assert track.rule_scores(START) == {"a": (2, 0.5, 0.5)}


def test_a_record_of_other_targets_is_left_out(track: VerificationStore) -> None:
    """After an update that forecasts one more quantity the record begins anew."""
    fewer = replace(kept(START, 20.0), values=np.zeros(SHAPE, np.float32)[:1])
    track.put_past_forecast(fewer)
    track.put_past_forecast(kept(START + HOUR, 20.0))
    assert [forecast.origin for forecast in track.past_forecasts(START)] == [START + HOUR]
    track.put_tallies({(block_of(START), "old"): np.ones(TALLY_SHAPE)[:1]})
    track.put_tallies({(block_of(START), "new"): np.ones(TALLY_SHAPE)})
    assert [source for _, source in track.tallies(START)] == ["new"]


def test_record_forgets(track: VerificationStore) -> None:
    """After the days it is to keep, nothing is left."""
    track.put_past_forecast(kept(START, 20.0))
    block = hour_of(START) // BLOCK_H
    track.put_tallies({(block, "x"): np.ones(TALLY_SHAPE)})
    track.put_rule_scores({(START, "a"): (0.25, True)})
    track.prune(START + timedelta(days=4))
    assert len(track.past_forecasts(START)) == 1
    track.prune(START + timedelta(days=TALLIES_DAYS + 1))
    assert track.past_forecasts(START) == []
    assert track.tallies(START) == {}
    assert track.rule_scores(START) == {}


def test_humidity_is_the_second_target() -> None:
    """Arrays are read in the order of the schema."""
    assert TARGETS == (AIR_TEMPERATURE, RELATIVE_HUMIDITY)
