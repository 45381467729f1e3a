"""REST answers and queries: structs from which docs/openapi.json is made. Pure.

Times are UTC with Z. null = not known; a key is never left out. Names that the agent uses for
something else end with `Answer`; the document leaves this ending off.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from edge_agent.contract.clock_state import ClockState
from edge_agent.messages.payloads import (
    Chance,
    EdgeName,
    ForecastHour,
    GuidanceReport,
    HeldBack,
    Level,
    Operator,
    SensorReport,
    Severity,
    Tuned,
    Utc,
    WaterBalance,
)


class Answer(Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class SeriesAnswer(Answer, frozen=True, kw_only=True):
    """Forecast of one quantity, hour by hour. `sources` says for each hour what made it."""

    quantity: str
    unit: str
    hours: tuple[ForecastHour, ...]
    sources: tuple[str, ...]


class AdviceAnswer(Answer, frozen=True, kw_only=True):
    """Watering advice. `reason` says why there is none; then every number is null."""

    crop: str
    reason: str | None
    need_mm: float | None
    volume_l: float | None
    start: Utc | None
    end: Utc | None
    depletion_mm: float | None
    readily_mm: float | None
    demand_mm: float | None
    measured: bool
    balance: WaterBalance | None


class Latest(Answer, frozen=True, kw_only=True):
    """The forecast that counts now; `reason` says why there is none, then `forecast` is empty."""

    site: str
    device: str
    issued_at: Utc
    origin: Utc | None
    source: str | None
    model_release: int | None
    reason: str | None
    notes: tuple[str, ...]
    clock: ClockState
    forecast: dict[str, SeriesAnswer]
    alerts_raised: tuple[str, ...]
    advice: AdviceAnswer | None


class KeptAnswer(Answer, frozen=True, kw_only=True):
    """A forecast that was made earlier."""

    issued_at: Utc
    origin: Utc
    source: str
    model_release: int | None
    forecast: dict[str, SeriesAnswer]


class KeptPage(Answer, frozen=True, kw_only=True):
    """Forecasts, newest first; ask again with `before` = `next` until it is null."""

    forecasts: tuple[KeptAnswer, ...]
    next: Utc | None


class Why(Answer, frozen=True, kw_only=True):
    """What a decision about a rule rests on.

    `value` is the lowest or highest forecast of the window, at the hour `value_at`; `probability`
    the chance within the window; `hour` the first hour that meets the rule, null where none does.
    For a live rule they are the reading and its time.

    `inputs` names the observations and `origin` their hour.
    """

    value: float | None
    value_at: Utc | None
    unit: str
    probability: Chance | None
    needed: Chance | None
    hour: Utc | None
    window_h: int | None
    inputs: str | None
    origin: Utc | None
    source: str | None
    model_release: int | None


class Alert(Answer, frozen=True, kw_only=True):
    """One rule and where it stands; `known` is false where nothing can be said about it.

    `held_back` says why a message about it waits, and until when; see the alert's state over MQTT.
    """

    rule: str
    level: Level
    known: bool
    severity: Severity
    since: Utc | None
    held_back: HeldBack | None
    quantity: str
    operator: Operator
    threshold: float
    text: str | None
    why: Why
    seen: bool
    snoozed_until: Utc | None


class Alerts(Answer, frozen=True, kw_only=True):
    """Every rule."""

    alerts: tuple[Alert, ...]


class EdgeAnswer(Answer, frozen=True, kw_only=True):
    """Something that happened to a rule."""

    number: int
    at: Utc
    rule: str
    edge: EdgeName
    text: str
    id: str


class EdgePage(Answer, frozen=True, kw_only=True):
    """Edges, newest first; ask again with `before` = `next` until it is null."""

    edges: tuple[EdgeAnswer, ...]
    next: int | None


class Observed(Answer, frozen=True, kw_only=True):
    """One hour of one source; values by quantity, null = missing."""

    source: str
    at: Utc
    values: dict[str, float | None]


class ObservedPage(Answer, frozen=True, kw_only=True):
    """Hours, oldest first; ask again with `from` = `next` until it is null."""

    sources: tuple[str, ...]
    hours: tuple[Observed, ...]
    next: Utc | None


class SlotAnswer(Answer, frozen=True, kw_only=True):
    """A release on this device's disk."""

    release: int
    manifest_sha256: str


class Release(Answer, frozen=True, kw_only=True):
    """The live release, the one before it, and one that this device went back from.

    `tuned` is what the release holds for this farm alone; null where that is nothing.
    """

    release: int | None
    channel: str | None
    created_at: str | None
    reason: str | None
    versions: dict[str, str]
    scores: dict[str, dict[str, float]]
    lineage: dict[str, str]
    current: SlotAnswer | None
    previous: SlotAnswer | None
    left_release: int | None
    left_reason: str | None
    on_trial: bool
    tuned: Tuned | None


class MqttAnswer(Answer, frozen=True, kw_only=True):
    """The connection to the broker."""

    connected: bool
    version: str
    problem: str
    connections: int


class HealthAnswer(Answer, frozen=True, kw_only=True):
    """How the agent is. `problems` are texts for people; empty is well.

    `held_back` has the rules whose messages wait, see `Alert`; `guidance` is null without KMA's.
    """

    at: Utc
    clock: ClockState
    agent_version: str
    forecast_source: str | None
    data_age_s: int | None
    cycle_s: float | None
    updated_at: Utc | None
    mqtt: MqttAnswer
    outbox: dict[str, int]
    disk_free_bytes: int
    sensors: tuple[SensorReport, ...]
    held_back: dict[str, HeldBack]
    rules_unknown: tuple[str, ...]
    problems: tuple[str, ...]
    guidance: GuidanceReport | None


class Alive(Answer, frozen=True, kw_only=True):
    """`ok` once the first hour is worked; nothing about the farm, so no token is asked for."""

    ok: bool


class Done(Answer, frozen=True, kw_only=True):
    """What came of a request."""

    ok: bool
    text: str


class Fault(Answer, frozen=True, kw_only=True):
    """Why a request was not answered."""

    error: str


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A query without keys."""


class KeptQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which earlier forecasts."""

    before: Annotated[datetime, Meta(tz=True, description="Issued before this time")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="At most so many")] = 24


class EdgeQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which edges."""

    before: (
        Annotated[int, Meta(ge=1, le=2**53, description="Those with a smaller number")] | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=500, description="At most so many")] = 50


SOURCE_EXAMPLE: Final = "sensor:outdoor"


class ObservedQuery(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """Which observations; without times the last two days."""

    source: (
        Annotated[str, Meta(pattern=r"^[a-z]+:[a-z0-9_.-]{1,40}$", description="One source only")]
        | None
    ) = None
    start: Annotated[datetime, Meta(tz=True, description="From this hour on")] | None = None
    to: Annotated[datetime, Meta(tz=True, description="Up to this hour")] | None = None
    limit: Annotated[int, Meta(ge=1, le=2000, description="At most so many")] = 500


class ExportQuery(Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """Which observations; without a time the last days."""

    source: (
        Annotated[str, Meta(pattern=r"^[a-z]+:[a-z0-9_.-]{1,40}$", description="One source only")]
        | None
    ) = None
    start: Annotated[datetime, Meta(tz=True, description="From this hour on")] | None = None
    days: Annotated[int, Meta(ge=1, le=400, description="So many days")] = 31
