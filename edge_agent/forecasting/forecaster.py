"""Observations + release -> forecast, by the first method that the observations allow.

Methods (the tests name the numbers):
    F1  the release's models, on observations not older than `MAX_AGE_HOURS`. Older ones are
        bridged by longer leads, so the intervals get wider with the age. Forecasts from the farm's
        own sensors are corrected for this farm, where the release has a correction.
    F2  persistence blended with climatology, on an observation not older than
        `PERSISTENCE_MAX_AGE_HOURS`, where the models cannot: see `contract.damped_persistence`.
    F3  climatology: the site's normals with the spread of past years.
    F4  `NoForecast`: no release, so there are no models and no normals.

Pure: no clock, no disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from edge_agent.contract import (
    climatology,
    damped_persistence,
    features,
    missing_inputs,
    residuals,
    site_correction,
)
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.nearest import nearest_station
from edge_agent.contract.quality import clean
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    LEADS,
    QUANTITIES,
    TARGETS,
    TIME,
    TIME_DTYPE,
    Site,
)
from edge_agent.forecasting import optional_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.contract.forecast import TargetForecast
    from edge_agent.contract.manifest import Manifest, SiteNormals
    from edge_agent.contract.site_correction import Correction
    from edge_agent.forecasting.optional_models import OptionalModel
    from edge_agent.system.ports import Predictor

_HOUR: Final = timedelta(hours=1)
MAX_AGE_HOURS: Final = 12
"""Oldest newest observation from which the models still forecast."""

PERSISTENCE_MAX_AGE_HOURS: Final = 24
"""Oldest newest observation that improves on the normals alone."""

HISTORY_HOURS: Final = features.LOOKBACK_HOURS + MAX_AGE_HOURS
"""Hours before now that `make` looks at."""


class LoadedRelease(Protocol):
    """A verified release with its models in memory."""

    @property
    def manifest(self) -> Manifest:
        """The release's description."""

    @property
    def predictors(self) -> Mapping[str, Predictor]:
        """One per target."""

    @property
    def guided(self) -> Mapping[str, Predictor]:
        """Models that correct KMA's forecasts, by target; empty where the release has none."""

    @property
    def optional(self) -> Mapping[str, OptionalModel]:
        """Models of optional targets; a target without one is not there."""

    @property
    def tuning(self) -> Mapping[str, Correction]:
        """This farm's corrections by target; a target without one is not there."""


@dataclass(frozen=True, slots=True)
class CheckedSeries:
    """Checked hours of one place and their features.

    Attributes:
        place: Where, with normals.
        checked: Output of `quality.clean`, hourly, ascending.
        table: `features.compute` of it.
        usable: Rows at which every target is known, ascending.
    """

    place: features.Place
    checked: pl.DataFrame
    table: pl.DataFrame
    usable: np.ndarray

    @classmethod
    def of(cls, checked: pl.DataFrame, place: features.Place) -> CheckedSeries:
        """Series of checked hours.

        Args:
            checked: Output of `quality.clean`, at least one hour. A forecast of one of its hours
                needs the `HISTORY_HOURS` before it; more hours change nothing.
            place: Where the observations are from.
        """
        complete = pl.all_horizontal(pl.col(name).is_not_null() for name in TARGETS)
        usable = checked.select(complete).to_series().arg_true().to_numpy()
        return cls(place, checked, features.compute(checked, place), usable)


def make(
    observations: pl.DataFrame,
    site: Site,
    release: LoadedRelease | None,
    now: datetime,
    *,
    source: Source = Source.MODEL,
) -> Forecast | NoForecast:
    """Forecast every hour from the next full hour to 48 h after the newest observation.

    Args:
        observations: Raw hourly frame of the newest `HISTORY_HOURS`; checked here. Rows after
            `now` are ignored.
        site: Where the observations are from.
        release: What is installed, or None.
        now: Time of the decision, UTC.
        source: Name of an F1 forecast: from own sensors or from a relayed station.
    """
    if release is None:
        return no_release(now)
    place = place_of(site, release.manifest.sites)
    return continued(
        CheckedSeries.of(_recent(observations, now), place), release, now, source=source
    )


def no_release(now: datetime) -> NoForecast:
    """Method F4."""
    return NoForecast(now, "no approved release is installed; run `edge-agent sync`")


