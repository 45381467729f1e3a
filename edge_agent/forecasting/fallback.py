"""Which forecast to say when the newest one is poor. Pure.

L1  A forecast by the models on current observations is always preferred.
L2  Else the newest kept one of the models whose origin is not older than `CACHED_MAX_AGE`
    and which still speaks of `CACHED_MIN_HOURS` hours to come, called `cached`.
L3  Else what there is: persistence blended with climatology, climatology, or the reason why there
    is nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.forecast import Forecast, NoForecast, Source, TargetForecast

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHED_MAX_AGE: Final = timedelta(hours=36)
CACHED_MIN_HOURS: Final = 12
MODELS: Final = (Source.MODEL, Source.MODEL_RELAYED)


def choose(
    made: Forecast | NoForecast, kept: Sequence[Forecast], now: datetime
) -> Forecast | NoForecast:
    """The forecast to publish.

    Args:
        made: What `forecast.make` gave now.
        kept: Earlier forecasts, oldest first.
        now: Time of the decision, UTC.
    """
    if isinstance(made, Forecast) and made.source in MODELS:
        return made
    for earlier in reversed(kept):
        if earlier.source not in MODELS or not now - CACHED_MAX_AGE <= earlier.origin <= now:
            continue
        ahead = [i for i, at in enumerate(earlier.valid_at) if at > now]
        if len(ahead) >= CACHED_MIN_HOURS:
            why = made.notes if isinstance(made, Forecast) else [made.reason]
            return _cached(earlier, ahead, now, why)
    return made


def _cached(earlier: Forecast, ahead: Sequence[int], now: datetime, why: Sequence[str]) -> Forecast:
    rows = list(ahead)
    return replace(
        earlier,
        issued_at=now,
        valid_at=[earlier.valid_at[i] for i in rows],
        targets={
            name: TargetForecast(t.unit, t.values[rows], t.levels, t.quantiles[rows])
            for name, t in earlier.targets.items()
        },
        source=Source.CACHED,
        notes=[*why, f"forecast of {earlier.origin:%Y-%m-%dT%H:%MZ} goes on"],
    )
