"""Deletes what the store need not keep."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.guidance_course import READABLE_AFTER_H, WIDEST_GAP_H
from edge_agent.contract.guidance_features import HISTORY_H
from edge_agent.observations.sensors import source_of
from edge_agent.system.database import transaction

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

SAMPLES_MOST: Final = 300_000
"""Seven days of thirty sensors. Older ones are deleted whatever the clock is."""
_SAMPLES_DAYS: Final = 3
GUIDANCE_MOST: Final = 20_000
"""Four times the rows that there are on a right clock. Older ones are deleted whatever it is."""
_GUIDANCE_DAYS: Final = HISTORY_H // 24
_WHOLE_DAYS: Final = 3
"""Issues of so many days before the newest stay as they came."""
_OVERLAP_H: Final = 2 * WIDEST_GAP_H
"""Hours after the next issue that stay of an older one: four values beside a gap are interpolated
from, and so past errors are the same to the last bit."""
OWN: Final = source_of("*")
"""Pattern of the sources that the farm's own sensors form."""


def prune(
    connection: sqlite3.Connection,
    now: datetime,
    *,
    observations_days: int,
    forecasts_days: int,
    guidance_rows: int = GUIDANCE_MOST,
) -> None:
    """Delete old rows: samples after three days. Rows from the future stay.

    KMA's forecasts are kept for as long as `contract.guidance_features` looks back. Of issues older
    than three days what tells their errors stays: each hour of the newest issue that could be read.

    Beyond a number that is never reached on a right clock, samples and forecasts are deleted
    whatever their time is: a device without a sure time must not fill its disk.

    Args:
        connection: The store's.
        now: A time that has surely passed, UTC.
        observations_days: Age of the oldest hours.
        forecasts_days: Age of the oldest forecasts.
        guidance_rows: Most rows of KMA's forecasts.

    Raises:
        StorageError: The disk refused.
    """
    with transaction(connection) as db:
        db.execute(
            "DELETE FROM samples WHERE rowid <= (SELECT max(rowid) FROM samples) - ?",
            (SAMPLES_MOST,),
        )
        db.execute(
            "DELETE FROM forecasts WHERE issued <= "
            "(SELECT issued FROM forecasts ORDER BY issued DESC LIMIT 1 OFFSET ?)",
            (2 * 24 * forecasts_days,),
        )
        db.execute(
            "DELETE FROM guidance WHERE issued <= "
            "(SELECT issued FROM guidance ORDER BY issued DESC LIMIT 1 OFFSET ?)",
            (guidance_rows,),
        )
        for table, column, days in (
            ("observations", "time", observations_days),
            ("forecasts", "issued", forecasts_days),
            ("guidance", "valid", _GUIDANCE_DAYS),
            ("samples", "60 * minute", _SAMPLES_DAYS),
        ):
            oldest = int((now - timedelta(days=days)).timestamp())
            db.execute(f"DELETE FROM {table} WHERE {column} < ?", (oldest,))  # noqa: S608 - names from above
        _thin_guidance(db, now)


def _thin_guidance(db: sqlite3.Connection, now: datetime) -> None:
    """Of older issues, delete what lies some hours after the next issue and in a newer one too.

    Ages count from the newest issue: while none comes, nothing is thinned.
    """
    db.execute(
        """DELETE FROM guidance WHERE issued <
  (SELECT max(issued) FROM guidance WHERE issued <= :now) - :whole
  AND valid > :overlap + (SELECT min(issued) FROM guidance AS next
    WHERE next.issued > guidance.issued)
  AND EXISTS (SELECT 1 FROM guidance AS newer WHERE newer.issued > guidance.issued
    AND newer.issued <= guidance.valid - :readable AND newer.valid = guidance.valid)""",
        {
            "now": int(now.timestamp()),
            "whole": 86_400 * _WHOLE_DAYS,
            "overlap": 3_600 * _OVERLAP_H,
            "readable": 3_600 * READABLE_AFTER_H,
        },
    )


def drop_after(connection: sqlite3.Connection, end: datetime) -> int:
    """Delete what this device dated later than `end`; returns the number of rows.

    These are samples, hours of the farm's own sensors and forecasts. Relayed hours bring their own
    times.

    Raises:
        StorageError: The disk refused.
    """
    last = int(end.timestamp())
    with transaction(connection) as db:
        # They came after the others, which are not the newest readings therefore.
        db.execute(
            "INSERT OR REPLACE INTO overtaken SELECT sensor, max(at) FILTER (WHERE minute <= :end) "
            "FROM samples GROUP BY sensor HAVING max(minute) > :end AND min(minute) <= :end",
            {"end": last // 60},
        )
        db.execute("DELETE FROM overtaken WHERE at > ?", (last,))
        before = db.total_changes
        db.execute("DELETE FROM observations WHERE time > ? AND source GLOB ?", (last, OWN))
        db.execute("DELETE FROM forecasts WHERE issued > ?", (last,))
        db.execute("DELETE FROM samples WHERE minute > ?", (last // 60,))
        return db.total_changes - before
