"""How far stations are from each other, and what the check of own sensors makes of it.

    python -m bench.skill.source_gaps DATA [--farm FARM]

DATA is a folder of stations' records in KMA's names. For each pair of stations up to 45 km apart:
quantiles of the median difference of 6 and 24 hours at one height, and the share of hours in which
the one as a farm's sensor would be told to have a gap to the other, or to be stuck (as it is, and
rounded to whole degrees).

With FARM, a device's folder with a release: POD and FAR of the built-in frost rule in two winters
at every third hour, by own sensors, by the station, and by the worse of both.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec.structs import replace

from edge_agent.alerts import default_rules
from edge_agent.alerts.evidence import from_forecast, worse
from edge_agent.contract import climatology, kma_fields
from edge_agent.contract.forecast import Forecast
from edge_agent.contract.schema import AIR_TEMPERATURE, OBSERVED, TARGETS, TIME
from edge_agent.contract.stations import station
from edge_agent.core.loaded_release import load_release
from edge_agent.observations import source_choice, source_gap
from edge_agent.replay.recorded_weather import RecordedWeather
from edge_agent.settings import Config, Device
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    from edge_agent.forecasting.forecaster import LoadedRelease

HOUR = timedelta(hours=1)
MOST_KM = 45.0
LEVELS = (0.99, 0.995, 0.999, 1.0)
WINTERS = ((2018, 10), (2019, 10))
FIRST = datetime(2018, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--farm", type=Path)
    chosen = parser.parse_args()
    records = read(chosen.data)
    release = None
    if chosen.farm:
        installed = Slots(chosen.farm / "state").load()
        assert installed is not None, "no release is installed"
        release = load_release(installed, Device().full_id)
    for own, other in permutations(records, 2):
        if apart_km(own, other) > MOST_KM:
            continue
        print(f"farm at {own}, station {other}, {apart_km(own, other):.0f} km")
        if own < other:
            differences(records[own], records[other], warmer(own, other))
        told(records[own], records[other], warmer(own, other))
        if release is not None:
            frost(records[own], records[other], device(own, other), release)


def read(folder: Path) -> dict[int, pl.DataFrame]:
    """Hours of each station since 2018, flagged values left out."""
    records: dict[int, list[pl.DataFrame]] = {}
    for path in sorted(folder.glob("asos_hourly_[0-9]*.parquet")):
        for (number,), rows in pl.read_parquet(path).group_by("station"):
            records.setdefault(int(number), []).append(rows)
    hours = {
        number: kma_fields.tidy(pl.concat(parts, how="diagonal_relaxed"), station(number).site)
        for number, parts in sorted(records.items())
    }
    return {
        number: frame.filter(pl.col(TIME) >= FIRST).select(TIME, *OBSERVED).sort(TIME)
        for number, frame in hours.items()
    }


def apart_km(one: int, other: int) -> float:
    """Distance between two stations."""
    a, b = station(one).site, station(other).site
    north = np.radians(a.latitude - b.latitude)
    middle = np.radians((a.latitude + b.latitude) / 2)
    east = np.radians(a.longitude - b.longitude) * np.cos(middle)
    return float(6371 * np.hypot(north, east))


def device(own: int, other: int) -> Device:
    """A farm at one station whose relayed station is another."""
    site = station(own).site
    return replace(
        Device(),
        latitude=site.latitude,
        longitude=site.longitude,
        elevation_m=site.elevation_m,
        station=other,
    )


def warmer(own: int, other: int) -> float:
    """To add to the other's temperature, for the height of the first."""
    above = station(other).site.elevation_m - station(own).site.elevation_m
    return climatology.LAPSE_C_PER_M * above


def differences(own: pl.DataFrame, other: pl.DataFrame, height: float) -> None:
    """Print quantiles of the medians."""
    both = own.join(other, on=TIME, suffix="_other").upsample(TIME, every="1h")
    for name in TARGETS:
        off = both[name] - both[f"{name}_other"] - (height if name == AIR_TEMPERATURE else 0.0)
        for hours, _ in source_gap.WINDOWS:
            medians = off.rolling_median(hours, min_samples=hours * 3 // 4).abs()
            values = ", ".join(f"{100 * q:g} %: {medians.quantile(q):.1f}" for q in LEVELS)
            print(f"  {name}, median of {hours} h, {values}")


def told(own: pl.DataFrame, other: pl.DataFrame, height: float) -> None:
    """Print how often a gap would be told at every third hour."""
    for about, digits in (("as it is", 1), ("whole degrees", 0)):
        coarse = own.with_columns(pl.col(AIR_TEMPERATURE).round(digits))
        apart, stuck, count = 0, 0, 0
        for now in moments(own):
            mine, theirs = (recent(frame, now) for frame in (coarse, other))
            gaps = source_gap.find(mine, {"station": theirs}, {"station": height}, now)
            apart += any(gap.median is not None for gap in gaps)
            stuck += any(gap.median is None for gap in gaps)
            count += 1
        print(f"  {about}: gap {apart / count:.2%}, stuck {stuck / count:.2%} of {count} hours")


def moments(frame: pl.DataFrame) -> list[datetime]:
    """Every third hour of a record."""
    times: list[datetime] = frame[TIME][48::3].to_list()
    return times


def recent(frame: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The last two days."""
    first = frame[TIME].search_sorted(now - 48 * HOUR)
    return frame[first : frame[TIME].search_sorted(now, "right")]


def frost(own: pl.DataFrame, other: pl.DataFrame, where: Device, release: LoadedRelease) -> None:
    """Print POD and FAR of the built-in frost rule."""
    rule = next(rule for rule in default_rules.rules(Config()) if rule.name == "frost")
    name, relayed, *more = source_choice.names(where)
    nothing = own.clear()
    frames = {name: own, relayed: other} | dict.fromkeys(more, nothing)
    weather = RecordedWeather(frames, where)
    heights = source_gap.heights(where, release.manifest.sites)
    seen = dict(own.select(TIME, AIR_TEMPERATURE).drop_nulls().iter_rows())
    rows = []
    for year, month in WINTERS:
        start = datetime(year, month, 15, tzinfo=UTC)
        for step in range(0, 24 * 192, 3):
            now = start + step * HOUR + timedelta(minutes=2)
            after = [seen.get(start + (step + k) * HOUR) for k in range(1, 25)]
            observed = [value for value in after if value is not None]
            mine, source = weather.forecast(release, now)
            theirs, _ = weather.relayed(release, now)
            if source != name or len(observed) < 20:
                continue
            assert isinstance(mine, Forecast)
            assert isinstance(theirs, Forecast)
            raw = weather.raw(now, source_gap.RECENT_H)
            agreed = source_gap.agree(
                AIR_TEMPERATURE, raw[name], raw[relayed], heights.get(relayed, 0.0)
            )
            first, second = (from_forecast(rule, each, now) for each in (mine, theirs))
            both = worse(first, second)
            warned = (first.met, second.met, first.met if agreed else both.met, both.met)
            rows.append((*map(bool, warned), min(observed) <= 0, agreed))
    table = np.array(rows)
    came = table[:, 4]
    print(
        f"  frost: {len(rows)} hours, in {came.mean():.0%} it came, {table[:, 5].mean():.0%} agree"
    )
    for about, warned in zip(("own", "station", "worse", "worse always"), table.T, strict=False):
        hits = (warned & came).sum()
        print(f"    {about:13} POD {hits / came.sum():.3f} FAR {1 - hits / warned.sum():.3f}")


if __name__ == "__main__":
    main()
