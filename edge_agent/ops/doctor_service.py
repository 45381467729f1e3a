"""What the running service knows of itself and of its sensors, else what its database holds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_agent.contract.errors import InputMissing
from edge_agent.core import sensor_reports, service_answer
from edge_agent.core.runtime import DATABASE
from edge_agent.mqtt import outbox_inspection
from edge_agent.observations.intake import Intake
from edge_agent.observations.store import Store
from edge_agent.ops.findings import Finding, Outcome
from edge_agent.system.database import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.messages.payloads import SensorReport
    from edge_agent.ops.findings import Subject


@dataclass(frozen=True, slots=True)
class ServiceView:
    """What is seen of the service.

    Attributes:
        running: Whether it answers.
        problems: Its problems, without those of its sensors; empty where it does not answer.
        sensors: Every sensor; empty where nothing is known of them.
    """

    running: bool
    problems: tuple[str, ...]
    sensors: tuple[SensorReport, ...]


def look(subject: Subject) -> ServiceView:
    """Ask the service, or read its database.

    Raises:
        StorageError: The database cannot be read.
    """
    answer = service_answer.ask(subject.state)
    if answer is not None:
        of_sensors = sensor_reports.problems(answer.sensors)
        others = tuple(text for text in answer.problems if text not in of_sensors)
        return ServiceView(running=True, problems=others, sensors=answer.sensors)
    path = subject.state / DATABASE
    if not _sound(path):
        return ServiceView(running=False, problems=(), sensors=())
    zone = ZoneInfo(subject.config.device.timezone)
    with closing(connect(path)) as db:
        store = Store(db)
        intake = Intake(subject.config.sensors, zone, store.refusals())
        known = sensor_reports.reports(intake, store, subject.clock.now(), None)
    return ServiceView(running=False, problems=(), sensors=known)


def _sound(path: Path) -> bool:
    """Whether the database is there and undamaged; a damaged one would be set aside."""
    try:
        with closing(outbox_inspection.open_existing(path)) as db:
            return not outbox_inspection.problems(db)
    except InputMissing:
        return False


def examine(view: ServiceView) -> Iterator[Finding]:
    """Findings on the service and its sensors."""
    if not view.running:
        advice = "systemctl start edge-agent, or edge-agent run"
        yield Finding("service", Outcome.WARN, "does not run, or does not answer", advice)
    elif not view.problems:
        yield Finding("service", Outcome.OK, "runs, no problem")
    for text in view.problems:
        yield Finding("service", Outcome.WARN, text)
    broken = sensor_reports.problems(view.sensors)
    for text in broken:
        yield Finding(
            "sensors", Outcome.WARN, text,
            "look at the sensor and its battery, and at topic, field, unit and role in [[sensors]]",
        )  # fmt: skip
    if view.sensors and not broken:
        yield Finding("sensors", Outcome.OK, f"{len(view.sensors)} heard, nothing refused")
