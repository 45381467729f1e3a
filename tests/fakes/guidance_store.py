"""A store of KMA's forecasts that counts how often it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract.bundles import ISSUED, VALID

if TYPE_CHECKING:
    from datetime import datetime


@dataclass
class StoredGuidance:
    """A store of these issues."""

    frame: pl.DataFrame
    reads: int = 0

    def guidance(self, since: datetime, until: datetime) -> pl.DataFrame:
        """See `trusted_issues.GuidanceStore`."""
        self.reads += 1
        return self.frame.filter(pl.col(ISSUED).is_between(since, until))

    def guidance_mark(self, until: datetime) -> tuple[float, ...]:
        """See `trusted_issues.GuidanceStore`."""
        rows = self.frame.filter(pl.col(ISSUED) <= until)
        return float(rows.height), float(rows[VALID].to_physical().sum())
