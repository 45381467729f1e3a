"""Every feature again, in plain Python loops: no Polars, no array code."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_agent.contract import features, quality
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    CLOUD,
    RAIN,
    RELATIVE_HUMIDITY,
    SOLAR,
    STATION_PRESSURE,
    TIME,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
)
from tests.fakes.weather import SITE, Damage, place, record, spoil

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Value = float | None
LEADS = (1, 5, 6, 7, 23, 24, 25, 30, 47, 48)
ORIGINS = (0, 1, 2, 24, 100, 230, 231, 240, 299)

RAW = {
    "temperature": AIR_TEMPERATURE,
    "humidity": RELATIVE_HUMIDITY,
    "pressure": STATION_PRESSURE,
    "wind_speed": WIND_SPEED,
    "rain": RAIN,
    "solar": SOLAR,
    "cloud": CLOUD,
}


def snap(x: Value) -> Value:
    """Nearest multiple of 1/1024."""
    return None if x is None else round(x * 1024) / 1024


def known(*values: Value) -> bool:
    """Whether all are there."""
    return all(v is not None for v in values)


class Oracle:
    """Features of one cleaned frame, value by value."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.times: list[datetime] = frame[TIME].to_list()
        self.raw: dict[str, list[Value]] = {
            name: frame[name].to_list() for name in (*RAW.values(), WIND_FROM_DIRECTION)
        }

    def time(self, row: int) -> datetime:
        """End of the hour of a row."""
        return self.times[0] + timedelta(hours=row)

    def series(self, name: str, row: int) -> Value:
        """Value of an hourly series; None = missing or not observed yet."""
        calendar = self.calendar(name, row)
        if calendar is not None:
            return calendar
        if not 0 <= row < len(self.times):
            return None
        if name in RAW:
            return snap(self.raw[RAW[name]][row])
        derived: dict[str, Callable[[int], Value]] = {
            "dew_point": self.dew_point,
            "sea_level_pressure": self.sea_level_pressure,
            "wind_east": lambda r: self.wind(r, math.sin),
            "wind_north": lambda r: self.wind(r, math.cos),
            "wind_sector": self.wind_sector,
            "temperature_anomaly": lambda r: self.anomaly(r, "temperature"),
            "humidity_anomaly": lambda r: self.anomaly(r, "humidity"),
        }
        return derived[name](row)

    def calendar(self, name: str, row: int) -> Value:
        """What is known ahead of time, None for what must be observed."""
        utc = self.time(row)
        local = utc + timedelta(hours=9)
        day = utc.timetuple().tm_yday
        simple = {
            "latitude": SITE.latitude,
            "longitude": SITE.longitude,
            "elevation": SITE.elevation_m,
            "hour": float(local.hour),
            "weekday": float(local.isoweekday()),
            "hour_sin": math.sin(2 * math.pi * local.hour / 24),
            "hour_cos": math.cos(2 * math.pi * local.hour / 24),
            "season_sin": math.sin(2 * math.pi * (day - 1) / 365.2425),
            "season_cos": math.cos(2 * math.pi * (day - 1) / 365.2425),
        }
        if name in simple:
            return simple[name]
        if name == "sun":
            return self.sun(day, utc.hour)
        if name == "normal_temperature":
            return self.normal(AIR_TEMPERATURE, day, utc.hour)
        if name == "normal_humidity":
            return self.normal(RELATIVE_HUMIDITY, day, utc.hour)
        return None

    def normal(self, target: str, day: int, hour: int) -> float:
        """Sum over harmonics of the year and of the day."""
        a = 2 * math.pi * (day - 1 + hour / 24) / 365.2425
        h = 2 * math.pi * hour / 24
        annual = [1.0, *(f(k * a) for k in (1, 2, 3) for f in (math.cos, math.sin))]
        daily = [1.0, *(f(k * h) for k in (1, 2, 3) for f in (math.cos, math.sin))]
        coefficients = iter(place().normals[target])
        return math.fsum(x * y * next(coefficients) for x in annual for y in daily)

    def sun(self, day: int, hour: int) -> float:
        """FAO-56 equations 24, 31 to 33, at the middle of the hour that ends at `hour`."""
        declination = 0.409 * math.sin(2 * math.pi * day / 365 - 1.39)
        b = 2 * math.pi * (day - 81) / 364
        correction = 0.1645 * math.sin(2 * b) - 0.1255 * math.cos(b) - 0.025 * math.sin(b)
        angle = math.pi / 12 * (hour - 0.5 + SITE.longitude / 15 + correction - 12)
        phi = math.radians(SITE.latitude)
        height = math.sin(phi) * math.sin(declination)
        height += math.cos(phi) * math.cos(declination) * math.cos(angle)
        return max(0.0, height)

    def dew_point(self, row: int) -> Value:
        """Magnus form, WMO-No. 8."""
        t, rh = self.series("temperature", row), self.series("humidity", row)
        if t is None or rh is None:
            return None
        g = math.log(max(rh, 1.0) / 100) + 17.62 * t / (243.12 + t)
        return snap(243.12 * g / (17.62 - g))

    def sea_level_pressure(self, row: int) -> Value:
        """Barometric formula with the present temperature."""
        p, t = self.series("pressure", row), self.series("temperature", row)
        if p is None or t is None:
            return None
        return snap(p * math.exp(SITE.elevation_m / (29.27 * (t + 273.15))))

    def wind(self, row: int, part: Callable[[float], float]) -> Value:
        """Part of the wind vector towards east (sine) or north (cosine)."""
        speed, bearing = self.series("wind_speed", row), self.raw[WIND_FROM_DIRECTION][row]
        if speed is None or bearing is None:
            return None
        return snap(-speed * part(math.radians(bearing)))

    def wind_sector(self, row: int) -> Value:
        """1 to 16 clockwise, 16 = north, 0 = calm."""
        speed, bearing = self.series("wind_speed", row), self.raw[WIND_FROM_DIRECTION][row]
        if speed is not None and speed < 0.5:
            return 0.0
        if bearing is None:
            return None
        return float(round(bearing / 22.5) % 16 or 16)

    def anomaly(self, row: int, name: str) -> Value:
        """Value minus normal."""
        value, normal = self.series(name, row), self.series(f"normal_{name}", row)
        return None if value is None or normal is None else snap(value - normal)

    def window(self, series: str, kind: str, hours: int, row: int) -> Value:
        """Statistic of the newest `hours` hours, at least half of them known."""
        now, before = self.series(series, row), self.series(series, row - hours)
        if kind == "lag":
            return before
        if kind == "change":
            return None if now is None or before is None else now - before
        values = [
            v for r in range(row - hours + 1, row + 1) if (v := self.series(series, r)) is not None
        ]
        if 2 * len(values) < hours:
            return None
        mean = math.fsum(values) / len(values)
        if kind == "std":
            return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
        return {"mean": mean, "sum": math.fsum(values), "min": min(values), "max": max(values)}[
            kind
        ]

    def same_hour(self, series: str, day: int, row: int, lead: int) -> Value:
        """Value at the newest hour, `day` days further back, with the target's hour."""
        found = row
        while (self.time(found).hour - self.time(row + lead).hour) % 24:
            found -= 1
        return self.series(series, found - 24 * day)

    def feature(self, name: str, row: int, lead: int) -> Value:
        """One entry of the matrix by its name."""
        if name.startswith("target_"):
            return self.series(name.removeprefix("target_"), row + lead)
        if name.startswith("same_hour_"):
            series, _, day = name.removeprefix("same_hour_").rpartition("_")
            return self.same_hour(series, int(day.removesuffix("d")), row, lead)
        if name.startswith("normal_change_"):
            normal = f"normal_{name.removeprefix('normal_change_')}"
            # Both ends are float32 columns.
            ends = [np.float32(self.series(normal, r)) for r in (row + lead, row)]
            return float(ends[0] - ends[1])
        if name.startswith("reference_"):
            return self.reference(name.removeprefix("reference_"), row, lead)
        kinds = [
            k for k in ("lag", "change", "mean", "std", "min", "max", "sum") if f"_{k}_" in name
        ]
        if not kinds:
            return lead if name == "lead" else self.series(name, row)
        series, _, hours = name.partition(f"_{kinds[0]}_")
        return self.window(series, kinds[0], int(hours.removesuffix("h")), row)

    def reference(self, series: str, row: int, lead: int) -> Value:
        """Now up to 6 h ahead, else the newest same hour, else a day before, else the normal."""
        for candidate in (
            self.series(series, row) if lead <= 6 else None,
            self.same_hour(series, 0, row, lead),
            self.same_hour(series, 1, row, lead),
        ):
            if candidate is not None:
                return candidate
        return self.series(f"normal_{series}", row + lead)


