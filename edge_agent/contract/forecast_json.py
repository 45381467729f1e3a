"""Forecasts as JSON bytes, for the store; NaN becomes null. Pure."""

from __future__ import annotations

import dataclasses
import math
import zlib
from datetime import datetime

import msgspec
import numpy as np

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.forecast import (
    GUIDED_SOURCES,
    Forecast,
    PointForecast,
    Source,
    TargetForecast,
)

Number = float | None


class _Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str
    values: list[Number]
    levels: tuple[float, ...]
    quantiles: tuple[list[Number], ...]


class _Points(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str
    values: list[Number]
    source: Source


class _Forecast(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    issued_at: datetime
    origin: datetime
    valid_at: tuple[datetime, ...]
    targets: dict[str, _Target]
    source: Source
    release: int | None
    notes: tuple[str, ...]
    # Forecasts stored by older agents have none.
    adjusted: tuple[str, ...] = ()
    # Agents that do not know these refuse them; the store leaves them out.
    sources: dict[str, tuple[Source, ...]] = {}
    points: dict[str, _Points] = {}


def to_bytes(forecast: Forecast, *, digits: int | None = 3) -> bytes:
    """Forecast as JSON, numbers to a thousandth: finer than any sensor, and half the bytes.

    Args:
        forecast: What to store.
        digits: After the point; None keeps every bit.
    """
    return msgspec.json.encode(
        _Forecast(
            forecast.issued_at,
            forecast.origin,
            tuple(forecast.valid_at),
            {
                name: _Target(
                    target.unit,
                    _numbers(target.values, digits),
                    tuple(target.levels.tolist()),
                    tuple(_numbers(row, digits) for row in target.quantiles),
                )
                for name, target in forecast.targets.items()
            },
            forecast.source,
            forecast.release,
            tuple(forecast.notes),
            tuple(forecast.adjusted),
            {name: tuple(made) for name, made in forecast.sources.items()},
            {
                name: _Points(point.unit, _numbers(point.values, digits), point.source)
                for name, point in forecast.points.items()
            },
        )
    )


def from_bytes(content: bytes) -> Forecast:
    """Forecast from the output of `to_bytes`.

    Raises:
        BadData: Not a stored forecast.
    """
    try:
        stored = msgspec.json.decode(content, type=_Forecast)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise BadData(f"kept forecast: {in_words(fault)}") from fault
    return Forecast(
        stored.issued_at,
        stored.origin,
        stored.valid_at,
        {
            name: TargetForecast(
                target.unit,
                np.array(target.values, dtype=np.float64),
                np.array(target.levels, dtype=np.float64),
                np.array(target.quantiles, dtype=np.float64),
            )
            for name, target in stored.targets.items()
        },
        stored.source,
        stored.release,
        stored.notes,
        stored.adjusted,
        stored.sources,
        {
            name: PointForecast(point.unit, np.array(point.values, dtype=np.float64), point.source)
            for name, point in stored.points.items()
        },
    )


def packed(forecast: Forecast) -> bytes:
    """Compressed JSON that earlier agents can read too: `source` is to be kept beside it.

    Without `points`: they are taken from KMA's newest forecast anew. Without the hours at the end
    that are normals alone: `sources`, which tells so, is left out.
    """
    end = len(forecast.valid_at)
    if forecast.sources and forecast.source is not Source.CLIMATOLOGY:
        made = zip(*forecast.sources.values(), strict=True)
        known = [row for row, hour in enumerate(made) if set(hour) != {Source.CLIMATOLOGY}]
        end = max(known, default=end - 1) + 1
    source = Source.MODEL_RELAYED if forecast.source in GUIDED_SOURCES else forecast.source
    return zlib.compress(
        to_bytes(
            dataclasses.replace(
                forecast,
                valid_at=forecast.valid_at[:end],
                targets={name: t.at_rows(range(end)) for name, t in forecast.targets.items()},
                source=source,
                sources={},
                points={},
            )
        )
    )


def unpacked(content: bytes, source: str) -> Forecast:
    """Forecast from the output of `packed`.

    Raises:
        BadData: Not a stored forecast.
    """
    return dataclasses.replace(from_bytes(zlib.decompress(content)), source=Source(source))


def _numbers(values: np.ndarray, digits: int | None) -> list[Number]:
    plain: list[float] = (values if digits is None else np.round(values, digits)).tolist()
    return [number if math.isfinite(number) else None for number in plain]
