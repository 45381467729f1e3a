"""How good the lake is: hours and flags by station and month. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import quality, schema
from edge_agent.contract.schema import TIME, Flag, flag_column
from trainer.ingest.spatial_check import disagreeing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.schema import Site

COLUMNS: Final = (
    "station",
    "month",
    "quantity",
    "hours",
    "usable",
    *(flag.name.lower() for flag in Flag if flag is not Flag.GOOD),
)
_ZONE: Final = "Asia/Seoul"


def report(frames: Mapping[int, pl.DataFrame], sites: Mapping[int, Site]) -> pl.DataFrame:
    """Count flags after every check.

    Args:
        frames: Rows of the lake by station.
        sites: Where the stations are, for the comparison with neighbours.

    Returns:
        `COLUMNS`: a row for each station, month (Korean, "YYYY-MM") and quantity of
        `schema.OBSERVED`. `hours` is the month's hours between the station's first and last row;
        `usable` counts values that models may use; then a count for each flag that is not good.
    """
    checked = {number: quality.clean(rows) for number, rows in frames.items() if rows.height}
    disagree = disagreeing(checked, sites)
    parts = []
    for number, rows in checked.items():
        flagged = rows.with_columns(
            pl.when(disagree[number][name])
            .then(pl.lit(Flag.NEIGHBOURS, pl.UInt8))
            .otherwise(pl.col(flag_column(name)))
            .alias(flag_column(name))
            for name in disagree[number].columns
        )
        parts.append(_count(number, flagged))
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int64))


def _count(number: int, rows: pl.DataFrame) -> pl.DataFrame:
    month = pl.col(TIME).dt.convert_time_zone(_ZONE).dt.strftime("%Y-%m").alias("month")
    long = rows.select(
        month, *(pl.col(flag_column(name)).alias(name) for name in schema.OBSERVED)
    ).unpivot(index="month", variable_name="quantity", value_name="flag")
    counts = long.group_by("month", "quantity", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("hours"),
        pl.col("flag")
        .is_in([int(flag) for flag in quality.KEPT])
        .sum()
        .cast(pl.Int64)
        .alias("usable"),
        *(
            (pl.col("flag") == flag).sum().cast(pl.Int64).alias(flag.name.lower())
            for flag in Flag
            if flag is not Flag.GOOD
        ),
    )
    return counts.select(pl.lit(number).cast(pl.Int64).alias("station"), pl.col(COLUMNS[1:]))
