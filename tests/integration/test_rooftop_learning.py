"""A farm's own sensors teach the device what a model of another place does not know."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bench.skill import rooftop
from edge_agent.contract.feature_table import REFERENCES
from edge_agent.contract.features import FEATURES
from edge_agent.contract.schema import TARGETS, TIME
from edge_agent.replay import replay
from edge_agent.settings import Config
from tests.fakes.loaded import FakeRelease, Says

DATA = Path(__file__).parents[3] / "shared/data/farm_sensor/rooftop_aws_1min_2023_2024.parquet"
TOO_LOW = (3.0, 12.0)


def foreign(target: str, off: float) -> Says:
    """The newest value of the same hour, too low: what a model of a cooler place might say."""
    column = FEATURES.index(REFERENCES[target])
    return Says(lambda matrix: matrix[:, column] - off)


@pytest.mark.skipif(not DATA.is_file(), reason="the shared rooftop record is not on this machine")
def test_a_foreign_model_is_put_right_within_days() -> None:
    """Real minutes through the intake, twelve days of cycles: the bias goes, the skill stays."""
    hours = rooftop.hours_of(DATA, 24)
    known = {at: tuple(both) for at, *both in hours.select(TIME, *TARGETS).iter_rows()}
    models = {t: foreign(t, off) for t, off in zip(TARGETS, TOO_LOW, strict=True)}
    start, end = hours[TIME][0] + timedelta(days=10), hours[TIME][-1] - timedelta(days=2)
    rows: list[list[float]] = []
    play = replay.run(
        Config(device=rooftop.ROOF),
        FakeRelease(predictors=models),
        {"sensor:outdoor": hours},
        start,
        end,
    )
    for made in play:
        rows += rooftop.errors(made, known)
    table = np.array([row for row in rows if np.isfinite(row).all()])
    for index in range(len(TARGETS)):
        late = table[(table[:, 0] == index) & (table[:, 1] == 24)][-96:]
        model, said, same = (rooftop.rmse(late[:, column]) for column in (3, 4, 5))
        assert said < 0.9 * model
        assert said < 1.1 * same
