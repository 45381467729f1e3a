"""Interfaces to the outside that pure code takes as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np


class Clock(Protocol):
    """Where time comes from. Read `now` once for each decision and pass it on."""

    def now(self) -> datetime:
        """Aware UTC time of the wall clock."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...


class Predictor(Protocol):
    """One trained target."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Float32 matrix (rows, features) -> float32 vector (rows), in the target's unit."""
        ...
