"""Hand-made forecasts for tests of rules, messages and the cycle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from edge_agent.contract import schema
from edge_agent.contract.forecast import Forecast, Source, TargetForecast

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 7, 1, 5, 0, tzinfo=UTC)
LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
SPREAD = np.array([-3.0, -2.4, -1.2, 0.0, 1.2, 2.4, 3.0])


def hours_after(origin: datetime, count: int) -> tuple[datetime, ...]:
    """The `count` full hours that follow `origin`."""
    return tuple(origin + timedelta(hours=step) for step in range(1, count + 1))


def target(values: Sequence[float | None], unit: str = "°C", width: float = 1.0) -> TargetForecast:
    """Forecast with a symmetric spread around each value; None = no number for that hour."""
    points = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return TargetForecast(
        unit=unit,
        values=points,
        levels=LEVELS,
        quantiles=points[:, None] + width * SPREAD[None, :],
    )


def forecast(
    temperature: Sequence[float | None],
    humidity: Sequence[float | None] | None = None,
    *,
    now: datetime = NOW,
    source: Source = Source.MODEL,
) -> Forecast:
    """Forecast that starts one hour after `now`; humidity is 60 % where it is not given."""
    damp = [60.0] * len(temperature) if humidity is None else humidity
    return Forecast(
        issued_at=now,
        origin=now - timedelta(hours=0),
        valid_at=hours_after(now, len(temperature)),
        targets={
            schema.AIR_TEMPERATURE: target(temperature),
            schema.RELATIVE_HUMIDITY: target(damp, "%", 5.0),
        },
        source=source,
        release=7,
    )
