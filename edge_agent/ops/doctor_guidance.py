"""Checks of what the depot relays from KMA: the forecast of the farm's cell, and warnings."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.bundles import ISSUED, VALID
from edge_agent.contract.warning_zones import name_of
from edge_agent.core import official_alerts
from edge_agent.forecasting.joining import OLD_H
from edge_agent.observations import bundles
from edge_agent.ops.findings import Finding, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from edge_agent.alerts.official_store import OfficialStore
    from edge_agent.observations.store import Store
    from edge_agent.ops.findings import Subject

_HOUR: Final = timedelta(hours=1)
_REACH: Final = timedelta(days=3)
"""Age of the oldest issue that still reaches into the future."""


def findings(subject: Subject, store: Store) -> Iterator[Finding]:
    """How old the newest forecast is, and how far it reaches; nothing where none is wanted."""
    config, now = subject.config, subject.clock.now()
    cell = bundles.cell(config.device)
    if cell is None or not config.learning.guidance or not (config.depot.url or config.depot.path):
        return
    rows = store.guidance(now - _REACH, now)
    advice = "see the finding on the depot; whoever runs the trainer adds the farm's cell to relay"
    if not rows.height:
        yield Finding("guidance", Outcome.OK, f"no forecast of KMA for cell {cell}", advice)
        return
    issued: datetime = rows[ISSUED][-1]
    until: datetime = rows[VALID].sort()[-1]
    age = (now - issued) / _HOUR
    seen = (
        f"cell {cell}: issued {issued:%Y-%m-%d %H:%M} UTC, {age:.1f} h old, "
        f"reaches until {until:%Y-%m-%d %H:%M} UTC"
    )
    if age < OLD_H:
        yield Finding("guidance", Outcome.OK, seen)
    else:
        yield Finding("guidance", Outcome.WARN, seen, advice)


def warnings(subject: Subject, store: OfficialStore) -> Iterator[Finding]:
    """How old the newest file of official warnings is; nothing where none ever came."""
    config, now, bundle = subject.config, subject.clock.now(), store.bundle()
    if bundle is None:
        return
    faults = official_alerts.problems(config, store, now)
    for fault in faults:
        seen, _, advice = fault.partition(": ")
        yield Finding("official warnings", Outcome.WARN, seen, advice)
    if not faults:
        zone = config.device.zone_code or ""
        age = (now - bundle.as_of) / _HOUR
        seen = f"zone {zone} {name_of(zone)}: heard from KMA {age:.1f} h ago"
        yield Finding("official warnings", Outcome.OK, seen)
