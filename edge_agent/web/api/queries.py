"""Reads of the agent's database: earlier forecasts, alert edges, observations.

Every call opens a read-only connection and closes it.
"""

from __future__ import annotations

import io
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from edge_agent.alerts.log import AlertLog
from edge_agent.contract.schema import MEASURED, TIME, TIME_DTYPE
from edge_agent.observations.store import Store
from edge_agent.system.database import connect_to_read
from edge_agent.web.api import schemas, serialize

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.alerts.log import LoggedEdge
    from edge_agent.contract.forecast import Forecast

Format = Literal["csv", "parquet"]
_WINDOW: Final = timedelta(days=2)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)


class Records:
    """Read access to the database. Every method raises `StorageError` when the disk refuses.

    Args:
        path: The agent's database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def forecasts(self, query: schemas.KeptQuery, now: datetime) -> schemas.KeptPage:
        """Earlier forecasts, newest first."""
        with self._opened() as db:
            forecasts = Store(db).last_forecasts(query.before or now + _HOUR, query.limit + 1)
        page = forecasts[: query.limit]
        return schemas.KeptPage(
            forecasts=tuple(serialize.earlier(forecast) for forecast in page),
            next=page[-1].issued_at if len(forecasts) > query.limit else None,
        )

    def edges(
        self, query: schemas.EdgeQuery, in_memory: tuple[tuple[int, LoggedEdge], ...] | None
    ) -> schemas.EdgePage:
        """Alert edges, newest first.

        Args:
            query: Which of them.
            in_memory: See `Snapshot.edges`.
        """
        if in_memory is None:
            with self._opened() as db:
                edges = AlertLog(db).before(query.before, query.limit + 1)
        else:
            older = (e for e in in_memory if query.before is None or e[0] < query.before)
            edges = list(islice(older, query.limit + 1))
        page = edges[: query.limit]
        return schemas.EdgePage(
            edges=tuple(
                schemas.EdgeAnswer(
                    number=number,
                    at=edge.at,
                    rule=edge.rule,
                    edge=edge.edge,  # type: ignore[arg-type] # the log holds these words alone
                    text=edge.text,
                    id=edge.id,
                )
                for number, edge in page
            ),
            next=page[-1][0] if len(edges) > query.limit else None,
        )

    def observations(self, query: schemas.ObservedQuery, now: datetime) -> schemas.ObservedPage:
        """Hours of one source or of all, oldest first."""
        end = query.to or now
        start = query.start or _plus(end, -_WINDOW)
        with self._opened() as db:
            store = Store(db)
            sources = store.sources()
            rows = [
                (row[TIME], source, row)
                for source in _sources(query.source, sources)
                for row in store.hourly(source, start, end, query.limit + 1).iter_rows(named=True)
            ]
        rows.sort(key=lambda row: row[:2])
        page, later = rows[: query.limit], rows[query.limit :]
        if later:
            # A page ends between two hours, so that the next one begins with a whole hour.
            page = [row for row in page if row[0] < later[0][0]] or page
        return schemas.ObservedPage(
            sources=sources,
            hours=tuple(
                schemas.Observed(
                    source=source, at=at, values={name: row[name] for name in MEASURED}
                )
                for at, source, row in page
            ),
            next=max(later[0][0], page[-1][0] + timedelta(seconds=1)) if later else None,
        )

    def export(self, query: schemas.ExportQuery, now: datetime, form: Format) -> bytes:
        """Hours as a file: `source`, `time` and every quantity."""
        length = timedelta(days=query.days)
        start = query.start or now - length
        with self._opened() as db:
            store = Store(db)
            frames = [
                store.hourly(source, start, _plus(start, length)).select(
                    pl.lit(source).alias("source"), pl.all()
                )
                for source in _sources(query.source, store.sources()) or ("",)
            ]
        return to_file(pl.concat(frames), form)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(connect_to_read(self._path)) as connection:
            yield connection


def forecast_file(forecast: Forecast | None, form: Format) -> bytes:
    """A forecast as a file: `valid_at`, `quantity`, `unit`, `value` and its quantiles."""
    levels = [] if forecast is None else next(iter(forecast.targets.values())).levels.tolist()
    names = [f"p{100 * level:g}" for level in levels]
    rows = (
        []
        if forecast is None
        else [
            (at, name, target.unit, target.values[i].item(), *target.quantiles[i].tolist())
            for name, target in forecast.targets.items()
            for i, at in enumerate(forecast.valid_at)
        ]
    )
    schema: dict[str, pl.DataType] = {
        "valid_at": TIME_DTYPE,
        "quantity": pl.String(),
        "unit": pl.String(),
        "value": pl.Float64(),
    }
    schema |= dict.fromkeys(names, pl.Float64())
    return to_file(pl.DataFrame(rows, schema=schema, orient="row"), form)


def to_file(frame: pl.DataFrame, form: Format) -> bytes:
    """A frame as CSV (times as ISO 8601 with Z, null empty) or Parquet."""
    buffer = io.BytesIO()
    if form == "csv":
        frame.write_csv(buffer, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    else:
        frame.write_parquet(buffer)
    return buffer.getvalue()


def _plus(at: datetime, length: timedelta) -> datetime:
    """The sum, or the first or last time that there is."""
    try:
        return at + length
    except OverflowError:
        return _LAST if length > timedelta(0) else _FIRST


def _sources(source: str | None, stored: tuple[str, ...]) -> tuple[str, ...]:
    if source is None:
        return stored
    return (source,) if source in stored else ()
