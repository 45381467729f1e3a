"""Hourly observations by source, forecasts, KMA's guidance and sensor samples, in SQLite.

Sources: `station:<number>` for a relayed station, `cell:<nx>-<ny>` for the nowcasts of a grid cell,
`sensor:<role>` for the farm's own. Times are whole UTC seconds. Null is missing; a missing value is
never stored as 0.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract.bundles import GUIDANCE, GUIDED, ISSUED, VALID
from edge_agent.contract.forecast_json import packed, unpacked
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    MEASURED,
    RAIN,
    RAIN_CHANCE,
    RELATIVE_HUMIDITY,
    TIME,
    TIME_DTYPE,
)
from edge_agent.observations.sensors import AHEAD, Refusal, RefusalRecord, Sample
from edge_agent.system.added_tables import add_columns, add_table
from edge_agent.system.database import migrate, storage_errors, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from edge_agent.contract.forecast import Forecast

_COLUMNS: Final = tuple(MEASURED)
_STEPS: Final = (
    f"""CREATE TABLE observations (source TEXT, time INTEGER,
  {", ".join(f"{name} REAL" for name in _COLUMNS)}, PRIMARY KEY (source, time)) STRICT;
CREATE TABLE forecasts (issued INTEGER PRIMARY KEY, origin INTEGER, source TEXT,
  release INTEGER, body BLOB NOT NULL) STRICT;
CREATE TABLE samples (sensor TEXT, minute INTEGER, at REAL, value REAL,
  PRIMARY KEY (sensor, minute)) STRICT""",
    f"""CREATE TABLE guidance (issued INTEGER, valid INTEGER, {AIR_TEMPERATURE} REAL,
  {RELATIVE_HUMIDITY} REAL, PRIMARY KEY (issued, valid)) STRICT, WITHOUT ROWID""",
    f"""ALTER TABLE guidance ADD COLUMN {RAIN} REAL;
