"""Continues a forecast that ends early by normals, so that every forecast has all its hours. Pure.

C1  Models on an observation of some hours ago, an earlier forecast, and KMA's forecast may end
    before the last hour. The hours that are missing at the end are normals, called `climatology`.
C2  Normals are moved to the forecast's last value, by a difference that fades as in `joining` J3,
    and the distances of its quantiles become theirs as in J4. A target that has no normals here,
    such as wind speed, is not known.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract.forecast import Source, TargetForecast
from edge_agent.contract.hours import start_of_hour
from edge_agent.contract.schema import LEADS
from edge_agent.forecasting import forecaster
from edge_agent.forecasting.joining import Course, at_levels_of, distribution

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast
    from edge_agent.contract.schema import Site
    from edge_agent.forecasting.forecaster import LoadedRelease


def completed(forecast: Forecast, release: LoadedRelease, site: Site) -> Forecast:
    """The forecast up to the last of `LEADS` after its issue.

    Args:
        forecast: At least one hour; without `points`.
        release: Has the normals.
        site: The farm.
    """
    last, now = forecast.valid_at[-1], forecast.issued_at
    if last >= start_of_hour(now) + timedelta(hours=max(LEADS)):
        return forecast
    normals = forecaster.normals(release, site, now)
    begin = sum(at <= last for at in normals.valid_at)
    times = normals.valid_at[begin:]
    return replace(
        forecast,
        valid_at=[*forecast.valid_at, *times],
        targets={
            name: _continued(name, target, normals.targets[name], begin)
            if name in normals.targets
            else target.at_rows([*range(len(forecast.valid_at)), *(-1 for _ in times)])
            for name, target in forecast.targets.items()
        },
        sources={
            name: (*forecast.sources_of(name), *(Source.CLIMATOLOGY for _ in times))
            for name in forecast.targets
        },
    )


def _continued(
    name: str, target: TargetForecast, normals: TargetForecast, begin: int
) -> TargetForecast:
    """A target with the normals from row `begin` on; the row before is its last hour."""
    before, alone = Course.of(target), Course.of(at_levels_of(target, normals))
    difference = before.values[-1] - alone.values[begin - 1]
    distance = np.arange(len(alone.values)) - (begin - 1)
    course = alone.moved(difference, before.around[-1], distance)
    added = distribution(name, target, course, slice(begin, None))
    return TargetForecast(
        target.unit,
        np.concatenate([target.values, added.values]),
        target.levels,
        np.concatenate([target.quantiles, added.quantiles]),
    )
