"""Every address of the interface: its query, its answer, and the function that makes it.

Requests are routed by this table, and docs/openapi.json is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from edge_agent.mqtt.commands import NAMES
from edge_agent.web.api import queries, schemas, serialize

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import msgspec

    from edge_agent.web.api.queries import Format, Records
    from edge_agent.web.snapshot import Snapshot, SnapshotCache

JSON: Final = "application/json"
CSV: Final = "text/csv; charset=utf-8"
PARQUET: Final = "application/vnd.apache.parquet"
METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
COMMANDS: Final = {
    "predict": "Work a cycle now",
    "sync": "Fetch release and observations now",
    "reload": "Read the configuration anew, and the release with it",
    "ack": "Say that the alert of `rule` was seen: no more updates of it",
    "snooze": "Hold back the news of `rule` for `minutes`",
    "republish": "Say all retained messages again",
    "irrigated": "Say that water was given: `mm`, or `volume_l`; `at` by default now",
    "rollback": "Go back to the release before; the one left is not taken again",
}
"""Command -> what it does. All that MQTT has, and `rollback`."""
assert set(COMMANDS) == {*NAMES, "rollback"}


class AnswerContext(Protocol):
    """Input of the functions that make answers."""

    @property
    def snapshots(self) -> SnapshotCache:
        """Newest snapshot and state of the service."""
        ...

    @property
    def records(self) -> Records:
        """The database."""
        ...

    @property
    def acts(self) -> bool:
        """Whether changes may be asked for at all."""
        ...

    def now(self) -> datetime:
        """UTC."""
        ...


class NotYet(Exception):  # noqa: N818 - named by treatment
    """There is no snapshot before the first hour is worked."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address to read from.

    Attributes:
        path: Under the server's root.
        summary: For the document.
        make: Makes the answer from the context and the query.
        query: Struct of the query.
        answer: Struct of the answer; None where it is bytes of another `media` type.
        media: Content type.
        fresh: How long an answer is cached: until the next snapshot, the next second, or never.
        open: Answered without a token.
    """

    path: str
    summary: str
    make: Callable[[AnswerContext, msgspec.Struct], msgspec.Struct | bytes]
    query: type[msgspec.Struct] = schemas.Nothing
    answer: type[msgspec.Struct] | None = None
    media: str = JSON
    fresh: Literal["snapshot", "second", "never"] = "snapshot"
    open: bool = False


def _snapshot(context: AnswerContext) -> Snapshot:
    snapshot = context.snapshots.newest
    if snapshot is None:
        raise NotYet
    return snapshot


def _of_snapshot(make: Callable[[Snapshot], msgspec.Struct]) -> Callable[..., msgspec.Struct]:
    return lambda context, _: make(_snapshot(context))


def _health(context: AnswerContext, _: object) -> msgspec.Struct:
    return serialize.health(_snapshot(context), context.snapshots.service, context.now())


def _alive(context: AnswerContext, _: object) -> msgspec.Struct:
    return schemas.Alive(ok=context.snapshots.newest is not None)


def _metrics(context: AnswerContext, _: object) -> bytes:
    from edge_agent.web.api.prometheus import text

    return text(context.snapshots.newest, context.snapshots.service, context.now())


def _forecasts(context: AnswerContext, query: msgspec.Struct) -> msgspec.Struct:
    assert isinstance(query, schemas.KeptQuery)
    return context.records.forecasts(query, context.now())


def _edges(context: AnswerContext, query: msgspec.Struct) -> msgspec.Struct:
    assert isinstance(query, schemas.EdgeQuery)
    newest = context.snapshots.newest
    return context.records.edges(query, newest.edges if newest else None)


def _observations(context: AnswerContext, query: msgspec.Struct) -> msgspec.Struct:
    assert isinstance(query, schemas.ObservedQuery)
    return context.records.observations(query, context.now())


def _export(form: Format) -> Callable[..., bytes]:
    def make(context: AnswerContext, query: msgspec.Struct) -> bytes:
        assert isinstance(query, schemas.ExportQuery)
        return context.records.export(query, context.now(), form)

    return make


def _forecast_file(form: Format) -> Callable[..., bytes]:
    return lambda context, _: queries.forecast_file(_snapshot(context).forecast, form)


ROUTES: Final = (
    Route("/health", "Whether the agent works", _alive, answer=schemas.Alive, fresh="never",
          open=True),
    Route("/metrics", "Metrics for Prometheus", _metrics, media=METRICS, fresh="second"),
    Route("/api/latest", "The forecast that counts now", _of_snapshot(serialize.latest),
          answer=schemas.Latest),
    Route("/api/forecasts", "Forecasts made earlier", _forecasts, schemas.KeptQuery,
          schemas.KeptPage, fresh="never"),
    Route("/api/forecast.csv", "The forecast with all its quantiles", _forecast_file("csv"),
          media=CSV),
    Route("/api/forecast.parquet", "The same as Parquet", _forecast_file("parquet"),
          media=PARQUET),
    Route("/api/alerts", "Every rule, where it stands and why", _of_snapshot(serialize.alerts),
          answer=schemas.Alerts),
    Route("/api/alerts/history", "What happened to rules", _edges, schemas.EdgeQuery,
          schemas.EdgePage, fresh="never"),
    Route("/api/observations", "Hours observed", _observations, schemas.ObservedQuery,
          schemas.ObservedPage, fresh="never"),
    Route("/api/observations.csv", "Hours observed, as CSV", _export("csv"), schemas.ExportQuery,
          media=CSV, fresh="never"),
    Route("/api/observations.parquet", "The same as Parquet", _export("parquet"),
          schemas.ExportQuery, media=PARQUET, fresh="never"),
    Route("/api/release", "The live release and its neighbours", _of_snapshot(serialize.release),
          answer=schemas.Release),
    Route("/api/health", "How the agent is", _health, answer=schemas.HealthAnswer, fresh="second"),
)  # fmt: skip
