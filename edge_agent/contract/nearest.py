"""The station whose normals a place takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.manifest import SiteNormals
    from edge_agent.contract.schema import Site


def nearest_station(site: Site, stations: Mapping[str, SiteNormals]) -> str:
    """Number of the station nearest to a site.

    Raises:
        ValueError: There is none.
    """
    if not stations:
        raise ValueError("forecast: the release names no station")
    return min(
        stations,
        key=lambda number: (
            (stations[number].latitude - site.latitude) ** 2
            + ((stations[number].longitude - site.longitude) * np.cos(np.radians(site.latitude)))
            ** 2
        ),
    )
