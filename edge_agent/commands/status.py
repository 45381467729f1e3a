"""`edge-agent status` and `release`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from edge_agent import __version__
from edge_agent.commands.common import opened, standard_options
from edge_agent.commands.seen_problems import seen_problems
from edge_agent.contract.errors import InputMissing
from edge_agent.system.console import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from edge_agent.contract.manifest import Manifest
    from edge_agent.core.runtime import Runtime
    from edge_agent.core.service_answer import BrokerReport
    from edge_agent.messages.payloads import SensorReport


class _Validity(msgspec.Struct):
    """The end of a payload of any version."""

    valid_until: datetime


@click.command()
@standard_options
def status(config_path: Path | None, as_json: bool) -> None:
    """What runs: problems, sensors, release, age of the data, last forecast, alerts, queue, clock.

    Problems and sensors come from the running service; without one, from what it has written.

    Example: edge-agent status --json
    """
    with opened(config_path) as runtime:
        document = _status(runtime)
    if not as_json:
        for text in document.pop("problems") or ["none"]:
            click.echo(f"problem: {text}")
        for report in document.pop("sensors"):
            click.echo(_sensor_line(report))
        click.echo(broker_line(document.pop("broker"), sum(document["outbox"]["waiting"].values())))
    _print(document, as_json=as_json)


@click.command()
@standard_options
def release(config_path: Path | None, as_json: bool) -> None:
    """Which release runs and why: versions, scores, corrections for this farm, lineage.

    Example: edge-agent release --json
    """
    from edge_agent.messages.status import tuned_of

    with opened(config_path) as runtime:
        installed = runtime.slots.load()
        pointer = runtime.slots.pointer()
        device = runtime.config.device.full_id
    if installed is None:
        raise InputMissing("no release is installed: run `edge-agent sync`")
    tuned = tuned_of(installed.tuning(device))
    document = _release(installed.manifest)
    document["manifest_sha256"] = installed.sha256
    before = pointer.previous
    document["previous"] = before.release if before else None
    document["left"] = msgspec.to_builtins(pointer.left)
    document["tuned"] = msgspec.to_builtins(tuned)
    _print(document, as_json=as_json)


def _status(runtime: Runtime) -> dict[str, Any]:
    from edge_agent.core import service_answer
    from edge_agent.forecasting import online_correction

    now, clock = runtime.time.judge()
    answer = service_answer.ask(runtime.state)
    sensors = runtime.sensor_reports(now) if answer is None else answer.sensors
    problems = seen_problems(runtime, sensors) if answer is None else answer.problems
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
        "service": "does not answer" if answer is None else "runs",
        "problems": list(problems),
        "sensors": sensors,
        "broker": None if answer is None else answer.broker,
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
        "alerts": _alerts(runtime),
        "outbox": {
            "waiting": counts.waiting,
            "dropped_for_room": counts.dropped_for_room,
            "dropped_expired": counts.dropped_expired,
            "refused": counts.refused,
        },
    }


def _water(runtime: Runtime, now: datetime) -> dict[str, Any] | None:
    """What is missing in the soil now, and the sums that led to it; None without a crop."""
    from edge_agent.alerts.messages import balance_of
    from edge_agent.core.soil_water import reckon

    if not runtime.config.irrigation.crop:
        return None
    balance: dict[str, Any] = msgspec.to_builtins(balance_of(reckon(runtime.context(), now).water))
    return balance


def _alerts(runtime: Runtime) -> dict[str, Any]:
    """Every rule that was decided on.

    Unknown where the last decision knew nothing, and where its message has run out (T2).
    """
    now = runtime.clock.now()
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


def _sensor_line(report: SensorReport) -> str:
    name = f"{report.topic} {report.field}".strip()
    value = "no reading"
    if report.value is not None:
        value = f"{report.value:g} {report.unit} {report.age_s} s ago"
    last = report.last_refused
    refused = f", {report.refused} refused" + (
        f", last {last.value}: {last.reason}" if last else ""
    )
    return f"sensor {name} ({report.role} {report.quantity}): {value}{refused}"


def broker_line(broker: BrokerReport | None, waiting: int) -> str:
    """One line for people.

    Args:
        broker: What the service reports; None where it does not answer.
        waiting: Number of messages that wait.
    """
    if broker is None:
        how = "not known, since the service does not answer"
    elif broker.connected:
        since = "" if broker.since is None else f" since {broker.since:%Y-%m-%d %H:%M} UTC"
        how = f"connected{since}, MQTT {broker.version}"
    else:
        how = f"not connected: {broker.problem}"
    parts = [how, "1 message waits" if waiting == 1 else f"{waiting} messages wait"]
    if broker is not None:
        parts.extend([f"refuses {text}" for text in broker.refused] or ["refuses nothing"])
        parts.extend(broker.concerns)
        if broker.connected and broker.last_problem:
            parts.append(f"last error: {broker.last_problem}")
    return f"broker: {'; '.join(parts)}"


def _growth(runtime: Runtime, now: datetime) -> dict[str, Any] | None:
    """Heat since planting; for fruit trees the chill since the first of November."""
    from edge_agent.agronomy.crops import CROPS
    from edge_agent.agronomy.development import BUD_FROST_C, chill_hours, degree_days_of
    from edge_agent.contract.schema import AIR_TEMPERATURE, TIME
    from edge_agent.observations import source_choice

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


def _release(manifest: Manifest) -> dict[str, Any]:
    return {
        "release": manifest.release,
        "channel": manifest.channel,
        "created_at": manifest.created_at,
        "reason": manifest.reason,
        "models": {name: model.version for name, model in manifest.models.items()},
        "features": {"digest": manifest.features.digest, "count": len(manifest.features.names)},
        "scores": manifest.scores,
        "lineage": manifest.lineage,
        "stations": list(manifest.sites),
    }


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    for line in _flat(document, ""):
        click.echo(line)


def _flat(value: Any, at: str) -> Iterator[str]:  # noqa: ANN401 - plain values of any shape
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{at}.{key}" if at else key)
    elif isinstance(value, (list, tuple)):
        yield f"{at}: {', '.join(map(str, value))}"
    else:
        yield f"{at}: {'-' if value is None else value}"
