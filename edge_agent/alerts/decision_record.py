"""A decision's inputs as bytes and back, so that an alert can be worked out again. Pure.

Of a forecast only what the rule looks at is kept: its quantities, in the hours of its window, with
every digit. That is some 3 kB an alert.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.agronomy.derived import needed_for
from edge_agent.alerts.evaluation import DecisionInputs
from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.state_machine import Latch
from edge_agent.contract import forecast_json
from edge_agent.contract.clock_state import ClockState
from edge_agent.contract.errors import BadData
from edge_agent.settings import QuietHours, Rule

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast


class _StoredInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: Rule
    latch: Latch
    now: datetime
    clock: ClockState
    zone: str
    daily_cap: int
    quiet_hours: QuietHours
    forecast: msgspec.Raw
    readings: tuple[tuple[datetime, float | None], ...]


def to_bytes(case: DecisionInputs) -> bytes:
    """Compressed JSON."""
    kept = None if case.forecast is None else _cut(case.forecast, case)
    return zlib.compress(
        msgspec.json.encode(
            _StoredInputs(
                rule=case.rule,
                latch=case.latch,
                now=case.now,
                clock=case.clock,
                zone=case.zone,
                daily_cap=case.daily_cap,
                quiet_hours=case.quiet_hours,
                forecast=msgspec.Raw(
                    b"null" if kept is None else forecast_json.to_bytes(kept, digits=None)
                ),
                readings=tuple((one.at, one.value) for one in case.readings),
            )
        )
    )


def from_bytes(content: bytes) -> DecisionInputs:
    """DecisionInputs from what `to_bytes` made.

    Raises:
        BadData: Not that, or written by a newer agent.
    """
    try:
        kept = msgspec.json.decode(zlib.decompress(content), type=_StoredInputs)
    except (zlib.error, msgspec.DecodeError) as fault:
        raise BadData(f"kept inputs of an alert: {fault}") from fault
    raw = bytes(kept.forecast)
    return DecisionInputs(
        rule=kept.rule,
        latch=kept.latch,
        now=kept.now,
        clock=kept.clock,
        zone=kept.zone,
        daily_cap=kept.daily_cap,
        quiet_hours=kept.quiet_hours,
        forecast=None if raw == b"null" else forecast_json.from_bytes(raw),
        readings=tuple(Measured(at, value) for at, value in kept.readings),
    )


def _cut(forecast: Forecast, case: DecisionInputs) -> Forecast:
    end = case.now + timedelta(hours=case.rule.within_h)
    hours = [i for i, at in enumerate(forecast.valid_at) if case.now < at <= end]
    return replace(
        forecast,
        valid_at=tuple(forecast.valid_at[i] for i in hours),
        targets={
            name: replace(
                forecast.targets[name],
                values=forecast.targets[name].values[hours],
                quantiles=forecast.targets[name].quantiles[hours],
            )
            for name in needed_for(case.rule.quantity)
            if name in forecast.targets
        },
    )
