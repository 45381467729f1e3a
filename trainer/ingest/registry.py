"""The code of each KMA source, beside the name that `workspace.kma_sources` declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.ingest import hub, pipeline, village, warnings
from trainer.workspace.kma_sources import ASOS, HUB, SOURCES, VILLAGE, WARNING

if TYPE_CHECKING:
    from trainer.ingest.source import NearRealTime, SourceModule

MODULES: Final[dict[str, SourceModule]] = {
    ASOS.name: pipeline,
    HUB.name: hub,
    VILLAGE.name: village,
    WARNING.name: warnings,
}

RELAYED: Final[tuple[NearRealTime, ...]] = (hub, village)
"""What `trainer relay` asks, in this order."""


def by_rank() -> tuple[SourceModule, ...]:
    """Every source, lowest rank in the lake first."""
    return tuple(MODULES[row.name] for row in sorted(SOURCES, key=lambda row: row.rank))
