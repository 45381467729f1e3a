"""What the farm's own outdoor sensors measured, hour by hour, as it is handed on. Pure but `hours`.

Values go out to a thousandth, in files and in messages alike: finer than any sensor, and the same
hour told twice is the same number.
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
    """Whose hours they are, and where."""
    return Identity(
        site=device.site,
        device=device.id,
        latitude=device.latitude,
        longitude=device.longitude,
        elevation_m=device.elevation_m,
        source=SOURCE,
    )


def hours(store: Store, start: datetime, end: datetime) -> pl.DataFrame:
    """Hours with `start <= time <= end`: `time` and the quantities that any of them knows.

    Ascending; hours without any value are absent, null is missing.

    Raises:
        StorageError: The disk refused.
    """
    frame = store.hourly(SOURCE, start, end)
    known = [name for name in OBSERVED if knows(frame, name)]
    if not known:
        return frame.select(TIME).clear()
    told = frame.select(TIME, pl.col(known).round(_DIGITS))
    return told.filter(pl.any_horizontal(pl.col(known).is_not_null()))


def to_parquet(frame: pl.DataFrame, whose: Identity) -> bytes:
    """Parquet file of `hours`, with their identity in its metadata."""
    target = io.BytesIO()
    frame.write_parquet(target, metadata={EXPORT: encode(whose)})
    return target.getvalue()


def to_csv(frame: pl.DataFrame, whose: Identity) -> bytes:
    """CSV file of `hours`, UTF-8, times in UTC; their identity is the first line, a comment."""
    rows = frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return f"# {EXPORT} {encode(whose)}\n{rows}".encode()
