"""Farms with hours of their own under shared models that say the normals and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from edge_agent.contract import climatology, schema
from edge_agent.contract.farm_identity import Identity
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    RELATIVE_HUMIDITY,
    TARGETS,
    TIME,
    TIME_DTYPE,
    Flag,
    flag_column,
)
from edge_agent.forecasting.forecaster import place_of
from tests.fakes.loaded import table
from tests.fakes.weather import SITE
from trainer.workspace import farms
from trainer.workspace.places import FarmId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from tests.fakes.runs import Bench
    from trainer.workspace.farms import Farm
    from trainer.workspace.lake import Lake

FIRST = datetime(2021, 5, 22, tzinfo=UTC)
"""Ten days, the warm-up of features, before hours count under the runs of `tests.fakes.runs`."""

NORMALS = {
    AIR_TEMPERATURE: "target_normal_temperature",
    RELATIVE_HUMIDITY: "target_normal_humidity",
}
_WIDTH = {AIR_TEMPERATURE: 4.5, RELATIVE_HUMIDITY: 20.0}


@dataclass(frozen=True)
class Character:
    """How a farm differs from the normals.

    Attributes:
        offset: Added to every hour, per target.
        swing: Added at 14 o'clock and taken away at 2, Korean time.
        days: Length of its history.
        seed: Of its weather: each day lies somewhere else, in no way foreseen by the day before.
    """

    offset: Mapping[str, float]
    swing: float = 0.0
    days: int = 400
    seed: int = 0


def shared_run(bench: Bench, name: str = "shared") -> Path:
    """A run whose models give the normals, with intervals that hold the weather of `hours`."""
    return bench.run(name, NORMALS, residuals={t: table(width) for t, width in _WIDTH.items()})


def hours(like: Character, manifest: Manifest, earlier: int = 0) -> pl.DataFrame:
    """A farm's rows as the lake takes them, from so many days before FIRST on."""
    random = np.random.default_rng(like.seed)
    time = pl.datetime_range(
        FIRST - timedelta(days=earlier),
        FIRST + timedelta(hours=like.days * 24 - 1),
        "1h",
        eager=True,
        time_zone="UTC",
    ).cast(TIME_DTYPE)
    korean = time.dt.offset_by("9h")
    count = (korean.dt.date() - korean.dt.date()[0]).dt.total_days().to_numpy()
    swing = like.swing * np.cos(2 * np.pi * (korean.dt.hour().to_numpy() - 14) / 24)
    normals = place_of(SITE, manifest.sites).normals
    columns: dict[str, pl.Series | np.ndarray] = {TIME: time}
    for name in schema.OBSERVED:
        values = np.full(len(time), np.nan)
        if name in TARGETS:
            normal = climatology.table(normals[name])[
                time.dt.ordinal_day().to_numpy().astype(np.intp) - 1,
                time.dt.hour().to_numpy().astype(np.intp),
            ]
            width = _WIDTH[name]
            weather = random.uniform(-width, width, int(count[-1]) + 1)[count]
            noise = random.normal(0.0, 0.05 * width, len(time))
            values = normal + weather + noise + like.offset.get(name, 0.0) + swing
        if name == RELATIVE_HUMIDITY:
            values = np.clip(values, 1.0, 100.0)
        columns[name] = pl.Series(np.round(values, 1)).fill_nan(None)
        flag = Flag.GOOD if name in TARGETS else Flag.MISSING
        columns[flag_column(name)] = pl.Series([flag] * len(time), dtype=pl.UInt8)
    return pl.DataFrame(columns)


def settle(lake: Lake, name: str, frame: pl.DataFrame) -> Farm:
    """A farm of the lake, standing beside the station."""
    farm_id = FarmId(name, "edge-1")
    lake.merge(farm_id, frame, "parquet", FIRST)
    return farms.enrol(
        lake,
        Identity(
            site=farm_id.site,
            device=farm_id.device,
            latitude=SITE.latitude,
            longitude=SITE.longitude,
            elevation_m=SITE.elevation_m,
            source="sensor:outdoor",
        ),
    )