@pytest.fixture(scope="module")
def compared() -> tuple[Oracle, np.ndarray, list[tuple[int, int]]]:
    """A damaged fortnight, its matrix, and the pairs in it."""
    damage = [
        Damage("gap", AIR_TEMPERATURE, 68, 1, 0),
        Damage("gap", AIR_TEMPERATURE, 92, 26, 0),
        Damage("gap", RELATIVE_HUMIDITY, 230, 60, 0),
        Damage("spike", AIR_TEMPERATURE, 60, 1, 30.0),
        Damage("gap", WIND_FROM_DIRECTION, 62, 20, 0),
        Damage("gap", WIND_SPEED, 10, 3, 0),
        Damage("absent", AIR_TEMPERATURE, 150, 4, 0),
    ]
    speed = pl.when(pl.int_range(pl.len()) == 24).then(0.2).otherwise(pl.col(WIND_SPEED))
    calm = record()[5000:5300].with_columns(speed.alias(WIND_SPEED))
    cleaned = quality.clean(spoil(calm, damage))
    pairs = [(row, lead) for row in ORIGINS for lead in LEADS]
    table = features.compute(cleaned, place())
    origins, leads = (np.array(column) for column in zip(*pairs, strict=True))
    return Oracle(cleaned), features.matrix(table, origins, leads), pairs


