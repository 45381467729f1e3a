"""Values that the agent's messages, its REST answers and its page have in common. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent.agronomy.irrigation import NoAdvice
from edge_agent.contract.forecast import Forecast
from edge_agent.core import sensor_reports
from edge_agent.messages.status import tuned_of
from edge_agent.mqtt.refusal_texts import by_cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edge_agent.contract.clock_state import ClockState
    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Tuning
    from edge_agent.core.cycle import Decision
    from edge_agent.core.interfaces import ServiceStatus
    from edge_agent.messages.payloads import GuidanceReport, SensorReport
    from edge_agent.mqtt.outbox_counts import Counts
    from edge_agent.updates.slots import RolledBackRelease


CLOCK_PROBLEMS: Final[dict[ClockState, str]] = {
    "holdover": "no time service confirms the clock",
    "untrusted": "the clock is behind times that have surely passed, or far ahead of them",
}


def health_facts(
    decision: Decision | None,
    clock: ClockState,
    left: RolledBackRelease | None,
    counts: Counts,
    sensors: tuple[SensorReport, ...],
) -> dict[str, Any]:
    """Values by the keys of `payloads.HealthPayload`, as far as the arguments tell them.

    Args:
        decision: Of the last cycle; None before the first.
        clock: How far the time can be trusted.
        left: The release that this device went back from, or None.
        counts: How the outbox stands.
        sensors: Every sensor.
    """
    forecast = None if decision is None else decision.forecast
    source = forecast.source.value if isinstance(forecast, Forecast) else None
    reason = forecast_reason(decision)
    problems = list(forecast.notes) if isinstance(forecast, Forecast) else [reason or ""]
    if decision is not None:
        problems.extend(gap.text for gap in decision.check.gaps)
    problems.extend(device_problems(clock, left, sensors))
    problems.extend(f"mqtt: {text}" for text in by_cause(counts.refusals))
    water = None if decision is None else decision.soil_water
    if water is not None and water.problem:
        problems.append(water.problem)
    advice = None if decision is None else decision.advice
    return {
        "forecast_source": source,
        "forecast_reason": reason,
        "outbox": outbox_figures(counts),
        "alerts_raised": () if decision is None else decision.raised,
        "held_back": {}
        if decision is None
        else {latch.rule: latch.held_back for latch in decision.latches if latch.held_back},
        "rules_unknown": () if decision is None else decision.unknown,
        "advice_reason": advice.reason if isinstance(advice, NoAdvice) else None,
        "problems": tuple(filter(None, problems)),
        "sensors": sensors,
    }


def guidance_at(decision: Decision | None, now: datetime) -> GuidanceReport | None:
    """What KMA's forecast contributes, with its age at a time; None where it takes no part."""
    report = None if decision is None else decision.guidance
    if report is None:
        return None
    age_s = int((now - report.issued_at).total_seconds())
    return msgspec.structs.replace(report, age_s=age_s)


def device_problems(
    clock: ClockState, left: RolledBackRelease | None, sensors: tuple[SensorReport, ...]
) -> Iterator[str]:
    """What is wrong with clock, release and sensors, as `health_facts` takes them."""
    if clock != "trusted":
        yield CLOCK_PROBLEMS[clock]
    if left is not None:
        yield f"release {left.release} was left: {left.why}"
    yield from sensor_reports.problems(sensors)


def service_problems(service: ServiceStatus) -> Iterator[str]:
    """What the running service reports of its jobs and its connection."""
    yield from (f"{job}: {text}" for job, text in service.faults.items())
    link = service.link
    for text in link.concerns if link.connected else (link.problem,):
        yield f"mqtt: {text}"


def release_facts(
    manifest: Manifest | None, tuning: Tuning | None, left: RolledBackRelease | None
) -> dict[str, Any]:
    """Values by the keys of `payloads.ModelPayload`, and `lineage`.

    Args:
        manifest: Of the release that runs; None before the first install.
        tuning: What it holds for this farm alone.
        left: The release that this device went back from.
    """
    return {
        "release": manifest.release if manifest else None,
        "channel": manifest.channel if manifest else None,
        "created_at": manifest.created_at if manifest else None,
        "feature_digest": manifest.features.digest if manifest else None,
        "versions": {n: m.version for n, m in manifest.models.items()} if manifest else {},
        "scores": manifest.scores if manifest else {},
        "lineage": manifest.lineage if manifest else {},
        "reason": manifest.reason if manifest else None,
        "left_release": left.release if left else None,
        "left_reason": left.why if left else None,
        "tuned": tuned_of(tuning),
    }


def outbox_figures(counts: Counts, *, delivered: bool = False) -> dict[str, int]:
    """Messages by fate and class; those delivered only on request."""
    fates = {
        "waiting": counts.waiting,
        "delivered": counts.delivered if delivered else {},
        "dropped": counts.dropped_for_room,
        "expired": counts.dropped_expired,
        "refused": counts.refused,
    }
    return {f"{fate}_{kind}": n for fate, by_kind in fates.items() for kind, n in by_kind.items()}


def forecast_reason(decision: Decision | None) -> str | None:
    """Why there is no forecast; None where there is one."""
    if decision is None:
        return "the first hour is being worked"
    forecast = decision.forecast
    return None if isinstance(forecast, Forecast) else forecast.reason
