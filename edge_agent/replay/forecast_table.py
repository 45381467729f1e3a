"""The forecasts of a replay as one table: a row for each decision, hour ahead and quantity."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from edge_agent.alerts import default_rules
from edge_agent.contract.errors import CannotCreate, UsageError
from edge_agent.contract.forecast import P10, P90, Forecast
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import TARGETS, TIME_DTYPE
from edge_agent.replay import replay
from edge_agent.settings import Builtin, Config
from edge_agent.system.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.replay.history import History
    from edge_agent.settings import Device

_LEVELS: Final = (P10, 0.5, P90)
SCHEMA: Final = pl.Schema(
    {
        "issued_at": TIME_DTYPE,
        "valid_at": TIME_DTYPE,
        "lead_h": pl.Int32(),
        "quantity": pl.String(),
        "value": pl.Float64(),
        "p10": pl.Float64(),
        "p50": pl.Float64(),
        "p90": pl.Float64(),
        "source": pl.String(),
        "release": pl.Int64(),
    }
)
"""Columns of the table. `issued_at` is the time of the decision, two minutes after a full hour;
`lead_h` is `valid_at` minus that full hour; `release` is null where no release took part."""
_US_PER_S: Final = 1_000_000
_S_PER_H: Final = 3600
_NONE: Final = -1


@dataclass
class ForecastTable:
    """Takes the decisions of a replay one by one; an hour without a forecast has no rows."""

    _times: list[np.ndarray] = field(default_factory=list)
    _values: list[np.ndarray] = field(default_factory=list)
    _sources: list[str] = field(default_factory=list)

    def add(self, decision: Decision) -> None:
        """Take one hour."""
        forecast = decision.forecast
        if not isinstance(forecast, Forecast):
            return
        hours = np.array([hour_of(at) for at in forecast.valid_at])
        issued = int(forecast.issued_at.timestamp()) * _US_PER_S
        release = _NONE if forecast.release is None else forecast.release
        for index, name in enumerate(TARGETS):
            target = forecast.targets[name]
            columns = (issued, hours, hours - hour_of(forecast.issued_at), index, release)
            self._times.append(np.stack(np.broadcast_arrays(*columns)))
            quantiles = [target.quantile(level) for level in _LEVELS]
            self._values.append(np.stack([target.values, *quantiles]))
            self._sources += map(str, forecast.sources_of(name))

    def frame(self) -> pl.DataFrame:
        """Rows so far, columns of `SCHEMA`, in the order of the decisions."""
        if not self._times:
            return SCHEMA.to_frame()
        issued, hours, leads, quantity, release = np.concatenate(self._times, axis=1)
        values = np.concatenate(self._values, axis=1)
        frame = pl.DataFrame(
            {
                "issued_at": issued,
                "valid_at": hours * _S_PER_H * _US_PER_S,
                "lead_h": leads,
                "quantity": pl.Series(TARGETS).gather(quantity),
                **dict(zip(("value", "p10", "p50", "p90"), values, strict=True)),
                "source": self._sources,
                "release": release,
            }
        )
        known = pl.when(pl.col("release") != _NONE).then("release").alias("release")
        times = pl.from_epoch(pl.col("issued_at", "valid_at"), "us").dt.replace_time_zone("UTC")
        return frame.with_columns(times, known).cast(SCHEMA)

    def write(self, path: Path) -> int:
        """Write `frame` to a Parquet file, which it replaces; number of rows.

        Raises:
            CannotCreate: The file cannot be written.
        """
        frame, content = self.frame(), io.BytesIO()
        frame.write_parquet(content)
        try:
            write_atomic(path, content.getvalue())
        except OSError as fault:
            raise CannotCreate(f"{path}: {fault.strerror}; choose another place") from fault
        return frame.height


def check_output(path: Path, inputs: Iterable[Path]) -> None:
    """Refuse a file that would be written over one that is read, before hours of work.

    Args:
        path: Where the table goes.
        inputs: Every file that is read; those that are absent are passed over.

    Raises:
        UsageError: The path is one of the inputs, or does not end in .parquet.
    """
    if path.suffix.lower() != ".parquet":
        raise UsageError(
            f"{path}: forecasts are written as Parquet: give a name that ends in .parquet"
        )
    if path.exists() and any(other.exists() and path.samefile(other) for other in inputs):
        raise UsageError(
            f"{path}: is read, and would be replaced by the forecasts: give another name"
        )


def past_forecasts(device: Device, release: LoadedRelease, history: History) -> ForecastTable:
    """What a device forecasts at a place over the past, without alerts.

    Args:
        device: Where, and which station is relayed.
        release: The release that forecasts.
        history: What was observed and what KMA forecast.

    Raises:
        BadData: A model cannot compute.
    """
    config = Config(device=device, builtin=Builtin(off=default_rules.NAMES))
    table = ForecastTable()
    decisions = replay.run(
        config,
        release,
        history.observations,
        history.first,
        history.last,
        guidance=history.guidance,
    )
    for decision in decisions:
        table.add(decision)
    return table
