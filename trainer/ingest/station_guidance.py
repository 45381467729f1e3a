"""What the archive of KMA's forecasts has of a place, as devices are given it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.dfs_grid import cell_of
from edge_agent.contract.errors import UsageError
from trainer.ingest.guidance import Archive
from trainer.ingest.sources import village_table

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.contract.schema import Site
    from trainer.workspace.store import Store


def guidance_at(store: Store, site: Site) -> pl.DataFrame:
    """Every forecast of the cell in which a place lies, ascending by issue and hour.

    Returns:
        Columns of `bundles.GUIDANCE`; empty where there is no archive of the cell, or no cell.

    Raises:
        StorageError: A file cannot be read.
    """
    try:
        cell = cell_of(site.latitude, site.longitude)
    except UsageError:
        return GUIDANCE.to_frame()
    rows = (
        Archive(store).read(cell).rename({village_table.ISSUED: ISSUED, village_table.VALID: VALID})
    )
    return rows.select(GUIDANCE.names()).cast(GUIDANCE)
