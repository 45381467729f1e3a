"""Hours of the farm's own outdoor sensors, for files and messages. All but `hours` is pure.

Values are rounded to a thousandth, which is finer than any sensor, so that files and messages hold
the same numbers.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.farm_identity import EXPORT, Identity, encode
from edge_agent.contract.schema import OBSERVED, TIME
from edge_agent.observations.sensors import source_of
from edge_agent.observations.source_choice import knows

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.observations.store import Store
    from edge_agent.settings import Device

SOURCE: Final = source_of("outdoor")
_DIGITS: Final = 3


def identity(device: Device) -> Identity:
    """The farm and the place that the hours belong to."""
    return Identity(
        site=device.site,
        device=device.id,
        latitude=device.latitude,
        longitude=device.longitude,
        elevation_m=device.elevation_m,
        source=SOURCE,
    )


def hours(store: Store, start: datetime, end: datetime) -> pl.DataFrame:
    """Hours with `start <= time <= end`: `time` and the quantities that any of them has.

    Ascending; hours without any value are absent, null is missing.

    Raises:
        StorageError: The disk refused.
    """
    frame = store.hourly(SOURCE, start, end)
    measured = [name for name in OBSERVED if knows(frame, name)]
    if not measured:
        return frame.select(TIME).clear()
    rounded = frame.select(TIME, pl.col(measured).round(_DIGITS))
    return rounded.filter(pl.any_horizontal(pl.col(measured).is_not_null()))


def to_parquet(frame: pl.DataFrame, identity: Identity) -> bytes:
    """Parquet file of `hours`, with their identity in its metadata."""
    target = io.BytesIO()
    frame.write_parquet(target, metadata={EXPORT: encode(identity)})
    return target.getvalue()


def to_csv(frame: pl.DataFrame, identity: Identity) -> bytes:
    """CSV file of `hours`, UTF-8, times in UTC; their identity is the first line, a comment."""
    rows = frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return f"# {EXPORT} {encode(identity)}\n{rows}".encode()
