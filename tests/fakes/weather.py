"""Small seeded weather in our own column names, and ways to spoil it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from demo.climate import generate
from demo.places import SEOUL
from edge_agent.contract.features import Place
from edge_agent.contract.kma_fields import tidy
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    OBSERVED,
    TIME,
    Flag,
    Site,
    flag_column,
)
from trainer.evaluation.dataset import fit_normals

if TYPE_CHECKING:
    from collections.abc import Sequence

STATION = SEOUL.station
SITE = Site(SEOUL.latitude, SEOUL.longitude, SEOUL.elevation_m)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def kma_record(days: int = 740, seed: int = 2) -> pl.DataFrame:
    """Generated Seoul in KMA's names from FIRST on, as the stand-in serves it."""
    first = FIRST.replace(tzinfo=None) + timedelta(hours=9)
    return generate([SEOUL], first, first + timedelta(days=days, hours=-1), seed)


@cache
def record(days: int = 740, seed: int = 2) -> pl.DataFrame:
    """The same in our names: hourly with a few hours absent, flags as KMA gives them."""
    return tidy(kma_record(days, seed), SITE)


@cache
def place() -> Place:
    """Seoul with normals of the whole record."""
    frame = record()
    return Place(SITE, fit_normals(frame, frame[TIME][-1]))


def hourly(values: Sequence[float | None], name: str = AIR_TEMPERATURE) -> pl.DataFrame:
    """Frame of one quantity from FIRST on, without flags."""
    times = [FIRST + timedelta(hours=hour) for hour in range(len(values))]
    return pl.DataFrame(
        {TIME: times, name: list(values)},
        schema_overrides={TIME: pl.Datetime("us", "UTC"), name: pl.Float64},
    )


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that goes wrong with a column: rows are counted from the end of the frame.

    Attributes:
        kind: "spike" adds `size`; "gap" blanks; "nan" makes not a number; "stuck" repeats the
            value before it; "source" flags it as wrong; "absent" takes whole rows away;
            "duplicate" appends the row again with `size` added.
        name: Column.
        back: Rows before the last one at which it begins.
        hours: How many rows.
        size: See `kind`.
    """

    kind: str
    name: str
    back: int
    hours: int
    size: float


def spoil(frame: pl.DataFrame, damages: Sequence[Damage]) -> pl.DataFrame:
    """Frame with all damages, in their order; the newest row stays."""
    original = frame
    frame = frame.with_row_index("row").cast({"row": pl.Int64})
    last = frame.height - 1
    for damage in damages:
        first = last - damage.back
        here = pl.col("row").is_between(first, first + damage.hours - 1)
        changed, value = damage.name, pl.col(damage.name)
        match damage.kind:
            case "spike":
                change = pl.when(here).then(value + damage.size).otherwise(value)
            case "gap":
                change = pl.when(here.not_()).then(value)
            case "nan":
                change = pl.when(here).then(float("nan")).otherwise(value)
            case "stuck":
                stuck = original[damage.name][max(0, first - 1)]
                change = pl.when(here).then(pl.lit(stuck, pl.Float64)).otherwise(value)
            case "source":
                changed = flag_column(damage.name)
                bad = pl.lit(Flag.SOURCE, pl.UInt8)
                change = pl.when(here).then(bad).otherwise(pl.col(changed))
            case "absent":
                frame = frame.filter(here.not_() | (pl.col("row") == last))
                continue
            case "duplicate":
                frame = pl.concat([frame, frame.filter(here).with_columns(value + damage.size)])
                continue
            case kind:
                raise ValueError(kind)
        frame = frame.with_columns(change.alias(changed))
    return frame.drop("row")


def without(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Frame in which whole quantities are missing, as on a farm without that sensor."""
    return frame.drop(*names, *(flag_column(name) for name in names), strict=False)


def values_only(frame: pl.DataFrame) -> pl.DataFrame:
    """Frame without flags, as sensors give it."""
    return frame.select(TIME, *OBSERVED)