ALTER TABLE guidance ADD COLUMN {RAIN_CHANCE} REAL""",
    """CREATE TABLE refusals (sensor TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL,
  value TEXT NOT NULL, reason TEXT NOT NULL, out_of_limits INTEGER NOT NULL,
  out_since REAL) STRICT""",
)
_END: Final = datetime.max.replace(tzinfo=UTC)


class Store:
    """Observations and forecasts. Every method raises `StorageError` when the disk refuses.

    Args:
        connection: From `database.connect`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        migrate(connection, "store", _STEPS)
        add_columns(connection, "observations", _COLUMNS)
        add_columns(connection, "guidance", GUIDED)
        add_table(connection, "overtaken", "sensor TEXT PRIMARY KEY, at REAL NOT NULL")

    def put_hourly(self, source: str, frame: pl.DataFrame, *, replace: bool = True) -> int:
        """Add hours, or update them where the new row has at least one value.

        Args:
            source: Where they are from.
            frame: `time` and any quantities of `contract.schema`; null = missing.
            replace: Values that are there are replaced; else only missing ones are filled.

        Returns:
            Number of rows that were new or changed.
        """
        names = [name for name in _COLUMNS if name in frame.columns]
        if not names or frame.height == 0:
            return 0
        filled = frame.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in names))
        rows = filled.select(
            pl.col(TIME).dt.epoch("s"), *(pl.col(name).cast(pl.Float64) for name in names)
        ).rows()
        columns = ", ".join(names)
        marks = ", ".join("?" * len(names))
        # A later row may fill what was missing, and never removes a value.
        first, second = ("excluded.", "") if replace else ("", "excluded.")
        update = ", ".join(f"{n} = coalesce({first}{n}, {second}{n})" for n in names)
        changed = " OR ".join(f"{n} IS NOT coalesce({first}{n}, {second}{n})" for n in names)
        with transaction(self._db) as db:
            before = db.total_changes
            db.executemany(
                f"INSERT INTO observations (source, time, {columns}) VALUES (?, ?, {marks}) "  # noqa: S608 - names from the schema
                f"ON CONFLICT (source, time) DO UPDATE SET {update} WHERE {changed}",
                [(source, *row) for row in rows],
            )
            return db.total_changes - before

    def hourly(self, source: str, start: datetime, end: datetime, most: int = -1) -> pl.DataFrame:
        """Rows with `start <= time <= end`: `time` and every quantity, ascending.

        At most the first `most` of them; -1 = all.
        """
        with storage_errors(self._db):
            rows = self._db.execute(
                f"SELECT time * 1000000, {', '.join(_COLUMNS)} FROM observations "  # noqa: S608 - names from the schema
                "WHERE source = ? AND time BETWEEN ? AND ? ORDER BY time LIMIT ?",
                (source, _seconds(start), _seconds(end), most),
            ).fetchall()
        schema = {TIME: TIME_DTYPE} | dict.fromkeys(_COLUMNS, pl.Float64)
        return pl.DataFrame(rows, schema=schema, orient="row")

    def newest(self, source: str, until: datetime = _END) -> datetime | None:
        """Time of the newest row of a source, of those at `until` or before."""
        with storage_errors(self._db):
            (time,) = self._db.execute(
                "SELECT max(time) FROM observations WHERE source = ? AND time <= ?",
                (source, _seconds(until)),
            ).fetchone()
        return None if time is None else datetime.fromtimestamp(time, UTC)

    def sources(self) -> tuple[str, ...]:
        """Every source that has rows."""
        with storage_errors(self._db):
            rows = self._db.execute("SELECT DISTINCT source FROM observations ORDER BY source")
            return tuple(source for (source,) in rows)

    def put_forecast(self, forecast: Forecast) -> None:
        """Store a forecast; a later one of the same hour replaces it."""
        hour = _seconds(forecast.issued_at) // 3600 * 3600
        with transaction(self._db) as db:
            db.execute(
                "INSERT OR REPLACE INTO forecasts VALUES (?, ?, ?, ?, ?)",
                (
                    hour,
                    _seconds(forecast.origin),
                    forecast.source.value,
                    forecast.release,
                    packed(forecast),
                ),
            )

    def forecasts(self, start: datetime, end: datetime) -> list[Forecast]:
        """Forecasts issued in the hours from `start` to `end`, oldest first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT source, body FROM forecasts WHERE issued BETWEEN ? AND ? ORDER BY issued",
                (_seconds(start) // 3600 * 3600, _seconds(end)),
            ).fetchall()
        return [unpacked(body, source) for source, body in rows]

    def last_forecasts(self, before: datetime, most: int) -> list[Forecast]:
        """The newest `most` forecasts of hours that began before a time, newest first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT source, body FROM forecasts WHERE issued < ? ORDER BY issued DESC LIMIT ?",
                (_seconds(before) // 3600 * 3600, most),
            ).fetchall()
        return [unpacked(body, source) for source, body in rows]

    def put_guidance(self, frame: pl.DataFrame) -> int:
        """Add forecasts of KMA; they replace those of the same issue and valid hour.

        Args:
            frame: Columns of `contract.bundles.GUIDANCE`; null = not given.

        Returns:
            Number of rows that were new or changed.
        """
        rows = frame.select(pl.col(ISSUED, VALID).dt.epoch("s"), pl.col(GUIDED)).rows()
        update = ", ".join(f"{name} = excluded.{name}" for name in GUIDED)
        changed = " OR ".join(f"{name} IS NOT excluded.{name}" for name in GUIDED)
        with transaction(self._db) as db:
            before = db.total_changes
            db.executemany(
                f"INSERT INTO guidance (issued, valid, {', '.join(GUIDED)}) "  # noqa: S608 - names from the contract
                f"VALUES ({', '.join('?' * (2 + len(GUIDED)))}) "
                f"ON CONFLICT (issued, valid) DO UPDATE SET {update} WHERE {changed}",
                rows,
            )
            return db.total_changes - before

    def guidance_mark(self, until: datetime) -> tuple[float, ...]:
        """Number of rows and sums of the issues of three days up to `until`: new rows change it."""
        with storage_errors(self._db):
            row = self._db.execute(
                "SELECT count(*), total(issued), total(valid), total(air_temperature_c), "
                "total(wind_speed_ms), total(rain_mm) FROM guidance WHERE issued BETWEEN "
                "(SELECT max(issued) FROM guidance WHERE issued <= :until) - 259200 AND :until",
                {"until": _seconds(until)},
            ).fetchone()
        return tuple(map(float, row))

    def guidance(self, since: datetime, until: datetime = _END) -> pl.DataFrame:
        """Forecasts of KMA issued from `since` to `until`: `contract.bundles.GUIDANCE`.

        Ascending by issue and valid hour; null = not given.
        """
        with storage_errors(self._db):
            rows = self._db.execute(
                f"SELECT issued, valid, {', '.join(GUIDED)} FROM guidance "  # noqa: S608 - names from the contract
                "WHERE issued BETWEEN ? AND ? ORDER BY issued, valid",
                (_seconds(since), _seconds(until)),
            ).fetchall()
        if not rows:
            return GUIDANCE.to_frame()
        whole = dict.fromkeys((ISSUED, VALID), pl.Int64())
        frame = pl.DataFrame(rows, schema={**GUIDANCE, **whole}, orient="row")
        return frame.with_columns(pl.from_epoch(pl.col(ISSUED, VALID), "s").cast(TIME_DTYPE))

    def put_samples(self, samples: Iterable[tuple[str, Sample]]) -> None:
        """Store sensor samples, one for each minute and sensor: the latest of that minute.

        The order of calls and repeated samples make no difference.
        """
        with transaction(self._db) as db:
            db.executemany(
                "INSERT INTO samples VALUES (?, ?, ?, ?) ON CONFLICT (sensor, minute) DO UPDATE "
                "SET at = excluded.at, value = excluded.value "
                "WHERE (excluded.at, excluded.value) > (at, value)",
                [
                    (key, int(s.at.timestamp()) // 60, s.at.timestamp(), s.value)
                    for key, s in samples
                ],
            )

    def samples(self, sensor: str, start: datetime, end: datetime) -> list[Sample]:
        """Samples of one sensor with `start <= at <= end`, oldest first."""
        with storage_errors(self._db):
            rows = self._db.execute(
                "SELECT at, value FROM samples WHERE sensor = ? AND at BETWEEN ? AND ? ORDER BY at",
                (sensor, start.timestamp(), end.timestamp()),
            ).fetchall()
        return [Sample(datetime.fromtimestamp(at, UTC), value) for at, value in rows]

    def overtake(self, sensors: Iterable[str]) -> None:
        """Remember that a reading of these sensors came after every stored one.

        For a reading that a wrong clock dated, which is not stored or has an earlier time.
        """
        with transaction(self._db) as db:
            db.executemany(
                "INSERT OR REPLACE INTO overtaken "
                "SELECT sensor, max(at) FROM samples WHERE sensor = ? GROUP BY sensor",
                [(sensor,) for sensor in sensors],
            )

    def current_samples(self, sensor: str, start: datetime, end: datetime) -> list[Sample]:
        """The same without those that a later reading came after (O1): they are none of now.

        A sample dated beyond `end` by a clock that was ahead came later too.
        """
        with storage_errors(self._db):
            ahead, overtaken = self._db.execute(
                "SELECT (SELECT max(at) FROM samples WHERE sensor = :key),"
                " (SELECT at FROM overtaken WHERE sensor = :key)",
                {"key": sensor},
            ).fetchone()
        if ahead is None or ahead > (end + AHEAD).timestamp():
            return []
        samples = self.samples(sensor, start, end)
        return [s for s in samples if overtaken is None or s.at.timestamp() > overtaken]

    def put_refusals(self, records: Mapping[str, RefusalRecord]) -> None:
        """Replace what is stored of refusals, by sensor key."""
        with transaction(self._db) as db:
            db.execute("DELETE FROM refusals")
            db.executemany(
                "INSERT INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(key, record.count, record.last.at.timestamp(), record.last.value),
                        *(record.last.reason, record.last.out_of_limits),
                        record.out_since.timestamp() if record.out_since else None,
                    )
                    for key, record in records.items()
                ],
            )

    def refusals(self) -> dict[str, RefusalRecord]:
        """Refusals by sensor key, as of the last write of samples."""
        with storage_errors(self._db):
            rows = self._db.execute("SELECT * FROM refusals").fetchall()
        return {
            key: RefusalRecord(
                count,
                Refusal(datetime.fromtimestamp(at, UTC), value, reason, bool(out_of_limits)),
                None if out_since is None else datetime.fromtimestamp(out_since, UTC),
            )
            for key, count, at, value, reason, out_of_limits, out_since in rows
        }


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
