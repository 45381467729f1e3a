"""Seams to the outside: what the pure parts may ask of the world, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import polars as pl


class Clock(Protocol):
    """Where time comes from. One `now` a decision: read it once and hand it on."""

    def now(self) -> datetime:
        """Aware UTC time of the wall clock."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...


class ObservationSource(Protocol):
    """Hourly observations of one place."""

    def hourly(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Rows with `start <= time <= end` in the columns of `contract.schema`; null = missing."""
        ...


class Predictor(Protocol):
    """One trained target."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Float32 matrix (rows, features) -> float32 vector (rows), in the target's unit."""
        ...
