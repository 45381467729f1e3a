"""Chooses the forecast to publish when the models cannot forecast from current hours. Pure.

L1  A forecast by the models on current observations is always preferred.
L2  Else the newest earlier forecast by the models, called `cached`. Its origin is not older than
    `CACHED_MAX_AGE`, and at least `CACHED_MIN_HOURS` of its hours are still to come.
L3  Else what the forecaster gives: persistence blended with climatology, climatology, or the reason
    why there is no forecast.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.forecast import Forecast, NoForecast, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHED_MAX_AGE: Final = timedelta(hours=36)
CACHED_MIN_HOURS: Final = 12
MODELS: Final = (Source.MODEL, Source.MODEL_RELAYED)


def choose(
    newest: Forecast | NoForecast, earlier: Sequence[Forecast], now: datetime
) -> Forecast | NoForecast:
    """The forecast to publish.

    Args:
        newest: Result of `forecaster.make` now.
        earlier: Earlier forecasts, oldest first.
        now: Time of the decision, UTC.
    """
    if isinstance(newest, Forecast) and newest.source in MODELS:
        return newest
    for forecast in reversed(earlier):
        if forecast.source not in MODELS or not now - CACHED_MAX_AGE <= forecast.origin <= now:
            continue
        rows = [row for row, at in enumerate(forecast.valid_at) if at > now]
        if len(rows) >= CACHED_MIN_HOURS:
            why = newest.notes if isinstance(newest, Forecast) else [newest.reason]
            return _cached(forecast, rows, now, why)
    return newest


def _cached(forecast: Forecast, rows: list[int], now: datetime, why: Sequence[str]) -> Forecast:
    return replace(
        forecast,
        issued_at=now,
        valid_at=[forecast.valid_at[row] for row in rows],
        targets={name: target.at_rows(rows) for name, target in forecast.targets.items()},
        source=Source.CACHED,
        sources={},
        notes=[*why, f"forecast of {forecast.origin:%Y-%m-%dT%H:%MZ} goes on"],
    )
