"""What `edge-agent status` shows: a document of the parts of one agent.

The running service makes it of its own parts, which may be in memory. Where none answers, the
command makes it of what is on the disk.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from edge_agent import __version__
from edge_agent.agronomy.crops import CROPS
from edge_agent.agronomy.development import BUD_FROST_C, chill_hours, degree_days_of
from edge_agent.alerts.messages import balance_of
from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
from edge_agent.core import official_reports
from edge_agent.core.soil_water import reckon
from edge_agent.forecasting import online_correction
from edge_agent.observations import source_choice

if TYPE_CHECKING:
    import polars as pl

    from edge_agent.core.runtime import Runtime


class _Validity(msgspec.Struct):
    """The end of a payload of any version."""

    valid_until: datetime


class _Issue(msgspec.Struct):
    """The time of a payload of any version."""

    issued_at: datetime


def document(runtime: Runtime) -> dict[str, Any]:
    """State of the parts; the keys of `edge-agent status --json` but for those of the service.

    Args:
        runtime: The agent's parts.

    Raises:
        StorageError: The disk refused.
    """
    now, clock = runtime.time.judge()
    forecasts = runtime.store.forecasts(now - timedelta(hours=48), now + timedelta(hours=1))
    last = forecasts[-1] if forecasts else None
    installed = runtime.slots.load()
    tuning = installed.tuning(runtime.config.device.full_id) if installed else None
    counts = runtime.outbox.counts()
    newest = {source: runtime.store.newest(source, now) for source in runtime.store.sources()}
    return {
        "agent_version": __version__,
        "now": now,
        "clock": clock,
        "device": runtime.config.device.full_id,
        "state_folder": str(runtime.state),
        "release": None if installed is None else installed.manifest.release,
        "tuned": sorted(tuning.corrections) if tuning else None,
        "channel": runtime.config.depot.channel,
        "observations": {
            source: {"newest": at, "age_h": round((now - at) / timedelta(hours=1), 1)}
            for source, at in newest.items()
            if at is not None
        },
        "last_model_forecast": None
        if last is None
        else {"issued_at": last.issued_at, "origin": last.origin, "source": last.source.value},
        "skill_of_30_days": {
            f"{skill.quantity} {skill.lead_h} h": msgspec.to_builtins(skill)
            for skill in online_correction.skill(runtime.verification, now)
        },
        "chances_of_30_days": {
            score.event: msgspec.to_builtins(score)
            for score in online_correction.chance_scores(runtime.verification, now)
        },
        "growth": _growth(runtime, now),
        "water": _water(runtime, now),
        "alerts": _alerts(runtime, now),
        "official_warnings": official_reports.report(runtime, now),
        "outbox": {
            "waiting": counts.waiting,
            "dropped_for_room": counts.dropped_for_room,
            "dropped_expired": counts.dropped_expired,
            "refused": counts.refused,
        },
    }


def written_at(runtime: Runtime) -> datetime | None:
    """When the service last wrote news of its state, UTC; None where it never did.

    Raises:
        StorageError: The disk refused.
    """
    topic = runtime.topics.health
    payload = runtime.outbox.waiting(topic) or runtime.outbox.last_delivered(topic)
    times = [latch.changed_at for latch in runtime.latches.all().values()]
    if payload:
        times.append(msgspec.json.decode(payload, type=_Issue).issued_at)
    return max(filter(None, times), default=None)


def _water(runtime: Runtime, now: datetime) -> dict[str, Any] | None:
    """What is missing in the soil now, and the sums that led to it; None without a crop."""
    if not runtime.config.irrigation.crop:
        return None
    balance: dict[str, Any] = msgspec.to_builtins(balance_of(reckon(runtime.context(), now).water))
    return balance


def _alerts(runtime: Runtime, now: datetime) -> dict[str, Any]:
    """Every rule that was decided on.

    Unknown where the last decision knew nothing, and where its message has run out (T2).
    """
    return {
        name: {
            "level": latch.level.value
            if latch.known and _state_holds(runtime, name, now)
            else "unknown",
            "since": latch.since,
            "held_back": msgspec.to_builtins(latch.held_back),
        }
        for name, latch in runtime.latches.all().items()
    }


def _state_holds(runtime: Runtime, rule: str, now: datetime) -> bool:
    topic = runtime.topics.alert_state(rule)
    payload = runtime.outbox.waiting(topic) or runtime.outbox.last_delivered(topic)
    return bool(payload) and msgspec.json.decode(payload, type=_Validity).valid_until > now


def _growth(runtime: Runtime, now: datetime) -> dict[str, Any] | None:
    """Heat since planting; for fruit trees the chill since the first of November."""
    settings, device = runtime.config.irrigation, runtime.config.device
    crop = CROPS.get(settings.crop)
    if crop is None:
        return None
    zone = ZoneInfo(device.timezone)

    def hours(day: date) -> pl.DataFrame:
        start = datetime(day.year, day.month, day.day, tzinfo=zone)
        frames = [
            runtime.store.hourly(source, start, now).select(TIME, AIR_TEMPERATURE)
            for source in source_choice.names(device)
        ]
        return max(frames, key=lambda frame: frame[AIR_TEMPERATURE].count())

    grown: dict[str, Any] = {"crop": settings.crop}
    if settings.planted_on:
        since = hours(date.fromisoformat(settings.planted_on))
        heat = degree_days_of(since, crop.base_c, device.timezone)
        grown["degree_days"] = round(heat)
        grown["base_c"] = crop.base_c
    if settings.crop in BUD_FROST_C:
        today = now.astimezone(zone).date()
        autumn = date(today.year - (today.month < 11), 11, 1)
        grown["chill_hours"] = chill_hours(hours(autumn)[AIR_TEMPERATURE].to_numpy())
    return grown
