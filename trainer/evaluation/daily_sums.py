"""Daily sums of losses and warnings: every figure of a gate decision follows from them. Pure.

Scores are means over hours, so sums by day are enough: a slice, a season and a resampling of days
are sums of them. They are kept beside the decision. It can therefore be computed again, even after
the lake was corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.contract.errors import BadData
from edge_agent.contract.hours import korean_date
from trainer.workspace.parquet import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LOSSES: Final = (
    "rows", "error", "absolute", "squared", "crps", "inside_80", "inside_90", "interval_80",
)  # fmt: skip
"""Sums over the hours of a day: count, forecast minus truth, its size, its square; CRPS, hours
inside the 80 and 90 % intervals, interval score. NaN where a forecast has no distribution."""

WARNINGS: Final = (
    "rows", "seen", "said", "said_squared", "both", "brier", "normal_brier",
    "hits", "false_alarms", "misses",
)  # fmt: skip
"""Sums over the hours of a day: count, events o, probability p, p^2, p * o, (p - o)^2, the same of
the normal rate, and the contingency at the served probability."""

SEASONS: Final = ("DJF", "MAM", "JJA", "SON")
CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
PERSISTENCE: Final = "persistence"
CLIMATOLOGY: Final = "climatology"
DAMPED: Final = "damped_anomaly"
TAILS: Final = ("cold", "hot")
"""Slices of hours that were observed to be so."""

REFERENCES: Final = (PERSISTENCE, CLIMATOLOGY, DAMPED)
"""What a model must beat to be of use."""

GUIDED: Final = "guided"
"""Models that correct KMA's forecasts, joined with those of observations as on a device."""
LIVE_GUIDED: Final = "live_guided"
"""The same with corrections of the live release."""
NEW_PLACE: Final = "new_place"
"""The challenger's corrections as a new farm has them: without any observation of the place."""
OBSERVATIONS: Final = "observations"
"""The challenger's models of observations at the hours of `GUIDED`."""
RAW_GUIDANCE: Final = "raw_guidance"
MEAN_CORRECTED: Final = "mean_corrected_guidance"
"""KMA's forecast plus its mean error here over 30 days."""
DAMPED_GUIDANCE: Final = "damped_guidance"
"""KMA's forecast plus its newest error here, which fades with the lead."""
GUIDANCE_REFERENCES: Final = (RAW_GUIDANCE, MEAN_CORRECTED, DAMPED_GUIDANCE)
"""What models that correct KMA's forecasts must beat to be of use."""

_ABSENT: Final = "absent"
"""Slice of the rows that count missing forecasts."""


def lead_slice(lead: int) -> str:
    """Name of the slice with all hours of a lead."""
    return f"lead:{lead}"


@dataclass(slots=True)
class DailySums:
    """Sums by day of the Korean calendar, target hours.

    Attributes:
        first: Day of row 0.
        days: Number of days.
        losses: (target, slice, forecast) -> shape (days, len(LOSSES)).
        warnings: (target, event, forecast) -> shape (days, len(WARNINGS)).
        absent: (target, forecast) -> hours at which only this forecast had no number.
    """

    first: date
    days: int
    losses: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    warnings: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    absent: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def spanning(cls, start: datetime, end: datetime) -> DailySums:
        """Without sums, for the days of the hours from `start` to `end`, UTC."""
        first = korean_date(start)
        return cls(first, (korean_date(end) - first).days + 1)

    def add_losses(
        self,
        key: tuple[str, str, str],
        days: np.ndarray,
        columns: Mapping[str, np.ndarray],
    ) -> None:
        """Add hours of a slice.

        Args:
            key: (target, slice, forecast).
            days: Row of each hour, shape (N,).
            columns: By name of `LOSSES` except rows, shape (N,); absent ones become NaN.
        """
        self._add(self.losses, LOSSES, key, days, columns)

    def add_warnings(
        self, key: tuple[str, str, str], days: np.ndarray, columns: Mapping[str, np.ndarray]
    ) -> None:
        """Add hours of an event: see `add_losses`, with the columns of `WARNINGS`."""
        self._add(self.warnings, WARNINGS, key, days, columns)

    def seasons(self) -> np.ndarray:
        """Season of each day, 0 = DJF .. 3 = SON, shape (days,)."""
        return (self._months() % 12) // 3

    def winter_half(self) -> np.ndarray:
        """Whether each day lies in October to March, shape (days,)."""
        months = self._months()
        return (months >= 10) | (months <= 3)

    def _months(self) -> np.ndarray:
        return np.array([(self.first + timedelta(days=day)).month for day in range(self.days)])

    def _add(
        self,
        table: dict[tuple[str, str, str], np.ndarray],
        names: tuple[str, ...],
        key: tuple[str, str, str],
        days: np.ndarray,
        columns: Mapping[str, np.ndarray],
    ) -> None:
        sums = table.setdefault(key, np.zeros((self.days, len(names))))
        sums[:, 0] += np.bincount(days, minlength=self.days)
        for place, name in enumerate(names[1:], start=1):
            if name in columns:
                sums[:, place] += np.bincount(days, columns[name], self.days)
            else:
                sums[:, place] = np.nan


def to_bytes(sums: DailySums) -> bytes:
    """Parquet with one row per target, slice or event, forecast and day."""
    parts = [
        pl.DataFrame(
            {
                "target": [target] * sums.days,
                "part": [part] * sums.days,
                "forecast": [forecast] * sums.days,
                "day": pl.date_range(
                    sums.first, sums.first + timedelta(days=sums.days - 1), eager=True
                ),
                **{name: rows[:, place] for place, name in enumerate(names)},
            }
        )
        for names, table in ((LOSSES, sums.losses), (WARNINGS, sums.warnings))
        for (target, part, forecast), rows in sorted(table.items())
    ]
    absent = pl.DataFrame(
        [
            {"target": target, "part": _ABSENT, "forecast": forecast, "rows": float(count)}
            for (target, forecast), count in sorted(sums.absent.items())
        ],
        schema={"target": pl.String, "part": pl.String, "forecast": pl.String, "rows": pl.Float64},
    )
    return encode(pl.concat([*parts, absent], how="diagonal"))


def from_bytes(content: bytes) -> DailySums:
    """Sums that `to_bytes` wrote.

    Raises:
        BadData: Not such a file.
    """
    frame = decode(content)
    try:
        daily = frame.filter(pl.col("part") != _ABSENT)
        first, last = daily["day"].min(), daily["day"].max()
        if not isinstance(first, date) or not isinstance(last, date):
            raise BadData("evidence: no days")
        sums = DailySums(first, (last - first).days + 1)
        groups = daily.partition_by("target", "part", "forecast", as_dict=True)
        for (target, part, forecast), rows in groups.items():
            warns = rows["seen"].null_count() == 0
            names, table = (WARNINGS, sums.warnings) if warns else (LOSSES, sums.losses)
            table[str(target), str(part), str(forecast)] = rows.select(names).to_numpy()
        for row in frame.filter(pl.col("part") == _ABSENT).iter_rows(named=True):
            sums.absent[row["target"], row["forecast"]] = int(row["rows"])
    except pl.exceptions.PolarsError as fault:
        raise BadData(f"evidence: {fault}") from fault
    return sums