def continued(
    series: CheckedSeries, release: LoadedRelease, now: datetime, *, source: Source
) -> Forecast | NoForecast:
    """Methods F1 to F3, from hours that are checked already.

    Args:
        series: Has the `HISTORY_HOURS` before `now`; what comes after `now` is not looked at.
        release: What is installed.
        now: Time of the decision, UTC.
        source: Name of an F1 forecast. Corrections were fitted on the farm's own sensors, so they
            are applied to `Source.MODEL` alone.
    """
    manifest, place = release.manifest, series.place
    first: datetime = series.checked[TIME][0]
    row = _newest(series.usable, int((now - first) / _HOUR))
    if row is None:
        return _climatology(manifest, place, now, "no usable observation at hand")
    origin = first + row * _HOUR
    age = (now - origin) / _HOUR
    if age > MAX_AGE_HOURS:
        why = f"newest usable observation is {age:.0f} h old, more than {MAX_AGE_HOURS} h"
        if age > PERSISTENCE_MAX_AGE_HOURS:
            return _climatology(manifest, place, now, why)
        return _persistence(series, row, manifest, now, why)
    leads = np.array(LEADS)
    matrix = features.matrix(series.table, np.full(len(leads), row), leads)
    valid_at = [origin + int(lead) * _HOUR for lead in leads]
    ahead = np.array([time > now for time in valid_at])
    times = [time for time in valid_at if time > now]
    missing = missing_inputs.missing(matrix)
    corrections = release.tuning if source is Source.MODEL else {}
    targets: dict[str, TargetForecast] = {}
    for target in TARGETS:
        table = manifest.residuals[target]
        factors = manifest.widening.get(target, {})
        points = release.predictors[target].predict(matrix)
        widened = missing_inputs.widening(factors, missing, table.leads, leads)
        if target in corrections:
            points = points + site_correction.change(corrections[target], matrix, leads)
            widened = widened * site_correction.spread(corrections[target], leads)
        if not np.isfinite(points[ahead]).all():
            why = f"the model of {target} gave no number"
            return _persistence(series, row, manifest, now, why)
        targets[target] = residuals.apply(
            table, target, points[ahead], times, leads[ahead], widened=widened[ahead]
        )
    hours = optional_models.Ahead(series.table, row, leads[ahead], times, MAX_AGE_HOURS)
    targets |= optional_models.targets_of(release.optional, place, manifest.sites, hours)
    notes = [] if age < 2 else [f"newest usable observation is {age:.0f} h old"]
    adjusted = (site_correction.TUNED,) if corrections else ()
    return Forecast(now, origin, times, targets, source, manifest.release, notes, adjusted)


def normals(release: LoadedRelease, site: Site, now: datetime) -> Forecast:
    """Method F3, whatever was observed."""
    return _climatology(release.manifest, place_of(site, release.manifest.sites), now, "")


def place_of(site: Site, stations: Mapping[str, SiteNormals]) -> features.Place:
    """Normals of the nearest station, with the temperature moved to the site by the lapse rate.

    Raises:
        ValueError: The release names no station.
    """
    nearest = stations[nearest_station(site, stations)]
    temperature = list(nearest.coefficients[AIR_TEMPERATURE])
    temperature[0] -= climatology.LAPSE_C_PER_M * (site.elevation_m - nearest.elevation_m)
    return features.Place(site, {**nearest.coefficients, AIR_TEMPERATURE: tuple(temperature)})


def _recent(observations: pl.DataFrame, now: datetime) -> pl.DataFrame:
    hour = start_of_hour(now)
    start = hour - timedelta(hours=HISTORY_HOURS - 1)
    recent = observations.filter(pl.col(TIME).is_between(start, hour))
    return clean(recent, start=start, end=hour)


def _newest(usable: np.ndarray, last: int) -> int | None:
    """Newest usable row that is within `HISTORY_HOURS` of row `last`, which may be later still."""
    position = int(np.searchsorted(usable, last, side="right")) - 1
    if position < 0 or usable[position] <= last - HISTORY_HOURS:
        return None
    return int(usable[position])


def _persistence(
    series: CheckedSeries, row: int, manifest: Manifest, now: datetime, why: str
) -> Forecast:
    first: datetime = series.checked[TIME][0]
    origin = first + row * _HOUR
    leads = int((now - origin) / _HOUR) + np.array(LEADS)
    times = [origin + int(lead) * _HOUR for lead in leads]
    same = row + leads - 24 * ((leads + 23) // 24)
    targets = {}
    for target in TARGETS:
        normals, anomalies = _anomalies(series, target)
        newest, same_hour, error = damped_persistence.shares(target, leads)
        before = np.where(same >= 0, anomalies[np.maximum(same, 0)], np.nan)
        before = np.where(np.isfinite(before), before, anomalies[row])
        targets[target] = residuals.apply(
            manifest.climatology_residuals[target],
            target,
            normals[row + leads] + newest * anomalies[row] + same_hour * before,
            times,
            leads,
            widened=error,
        )
    return Forecast(now, origin, times, targets, Source.PERSISTENCE, manifest.release, [why])


def _anomalies(series: CheckedSeries, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Normals and anomalies of every row; the rows continue beyond the last observation."""
    name = QUANTITIES[target].short_name
    columns = (f"normal_{name}", f"{name}_anomaly")
    normals, anomalies = (series.table[c].to_numpy().astype(np.float64) for c in columns)
    return normals, anomalies


def _climatology(manifest: Manifest, place: features.Place, now: datetime, why: str) -> Forecast:
    hour = start_of_hour(now)
    times: Sequence[datetime] = [hour + timedelta(hours=lead) for lead in LEADS]
    series = pl.Series(times, dtype=TIME_DTYPE)
    day = series.dt.ordinal_day().to_numpy().astype(np.intp) - 1
    clock = series.dt.hour().to_numpy().astype(np.intp)
    targets = {
        target: residuals.apply(
            manifest.climatology_residuals[target],
            target,
            climatology.table(place.normals[target])[day, clock],
            times,
            np.array(LEADS),
        )
        for target in TARGETS
    }
    return Forecast(now, hour, times, targets, Source.CLIMATOLOGY, manifest.release, [why])
