"""MQTT payloads: one struct per message; docs/mqtt/*.schema.json are made of them. Pure.

Times are UTC with Z. `id` is stable over resends. null = not known; a key is never left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from msgspec import Meta, Struct

from edge_agent.contract.clock_state import ClockState

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=Struct)
Utc = Annotated[datetime, Meta(tz=True)]
Chance = Annotated[float, Meta(ge=0, le=1)]
Severity = Literal["info", "warning", "critical"]
Level = Literal["clear", "raised", "unknown"]
HoldReason = Literal["snooze", "quiet_hours", "cool_down", "daily_cap", "acknowledged"]
Operator = Literal[">=", ">", "<=", "<"]
EdgeName = Literal["raised", "updated", "cleared"]


class Base(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of every payload.

    Attributes:
        schema: Name and version of this form of message.
        id: The same for the same message however often it is sent.
        issued_at: Time of issue.
        valid_from: Start of the time it is about.
        valid_until: Do not act on it at or after this time.
        source: Rung of the forecast ladder, `sensor`, `agent`, or `official`.
        model_release: Release behind it; null where none is.
        clock: How far the device's clock can be trusted.
        historical: True for a message about the past: never act on it.
    """

    schema: str
    id: str
    issued_at: Utc
    valid_from: Utc
    valid_until: Utc
    source: str
    model_release: int | None
    clock: ClockState
    historical: bool


