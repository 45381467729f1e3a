"""The list of features as data: series, windows over them, and their order in the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from edge_agent.contract.schema import QUANTITIES, TARGETS

Kind = Literal["lag", "change", "mean", "std", "min", "max", "sum"]


@dataclass(frozen=True, slots=True)
class Window:
    """A number from the last `hours` hours of a series, the origin included.

    lag: the value `hours` before. change: value minus lag. The rest: statistic of the `hours`
    newest values, with at least half of them present; std has n - 1 in the denominator.
    """

    series: str
    kind: Kind
    hours: int

    @property
    def name(self) -> str:
        """Column name."""
        return f"{self.series}_{self.kind}_{self.hours}h"


def _windows(series: str, **hours: tuple[int, ...]) -> tuple[Window, ...]:
    return tuple(
        Window(series, kind, h)  # type: ignore[arg-type]  # kinds are checked by a test
        for kind, spans in hours.items()
        for h in spans
    )


_TARGETS: Final = tuple(QUANTITIES[target].short_name for target in TARGETS)
_ANOMALIES: Final = tuple(f"{name}_anomaly" for name in _TARGETS)
_NORMALS: Final = tuple(f"normal_{name}" for name in _TARGETS)

MEASURED: Final = (
    "temperature",
    "humidity",
    "dew_point",
    *_ANOMALIES,
    "pressure",
    "sea_level_pressure",
    "wind_speed",
    "wind_sector",
    "wind_east",
    "wind_north",
    "rain",
    "cloud",
    "solar",
)
"""Hourly series that come from instruments and may be missing."""

SERIES: Final = (
    *MEASURED,
    "sun",
    "hour",
    "weekday",
    "hour_sin",
    "hour_cos",
    "season_sin",
    "season_cos",
    *_NORMALS,
)
"""Every hourly series that windows and gathers read; the calendar is always known."""

SITE: Final = ("latitude", "longitude", "elevation")

ORIGIN_WINDOWS: Final = (
    *_windows(
        "temperature",
        lag=(1, 2, 3, 6, 12, 24, 48, 72),
        change=(1, 3, 6, 12, 24),
        mean=(3, 6, 12, 24, 72, 168),
        std=(24,),
        min=(24,),
        max=(24,),
    ),
    *_windows(
        "humidity",
        lag=(1, 3, 6, 12, 24, 48),
        change=(1, 3, 6, 24),
        mean=(3, 24, 72, 168),
        std=(24,),
        min=(24,),
        max=(24,),
    ),
    *_windows("dew_point", change=(3, 6, 12, 24), mean=(24, 72)),
    *(w for name in _ANOMALIES for w in _windows(name, lag=(24,), mean=(24, 72, 168))),
    *_windows("sea_level_pressure", change=(1, 3, 6, 12, 24, 48), mean=(24, 72)),
    *_windows("wind_speed", mean=(6, 24), max=(24,)),
    *_windows("wind_east", change=(6, 24), mean=(6, 24)),
    *_windows("wind_north", change=(6, 24), mean=(6, 24)),
    *_windows("rain", sum=(3, 24, 72)),
    *_windows("cloud", mean=(6, 24)),
    *_windows("solar", sum=(24,)),
)

AT_ORIGIN: Final = (
    *MEASURED,
    "hour",
    "weekday",
    "hour_sin",
    "hour_cos",
    *SITE,
    *(window.name for window in ORIGIN_WINDOWS),
)
"""Read at the origin."""

AT_TARGET: Final = (
    "hour_sin",
    "hour_cos",
    "season_sin",
    "season_cos",
    "sun",
    *_NORMALS,
)
"""Known ahead; read at the target hour."""

SAME_HOUR: Final = (
    "temperature",
    "humidity",
    "dew_point",
    *_ANOMALIES,
    "sea_level_pressure",
    "wind_speed",
)
"""Read at the newest hours with the target's hour of the day."""

SAME_HOUR_DAYS: Final = 2

AHEAD: Final = tuple(zip(_TARGETS, _NORMALS, strict=True))
"""Series of the targets with their normals, for the change of the normal and the reference of the
forecast."""

NAMES: Final = (
    *AT_ORIGIN,
    *(f"target_{name}" for name in AT_TARGET),
    *(f"same_hour_{name}_{day}d" for name in SAME_HOUR for day in range(SAME_HOUR_DAYS)),
    "lead",
    *(f"{part}_{name}" for name, _ in AHEAD for part in ("normal_change", "reference")),
)

COLUMNS: Final = (*SERIES, *SITE, *(window.name for window in ORIGIN_WINDOWS))
"""Columns of the feature table after `time`."""

REFERENCES: Final = {target: f"reference_{QUANTITIES[target].short_name}" for target in TARGETS}
"""Per target, the feature that a model's change is added to."""

SEED: Final = (
    "hour",
    "weekday",
    "hour_sin",
    "hour_cos",
    "temperature_lag_1h",
    "humidity_lag_1h",
    "temperature_lag_24h",
    "temperature_mean_3h",
    "humidity_mean_24h",
    "pressure",
    "wind_speed",
    "wind_sector",
)
"""Inputs of the seed recipe, the baseline every release must beat."""