def test_frame_covers_the_cases(
    compared: tuple[Oracle, np.ndarray, list[tuple[int, int]]],
) -> None:
    """Each feature is both known and missing somewhere, where it can be missing at all."""
    _, matrix, _ = compared
    for column, name in enumerate(features.FEATURES):
        assert np.isfinite(matrix[:, column]).any(), name
    calm = matrix[:, features.FEATURES.index("wind_sector")]
    assert {0.0} < set(calm[np.isfinite(calm)].tolist())


@pytest.mark.parametrize("name", features.FEATURES)
def test_feature_equals_oracle(
    name: str, compared: tuple[Oracle, np.ndarray, list[tuple[int, int]]]
) -> None:
    """Polars and plain loops agree: equal nulls, equal to the last bit of a float32.

    One unit in the last place is allowed, because a double that is rounded twice on the way (an
    array library's sine, a variance in one pass) may fall on the other side of a float32 boundary;
    normals that change by less than themselves keep the rounding of their two float32 ends.
    """
    oracle, matrix, pairs = compared
    column = features.FEATURES.index(name)
    for (row, lead), got in zip(pairs, matrix[:, column], strict=True):
        expected = oracle.feature(name, row, lead)
        where = f"{name} at row {row}, lead {lead}"
        if expected is None:
            assert np.isnan(got), where
            continue
        unit = np.spacing(np.float32(100.0 if name.startswith("normal_change") else expected))
        assert abs(np.float32(expected) - got) <= abs(unit), where
