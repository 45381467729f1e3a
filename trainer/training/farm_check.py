"""Whether a farm's hours are those of its place, beside the nearest station's. Pure.

Whoever runs a farm's device can tell any hours, and what is trained on them reaches every farm. So
a farm takes part only while its temperature and humidity are near those of the nearest station.

The gap of an hour is the farm's value less the station's, temperature at one height. Limits are
shares of the quantity's `neighbour_limit` (8 C, 45 %). The figures are of all pairs of eleven ASOS
stations, 2018 to 2020.

F1  The root mean square of all gaps is at most 0.75 (6 C, 34 %). Between stations up to 260 km
    apart it is 0.51 at most, up to 341 km 0.58.
F2  That of each 30 days with gaps on 10 days is at most 1.0. Between stations up to 260 km apart it
    is 0.80 at most in a month, up to 341 km 0.88.
F3  Half of the farm's hours can be compared.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.climatology import LAPSE_C_PER_M
from edge_agent.contract.numbers import fixed
from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES, TARGETS, TIME

if TYPE_CHECKING:
    import polars as pl

WHOLE_SHARE: Final = 0.75
BLOCK_SHARE: Final = 1.0
BLOCK: Final = timedelta(days=30)
LEAST_HOURS: Final = 240
"""Of a block with fewer hours in common nothing is said."""
COMPARED_SHARE: Final = 0.5


def fault_of(own: pl.DataFrame, station: pl.DataFrame, higher_m: float) -> str:
    """Why a farm's hours are not taken for those of its place; empty where they are.

    Args:
        own: The farm's hours, output of `quality.clean`.
        station: The nearest station's, likewise.
        higher_m: By how much the farm lies higher.
    """
    for target in TARGETS:
        pairs = (
            own.select(TIME, target)
            .drop_nulls()
            .join(station.select(TIME, there=target).drop_nulls(), on=TIME)
        )
        if pairs.height < COMPARED_SHARE * own[target].count() or pairs.is_empty():
            return f"most of its hours of {target} cannot be compared with the nearest station's"
        lapse = -LAPSE_C_PER_M * higher_m if target == AIR_TEMPERATURE else 0.0
        gaps = (pairs[target] - pairs["there"]).to_numpy() - lapse
        worst, whole = _worst_block(pairs[TIME], gaps), _rms(gaps)
        limit, unit = QUANTITIES[target].neighbour_limit, QUANTITIES[target].unit
        assert limit is not None
        for gap, share, when in ((whole, WHOLE_SHARE, "all"), (worst, BLOCK_SHARE, "30 days")):
            if gap > share * limit:
                return (
                    f"its {target} is not that of its place: {fixed(gap, 1)} {unit} from the "
                    f"nearest station's in {when} (root mean square, limit {share * limit:.0f})"
                )
    return ""


def _worst_block(times: pl.Series, gaps: np.ndarray) -> float:
    """The largest root mean square of any 30 days."""
    numbers = ((times - times[0]) / BLOCK).floor().cast(int).to_numpy()
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, weights=gaps**2)
    judged = counts >= LEAST_HOURS
    return float(np.sqrt((sums[judged] / counts[judged]).max(initial=0.0)))


def _rms(gaps: np.ndarray) -> float:
    return float(np.sqrt(np.mean(gaps**2)))
