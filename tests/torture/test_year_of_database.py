"""Months of cycles in one database: no table without an end, no cycle that takes longer."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pytest

from edge_agent.system.database import WAL_LIMIT_BYTES
from tests.fakes.database_year import live_on

if TYPE_CHECKING:
    from pathlib import Path

SHORT = "observations_days = 30\nforecasts_days = 3\n"
MOST_BYTES = 60_000_000
"""Of a year's database; what is free of an 8 GB card holds it many times."""
MOST_SLOWER = 1.5
"""Of the last cycles to those of the second month, when every table but the hours is full."""


def test_what_is_old_goes_and_its_room_is_used_again(tmp_path: Path) -> None:
    """Two days, ten days apart: what the first one left is gone, and the file is hardly longer."""
    growth = live_on(tmp_path, 2, storage=SHORT, before_days=90, pause_days=10)
    first, last = growth.rows
    # Hours of the station, and what the indoor sensors made of the two days.
    assert first["observations"] >= 31 * 24
    assert 18 * 24 <= last["observations"] <= 23 * 24
    for table in ("forecasts", "samples", "foreseen"):
        assert 0 < last[table] <= first[table] + 12, table
    # Of the first day's issues, the hours that tell their errors, and those that no other reaches.
    assert 0 < last["guidance"] <= first["guidance"] + 8 * 15 + 72
    assert last["outbox"] == 0
    assert max(growth.wal_bytes) <= WAL_LIMIT_BYTES
    assert growth.file_bytes[1] <= 1.2 * growth.file_bytes[0] + 400_000


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_year_is_bounded_and_its_last_cycle_is_as_quick(tmp_path: Path) -> None:
    """Every table but the hours is as long after a year as after two months and a half."""
    growth = live_on(tmp_path, 365)
    early, late = growth.rows[75], growth.rows[-1]
    for table in set(late) - {"observations", "alert_log"}:
        assert late[table] <= 1.1 * early[table] + 10, table
    assert late["observations"] <= 2 * 365 * 24 + 22 * 24
    assert growth.file_bytes[-1] <= MOST_BYTES
    assert max(growth.wal_bytes) <= WAL_LIMIT_BYTES
    assert growth.free_share <= 0.3
    month = growth.cycle_s[31 * 24 : 61 * 24]
    assert median(growth.cycle_s[-7 * 24 :]) <= MOST_SLOWER * median(month)
