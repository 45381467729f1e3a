"""A decision's inputs as bytes and back, so that a decision can be replayed. Pure.

Of a forecast the record holds the rule's quantities in the hours of its window, with every digit:
about 3 kB an alert.
"""

from __future__ import annotations

import zlib
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.agronomy.derived import inputs_of
from edge_agent.alerts.evaluation import DecisionInputs, Relayed
from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.state_machine import Latch
from edge_agent.contract import forecast_json
from edge_agent.contract.clock_state import ClockState
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.settings import QuietHours, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.forecast import Forecast


class _StoredRelayed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`Relayed` as JSON holds it."""

    source: str
    forecast: msgspec.Raw
    readings: tuple[tuple[datetime, float | None], ...]


class _StoredInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`DecisionInputs` as JSON holds them, field by field."""

    rule: Rule
    latch: Latch
    now: datetime
    clock: ClockState
    zone: str
    daily_cap: int
    quiet_hours: QuietHours
    forecast: msgspec.Raw
    readings: tuple[tuple[datetime, float | None], ...]
    relayed: _StoredRelayed | None = None
    forecast_at: datetime | None = None


def to_bytes(inputs: DecisionInputs) -> bytes:
    """Compressed JSON."""
    values = {field.name: getattr(inputs, field.name) for field in fields(inputs)} | {
        "forecast": _raw(inputs.forecast, inputs),
        "readings": _pairs(inputs.readings),
        "relayed": None
        if (relayed := inputs.relayed) is None
        else _StoredRelayed(
            relayed.source, _raw(relayed.forecast, inputs), _pairs(relayed.readings)
        ),
    }
    return zlib.compress(msgspec.json.encode(_StoredInputs(**values)))


def from_bytes(content: bytes) -> DecisionInputs:
    """Inputs from the bytes of `to_bytes`.

    Raises:
        BadData: Damaged, or written by a newer agent.
    """
    try:
        record = msgspec.json.decode(zlib.decompress(content), type=_StoredInputs)
    except (zlib.error, msgspec.DecodeError) as fault:
        raise BadData(f"kept inputs of an alert: {in_words(fault)}") from fault
    values = msgspec.structs.asdict(record) | {
        "forecast": _forecast(record.forecast),
        "readings": _readings(record.readings),
        "relayed": None
        if (relayed := record.relayed) is None
        else Relayed(relayed.source, _forecast(relayed.forecast), _readings(relayed.readings)),
    }
    return DecisionInputs(**values)


def _raw(forecast: Forecast | None, inputs: DecisionInputs) -> msgspec.Raw:
    if forecast is None:
        return msgspec.Raw(b"null")
    return msgspec.Raw(forecast_json.to_bytes(_cut(forecast, inputs), digits=None))


def _forecast(raw: msgspec.Raw) -> Forecast | None:
    content = bytes(raw)
    return None if content == b"null" else forecast_json.from_bytes(content)


def _pairs(readings: Sequence[Measured]) -> tuple[tuple[datetime, float | None], ...]:
    return tuple((reading.at, reading.value) for reading in readings)


def _readings(pairs: Sequence[tuple[datetime, float | None]]) -> tuple[Measured, ...]:
    return tuple(Measured(at, value) for at, value in pairs)


def _cut(forecast: Forecast, inputs: DecisionInputs) -> Forecast:
    begin = inputs.forecast_at or inputs.now
    end = begin + timedelta(hours=inputs.rule.within_h)
    hours = [i for i, at in enumerate(forecast.valid_at) if begin < at <= end]
    quantities = [condition.quantity for condition in inputs.rule.conditions]
    names = {name for quantity in quantities for name in (quantity, *inputs_of(quantity))}
    return replace(
        forecast,
        valid_at=tuple(forecast.valid_at[i] for i in hours),
        sources={name: tuple(made[i] for i in hours) for name, made in forecast.sources.items()},
        targets={
            name: replace(
                forecast.targets[name],
                values=forecast.targets[name].values[hours],
                quantiles=forecast.targets[name].quantiles[hours],
            )
            for name in sorted(names & forecast.targets.keys())
        },
        points={
            name: replace(forecast.points[name], values=forecast.points[name].values[hours])
            for name in sorted(names & forecast.points.keys())
        },
    )
