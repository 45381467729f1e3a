"""Farms whose hours are not those of their place take no part in a training (I2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract.quality import clean
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from tests.fakes.hostile_farms import POISONS, add_hostile_farm
from tests.fakes.trained import AS_OF, add_farm, make_workspace
from tests.fakes.weather import FIRST, record
from trainer.evaluation import dataset
from trainer.training import farm_check
from trainer.training.lake_source import TrainingData, ready, ready_farms, stations_until

if TYPE_CHECKING:
    from pathlib import Path

STATION = clean(record().head(24 * 400))


def test_a_hostile_farm_changes_nothing_of_what_is_trained_on(tmp_path: Path) -> None:
    """Each is named with its reason; the honest farm beside them and the stations stay."""
    made = make_workspace(tmp_path / "farm")
    add_farm(made)
    borders = dataset.split(FIRST, AS_OF, 0.2, 168)
    stations = ready(stations_until(made, AS_OF, _unheard), borders, {}, _unheard)
    sites = TrainingData(stations, (), borders, ()).sites
    before = ready_farms(made, borders, AS_OF, sites, _unheard)
    hostile = [add_hostile_farm(made, poison) for poison in POISONS]
    told: list[str] = []
    after = ready_farms(made, borders, AS_OF, sites, told.append)
    assert [str(one.record.id) for one in before] == ["hill/edge-1"]
    assert after == before
    assert {line.partition(": left out, ")[0] for line in told} == {f"farm {n}" for n in hostile}
    assert all("\n" not in line for line in told)


@pytest.mark.parametrize("gap", [-5.5, 5.5])
def test_f1_a_place_that_differs_as_places_do_is_taken(gap: float) -> None:
    """5.5 C or 30 % all the time; more is another place."""
    for target, warmer in ((AIR_TEMPERATURE, gap), (RELATIVE_HUMIDITY, gap * 5.5)):
        assert farm_check.fault_of(_changed(target, warmer), STATION, 0.0) == ""
        fault = farm_check.fault_of(_changed(target, warmer * 1.2), STATION, 0.0)
        assert fault.startswith(f"its {target} is not that of its place: ")
        assert "in all (root mean square, limit " in fault


def test_f1_the_temperature_is_compared_at_one_height() -> None:
    """A farm 1000 m up is 6.5 C colder; one at the station's height is not."""
    cold = _changed(AIR_TEMPERATURE, -6.5)
    assert farm_check.fault_of(cold, STATION, 1000.0) == ""
    assert "6.5 °C from the nearest" in farm_check.fault_of(cold, STATION, 0.0)


def test_f2_a_month_is_enough() -> None:
    """A farm that was honest for a year is judged by what it told lately."""
    late = pl.col(TIME) >= FIRST + timedelta(days=360)
    for target, warmer in ((AIR_TEMPERATURE, 9.0), (RELATIVE_HUMIDITY, -50.0)):
        own = STATION.with_columns(pl.when(late).then(pl.col(target) + warmer).otherwise(target))
        assert "in 30 days" in farm_check.fault_of(own, STATION, 0.0)


def test_f3_hours_that_nobody_can_compare_are_not_taken() -> None:
    """A station that paused says nothing about the farm, nor does one that is not there."""
    for known in (STATION.head(24 * 190), STATION.clear()):
        fault = farm_check.fault_of(STATION, known, 0.0)
        assert fault.startswith(f"most of its hours of {AIR_TEMPERATURE} cannot be compared")


def test_no_gap_of_a_few_hours_decides() -> None:
    """A sensor in the sun for two afternoons of a month is no other place."""
    random = np.random.default_rng(1)
    spikes = np.where(random.random(STATION.height) < 0.01, 15.0, 0.0)
    own = STATION.with_columns(pl.col(AIR_TEMPERATURE) + spikes)
    assert farm_check.fault_of(own, STATION, 0.0) == ""


def _changed(target: str, by: float) -> pl.DataFrame:
    return STATION.with_columns(pl.col(target) + by)


def _unheard(_: str) -> None:
    """Nobody listens."""