class Input(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something a decision rests on, and how old it was."""

    name: str
    at: Utc
    age_s: int


class ForecastHour(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hour: point value and the value not exceeded with chance 0.1 and 0.9."""

    valid_at: Utc
    lead_h: int
    value: float | None
    p10: float | None
    p90: float | None


class ForecastPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forecast of one quantity; `origin` is the hour of the newest observation behind it.

    Normals (`source` climatology) and KMA's forecast (`guided`, `guidance`) need none: `origin` is
    then the hour of issue. `adjusted` names what took part beside the models: `tuning`, what the
    release says of this farm; `bias` that verified forecasts show; `guidance`, KMA's forecast.
    `sources` has for each of `hours` its rung, of two that were joined that of greater weight.
    """

    quantity: str
    unit: str
    origin: Utc
    hours: tuple[ForecastHour, ...]
    notes: tuple[str, ...]
    adjusted: tuple[str, ...]
    inputs: tuple[Input, ...]
    sources: tuple[str, ...]


class BackfillPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours that passed since `valid_from` while no forecast could be delivered.

    Each by the newest forecast that was made before it; an hour that none foresaw is absent.
    """

    quantity: str
    unit: str
    hours: tuple[ForecastHour, ...]


class HeldBack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an edge waits, and until when; null: until the alert ends."""

    why: HoldReason
    until: Utc | None


class AlertState(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the condition of a rule holds now; `unknown` without data.

    `held_back` is not null where people were not told of the level yet and the message waits, and
    where updates of an alert wait since a person acknowledged it or snoozed the rule. `value`,
    `value_at`, `first_hour` and `probability` as in an edge.
    """

    rule: str
    level: Level
    severity: Severity
    since: Utc | None
    held_back: HeldBack | None
    quantity: str
    unit: str
    operator: Operator
    threshold: float
    value: float | None
    value_at: Utc | None
    probability: Chance | None
    first_hour: Utc | None


class ActionOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a controller may do; not after `expires_at`, and never longer than `max_run_s`."""

    command: str
    value: str | float | bool
    expires_at: Utc
    max_run_s: int


class AlertEvent(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edge of a rule. `text` is for people, `reason` says how it was decided.

    `value` is the lowest (for < and <=) or highest point forecast of the rule's window, at the hour
    `value_at`; `first_hour` the first hour that meets the rule, null where none does; `probability`
    the chance within the window, 0.01 to 0.99. For a live rule they are the reading, its time
    twice, and 1 or 0.

    `drill` marks a message that was sent to try the chain: nothing has happened, nothing is to do.
    """

    event_type: EdgeName
    rule: str
    severity: Severity
    text: str
    reason: str
    quantity: str
    unit: str
    operator: Operator
    threshold: float
    value: float | None
    value_at: Utc | None
    probability: Chance | None
    first_hour: Utc | None
    lasted_s: int | None
    inputs: tuple[Input, ...]
    action: ActionOrder | None
    drill: bool


class WaterBalance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sums in mm since `since`; depletion = start + demand - rain - given + drained + corrected.

    `start_assumed`: the soil was taken as full at the start, nobody measured it. `through` is the
    newest hour in the sums. `given_mm` is what was reported as given, `drained_mm` what was lost
    on the way to the roots or below them, `corrected_mm` what soil moisture readings (or a smaller
    root zone) moved. `filled_hours` had no observation, in `rainless_hours` rain was not known.
    """

    since: Utc
    start_mm: float
    start_assumed: bool
    through: Utc
    depletion_mm: float
    demand_mm: float
    rain_mm: float
    given_mm: float
    drained_mm: float
    corrected_mm: float
    filled_hours: int
    rainless_hours: int
    last_given_at: Utc | None
    last_given_mm: float | None


class AdvicePayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Watering advice for the next 24 hours; not sent when its inputs are too old.

    `start` to `end` are the best hours. `depletion_mm` is what is missing in the root zone now,
    `readily_mm` what may be missing without harm, `demand_mm` what the crop will use, `rain_mm` the
    likely rain, 0 under a roof (null: no forecast of rain is at hand); `measured` says that a soil
    moisture reading stands behind it. `balance` tells how the depletion came about.
    """

    crop: str
    need_mm: float
    volume_l: float | None
    start: Utc | None
    end: Utc | None
    depletion_mm: float
    readily_mm: float
    demand_mm: float
    rain_mm: float | None
    measured: bool
    balance: WaterBalance
    text: str
    inputs: tuple[Input, ...]


class Tuned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the release holds for this farm alone: whose models' values are corrected.

    `trained_to` is the newest hour of the farm's history that was used, UTC; `scores` are figures
    of the gate by target and name.
    """

    targets: tuple[str, ...]
    trained_to: str
    scores: dict[str, dict[str, float]]


class ModelPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Release that runs; `release` is null before the first install.

    `left_release` is one that this device went back from, `left_reason` why; null where none was
    left since the last install. `tuned` is null where the release holds nothing for this farm.
    """

    release: int | None
    channel: str | None
    created_at: str | None
    feature_digest: str | None
    versions: dict[str, str]
    scores: dict[str, dict[str, float]]
    reason: str | None
    agent_version: str
    left_release: int | None
    left_reason: str | None
    tuned: Tuned | None


class Skill(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one quantity was forecast at one lead; errors are observed - forecast.

    `coverage` is the share of hours between p10 and p90; `model_rmse` the error before the learned
    bias was taken off; `guidance_rmse` that of KMA's forecast as it is; null where it had no hour.
    """

    quantity: str
    lead_h: int
    hours: int
    rmse: float
    bias: float
    coverage: float
    model_rmse: float
    guidance_rmse: float | None = None


class ChanceScore(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the chance of one event was told: Brier score, and how often the event came."""

    event: str
    decisions: int
    brier: float
    came: float


class RefusedReading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A reading that was refused: when it was measured or came, what was sent, and why not."""

    at: Utc
    value: str
    reason: str


class SensorReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configured sensor and its last accepted reading.

    `fresh` is false where that reading is missing, older than the sensor's `max_age_s`, or followed
    by one beyond its limits; `refused` counts what was refused, over restarts. `problem` is a text
    for people: a refusal that goes on or ended less than an hour ago, or silence; else null.
    """

    topic: str
    field: str
    role: str
    quantity: str
    unit: str
    value: float | None
    at: Utc | None
    age_s: int | None
    fresh: bool
    refused: int
    last_refused: RefusedReading | None
    problem: str | None


class GuidanceReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """KMA's forecast in the newest forecast of this agent, corrected by models or by its own bias.

    `until` is the last hour that it has. By quantity: `weight` is its mean share, 0 to 1; `rmse`
    the error of its newest issues here in 30 days, as they are; null without observations.
    """

    cell: str
    issued_at: Utc
    age_s: int
    until: Utc
    corrected_by: Literal["models", "bias"]
    weight: dict[str, float]
    rmse: dict[str, float | None]


class HealthPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the agent is. `problems` are texts for people; empty is well.

    `held_back` has the rules whose messages wait, see `AlertState`.
    `skill` and `chances` tell how its forecasts of the last 30 days came out on this farm.
    `guidance` is null where KMA's forecast takes no part.
    """

    forecast_source: str | None
    forecast_reason: str | None
    data_age_s: int | None
    disk_free_bytes: int | None
    outbox: dict[str, int]
    alerts_raised: tuple[str, ...]
    held_back: dict[str, HeldBack]
    rules_unknown: tuple[str, ...]
    advice_reason: str | None
    problems: tuple[str, ...]
    sensors: tuple[SensorReport, ...] = ()
    skill: tuple[Skill, ...] = ()
    chances: tuple[ChanceScore, ...] = ()
    guidance: GuidanceReport | None = None


class FreshPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the values of now rest on data that are new enough; `offline` = do not trust them."""

    state: Literal["online", "offline"]
    data_age_s: int | None


class HistoryPayload(Base, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the farm's own outdoor sensors measured: a value every `step_s` from `start` on.

    `values` has the quantities that were measured at all, all of one length; null = missing.
    """

    site: str
    device: str
    latitude: float
    longitude: float
    elevation_m: float
    start: Utc
    step_s: int
    values: dict[str, tuple[float | None, ...]]


SCHEMAS: Final[dict[str, type[Base]]] = {
    "forecast": ForecastPayload,
    "alert-state": AlertState,
    "alert-event": AlertEvent,
    "advice": AdvicePayload,
    "model": ModelPayload,
    "health": HealthPayload,
    "fresh": FreshPayload,
    "history": HistoryPayload,
    "backfill": BackfillPayload,
}
"""Message kind -> struct; the kind names docs/mqtt/<kind>.schema.json."""


def fill(struct: type[S], *facts: Mapping[str, object]) -> S:
    """A struct from values by key; keys that it does not have are left out.

    An MQTT payload and a REST answer differ in keys and order: one mapping fills both.

    Raises:
        TypeError: A key without a default is in none of the mappings.
    """
    values = {key: value for mapping in facts for key, value in mapping.items()}
    return struct(**{key: values[key] for key in struct.__struct_fields__ if key in values})


def schema_name(kind: str) -> str:
    """Value of `schema` in messages of `kind`."""
    return f"farm-edge/{kind}/1"
