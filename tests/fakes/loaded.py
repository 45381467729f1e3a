"""A loaded release whose models say what a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_agent.contract import schema
from edge_agent.contract.climatology import COEFFICIENTS
from edge_agent.contract.manifest import Manifest, ResidualTable, SiteNormals
from edge_agent.contract.residuals import LEVELS
from tests.fakes.depot import release

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.contract.site_correction import Correction, Tuning
    from edge_agent.forecasting.optional_models import OptionalModel


@dataclass
class Says:
    """Predictor that gives one value for every row, or what a function of the rows gives."""

    value: float | Callable[[np.ndarray], np.ndarray]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Float32 vector."""
        if callable(self.value):
            return self.value(features).astype(np.float32)
        return np.full(len(features), self.value, dtype=np.float32)


def table(width: float) -> ResidualTable:
    """Errors spread evenly from -width to +width, the same at every hour and lead."""
    row = tuple(width * (2 * level - 1) for level in LEVELS)
    return ResidualTable(LEVELS, (1, 48), (((row, row),) * 8,) * 4)


def manifest(number: int = 7) -> Manifest:
    """Manifest with flat normals: 12 C and 60 %."""
    made, _ = release("one")
    flat = (0.0,) * (COEFFICIENTS - 1)
    names = dict(zip(schema.TARGETS, ((12.0, *flat), (60.0, *flat)), strict=True))
    return msgspec.structs.replace(
        made,
        release=number,
        channel="stable",
        created_at="2026-06-01T00:00:00Z",
        sites={"108": SiteNormals(37.5714, 126.9658, 86.0, names)},
        residuals=dict(zip(schema.TARGETS, (table(2.0), table(10.0)), strict=True)),
        climatology_residuals=dict(zip(schema.TARGETS, (table(8.0), table(30.0)), strict=True)),
    )


@dataclass
class FakeRelease:
    """`forecast.LoadedRelease`; change `predictors[...].value` between cycles."""

    manifest: Manifest = field(default_factory=manifest)
    predictors: dict[str, Says] = field(
        default_factory=lambda: {
            schema.AIR_TEMPERATURE: Says(20.0),
            schema.RELATIVE_HUMIDITY: Says(60.0),
        }
    )
    tuning: dict[str, Correction] = field(default_factory=dict)
    tuned: Tuning | None = None
    guided: dict[str, Says] = field(default_factory=dict)
    optional: dict[str, OptionalModel] = field(default_factory=dict)
