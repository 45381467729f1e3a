"""One farm under shared models: corrected where it differs, left alone where it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME
from tests.fakes.clock import FakeClock
from tests.fakes.own_hours import FIRST, Character, hours, settle, shared_run
from tests.fakes.runs import TRAINED_TO, Bench
from trainer import setup
from trainer.evaluation.dataset import WARM_UP_HOURS
from trainer.gate import gate
from trainer.gate.rules_champion import Route
from trainer.site_corrections import all_farms
from trainer.site_corrections.one_farm import correct_farm
from trainer.workspace.places import FarmId
from trainer.workspace.s3_errors import Away
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from trainer.site_corrections.farm_history import SharedModels
    from trainer.site_corrections.one_farm import FarmResult

UNTIL = FIRST + timedelta(days=1000)
PLAIN = Character({})
WARMER = Character({AIR_TEMPERATURE: 2.0, RELATIVE_HUMIDITY: -8.0}, swing=1.5, seed=5)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> SharedModels:
    """Shared models of an empty lake."""
    made = setup.create(tmp_path_factory.mktemp("farms") / "farm", single_key=True)
    run = gate.load(shared_run(Bench(made, FakeClock(UNTIL))))
    return all_farms.shared_models(made, run, all_farms.farm_terms(run, UNTIL, 1), UNTIL)


def tried(shared: SharedModels, name: str, like: Character) -> FarmResult:
    """A farm of this character, tried."""
    frame = hours(like, shared.manifest)
    return correct_farm(shared, settle(shared.workspace.lake, name, frame).id)


def test_a_farm_that_differs_is_corrected(shared: SharedModels) -> None:
    """An offset and a swing of the day go out of the errors, by about what they are."""
    made = tried(shared, "warmer", WARMER).tuning
    assert made is not None
    assert set(made.corrections) == set(TARGETS)
    for target, scores in made.scores.items():
        assert scores["rmse_24h"] < 0.9 * scores["rmse_24h_shared"]
        model = shared.manifest.models[target].file.sha256
        assert made.corrections[target].model == model
    # In a mean hour the farm's anomalies are its offsets.
    mean_hour = np.array([1.0, *[0.0] * 10, 2.0, -8.0, 2.0, -8.0])
    added = np.array(made.corrections[AIR_TEMPERATURE].weights) @ mean_hour
    assert added == pytest.approx(2.0, abs=0.3)
    assert made.trained_to == "2022-06-25T23:00Z"


def test_farms_that_do_not_differ_get_nothing(shared: SharedModels) -> None:
    """Of 24 comparisons on farms without a character hardly one is called better by luck."""
    routes = [
        route
        for seed in range(12)
        if (decision := tried(shared, f"plain{seed}", replace(PLAIN, seed=seed)).decision)
        for route in decision.routes.values()
    ]
    assert len(routes) == 24
    assert sum(route is Route.BETTER for route in routes) <= 2


def test_what_a_broken_sensor_told_does_no_harm(shared: SharedModels) -> None:
    """Three months of a thermometer in the sun: refused, or harmless on hours of a sound one."""
    sound = hours(replace(PLAIN, seed=3), shared.manifest)
    spoilt = pl.col(TIME).is_between(FIRST + timedelta(days=150), FIRST + timedelta(days=240))
    broken = sound.with_columns(
        pl.when(spoilt).then(pl.col(AIR_TEMPERATURE) + 9.0).otherwise(pl.col(AIR_TEMPERATURE))
    )
    found = correct_farm(shared, settle(shared.workspace.lake, "sunny", broken).id)
    assert found.decision is not None
    assert found.tuning is None or AIR_TEMPERATURE not in found.tuning.corrections


def test_a_short_history_is_said(shared: SharedModels) -> None:
    """Less than 60 and 180 days: no guess, and how much there is."""
    found = tried(shared, "young", replace(WARMER, days=200))
    assert (found.tuning, found.decision) == (None, None)
    assert found.fault.startswith("128 days with temperature and humidity can be judged, 180 ")
    for days in (2, 12):
        newborn = tried(shared, f"newborn{days}", replace(WARMER, days=days))
        assert newborn.fault.startswith("0 days with")


def test_hours_that_the_models_may_know_count_for_nothing(shared: SharedModels) -> None:
    """What a farm told before the training ended (and an embargo after it) changes nothing."""
    frame = hours(WARMER, shared.manifest, earlier=20)
    counted = datetime.fromisoformat(TRAINED_TO) + timedelta(hours=168 - WARM_UP_HOURS)
    older = frame.filter(pl.col(TIME) < counted).with_columns(pl.col(*TARGETS) * 0.5)
    lake = shared.workspace.lake
    one = correct_farm(shared, settle(lake, "plainly", frame).id)
    spoilt = pl.concat([older, frame.filter(pl.col(TIME) >= counted)])
    other = correct_farm(shared, settle(lake, "spoilt", spoilt).id)
    assert one.tuning == other.tuning


def test_a_farm_without_a_hygrometer_is_said(shared: SharedModels) -> None:
    """The agent forecasts on temperature and humidity; without one there is nothing to judge."""
    frame = hours(WARMER, shared.manifest).with_columns(
        pl.lit(None, pl.Float64).alias(RELATIVE_HUMIDITY)
    )
    found = correct_farm(shared, settle(shared.workspace.lake, "dry", frame).id)
    assert found.fault.startswith("0 days with temperature and humidity can be judged")


def test_a_damaged_file_is_said(shared: SharedModels) -> None:
    """The lake's own words name file and cure; nothing is raised that would keep other farms."""
    one = settle(shared.workspace.lake, "broken", hours(replace(PLAIN, days=3), shared.manifest))
    path = next((shared.workspace.root / "lake").glob("observations/farm=broken*/*"))
    path.write_bytes(b"PAR1 and nothing more")
    assert "farm=broken+edge-1/year=2021.parquet is damaged" in correct_farm(shared, one.id).fault


def test_a_bucket_that_is_away_is_no_fault_of_the_farm(
    shared: SharedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It concerns all farms, so it is raised: none may lose its correction for it."""

    def away(*_: object) -> None:
        raise Away("s3://bucket/lake: cannot be read: no answer: try again later")

    monkeypatch.setattr(FolderStore, "read", away)
    with pytest.raises(Away, match="no answer"):
        correct_farm(shared, FarmId("hill", "edge-1"))


def test_the_same_hours_give_the_same_decision(shared: SharedModels) -> None:
    """Nothing in an attempt depends on when or how often it is made."""
    one, other = (tried(shared, "again", replace(WARMER, seed=8)) for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert one.decision is not None
    assert one.decision.terms.farm == "again/edge-1"
