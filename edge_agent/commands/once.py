"""`edge-agent once`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from edge_agent.commands.common import opened, standard_options, utc_time
from edge_agent.commands.publish import publish, service_runs
from edge_agent.commands.seen_problems import seen_problems
from edge_agent.contract.errors import UsageError
from edge_agent.contract.forecast import Forecast
from edge_agent.contract.numbers import fixed
from edge_agent.contract.schema import QUANTITIES
from edge_agent.messages.status import hours_of
from edge_agent.system.console import print_json

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from edge_agent.core.cycle import Decision
    from edge_agent.core.runtime import Runtime
    from edge_agent.messages.payloads import ForecastHour

_AHEAD: Final = timedelta(minutes=5)
_SHOWN_LEADS: Final = (1, 3, 6, 9, 12, 18, 24, 30, 36, 42, 48)


@click.command()
@click.option(
    "--at",
    metavar="TIME",
    help="Work a past hour, as a dry run (ISO 8601, UTC unless it says else).",
)
@click.option(
    "--wait",
    "wait_s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(0, 600),
    help="Seconds to try the broker; what is left waits for the next time.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing, send nothing to the broker.")
@standard_options
def once(
    at: str | None, wait_s: float, dry_run: bool, config_path: Path | None, as_json: bool
) -> None:
    """Work one hour now: print the forecast and the alerts, and publish them.

    Messages go through the same queue as those of the service; where that one runs, it delivers,
    judges the live rules, counts the soil water, keeps the forecasts and tells the agent's health.
    A broker that is away is no error: they wait. Working an hour twice says nothing twice.
    With --at nothing is written and nothing is sent: what is past is over. Exit 64: that hour is
    still to come.

    Example: edge-agent once --dry-run --json
    """
    hour = utc_time(at, "--at", example="2026-07-01T05:00Z") if at else None
    dry_run = dry_run or hour is not None
    from edge_agent.core.rules import rules_of

    with opened(config_path) as runtime:
        problem, queued = "", 0
        # A service has heard nothing of a past hour either.
        alone = hour is not None or not service_runs(runtime)
        if dry_run:
            _refuse_the_future(hour, runtime.clock.now())
            decision = runtime.decide(hour, alone=alone)
        else:
            decision, queued = runtime.run_cycle(alone=alone)
            problem = publish(runtime, wait_s)
        waiting = sum(runtime.outbox.counts().waiting.values())
        if as_json:
            present = {} if hour is not None else _present(runtime, decision, alone=alone)
            print_json(_document(decision) | present | {"queued": queued, "waiting": waiting})
            return
        live = not alone and any(rule.now for rule in rules_of(runtime.config))
    for line in _lines(decision):
        click.echo(line)
    if live:
        click.echo("live rules are judged by the running service")
    outcome = "dry run: nothing was written or sent" if dry_run else f"{queued} new messages"
    left = f"; {waiting} wait for the broker" if waiting else ""
    click.echo(f"{outcome}{left}{f' ({problem})' if problem else ''}")


def _refuse_the_future(hour: datetime | None, now: datetime) -> None:
    if hour is not None and hour > now + _AHEAD:
        raise UsageError(
            f"--at {hour:%Y-%m-%dT%H:%MZ} is in the future: the clock shows {now:%Y-%m-%dT%H:%MZ}, "
            "and only an hour that has begun can be worked"
        )


def _present(runtime: Runtime, decision: Decision, *, alone: bool) -> dict[str, Any]:
    """What holds now alone: problems, and the live rules of a service that runs beside."""
    from edge_agent.core import service_answer

    answer = None if alone else service_answer.ask(runtime.state)
    if answer is None:
        sensors = runtime.sensor_reports(runtime.clock.now()) if alone else ()
        return {"problems": seen_problems(runtime, sensors)}
    unknown = [state.rule for state in answer.live_states if state.level == "unknown"]
    return {
        "states": [*_states(decision), *map(msgspec.to_builtins, answer.live_states)],
        "rules_unknown": [*decision.unknown, *unknown],
        "problems": answer.problems,
    }


def _states(decision: Decision) -> list[Any]:
    return [
        msgspec.json.decode(message.payload)
        for message in decision.messages
        if message.topic.endswith("/state") and message.payload
    ]


def _document(decision: Decision) -> dict[str, Any]:
    """What the hour gave; payloads as they go out."""
    forecast = decision.forecast
    return {
        "at": decision.at,
        "observations": decision.origin_source,
        "source": forecast.source.value if isinstance(forecast, Forecast) else None,
        "reason": None if isinstance(forecast, Forecast) else forecast.reason,
        "model_release": forecast.release if isinstance(forecast, Forecast) else None,
        "forecast": [
            msgspec.json.decode(message.payload)
            for message in decision.messages
            if isinstance(forecast, Forecast) and "/forecast/" in message.topic
        ],
        "alerts": [msgspec.json.decode(event.payload) for _, _, event in decision.edges],
        "states": _states(decision),
        "rules_unknown": decision.unknown,
    }


def _lines(decision: Decision) -> list[str]:
    forecast = decision.forecast
    if not isinstance(forecast, Forecast):
        return [f"no forecast: {forecast.reason}"]
    lines = [f"forecast from {_made_of(forecast, decision.origin_source)}"]
    lines.extend(f"  note: {note}" for note in forecast.notes)
    lines.extend(f"  problem: {gap.text}" for gap in decision.check.gaps)
    names = list(forecast.targets)
    lines.append("  hour (UTC)        " + "".join(f"{_short(name):>28}" for name in names))
    hours = {name: hours_of(forecast, target) for name, target in forecast.targets.items()}
    for row, at in enumerate(forecast.valid_at):
        if row + 1 not in _SHOWN_LEADS:
            continue
        cells = [_cell(name, published[row]) for name, published in hours.items()]
        lines.append(f"  {at:%Y-%m-%d %H:%M}  " + "".join(f"{cell:>28}" for cell in cells))
    lines.extend(
        "alert: " + msgspec.json.decode(event.payload)["text"] for _, _, event in decision.edges
    )
    if not decision.edges:
        lines.append("no new alert")
    if decision.unknown:
        lines.append(f"unknown, for want of data: {', '.join(decision.unknown)}")
    return lines


def _made_of(forecast: Forecast, source: str) -> str:
    """Rung, observations and release of a forecast."""
    if forecast.observed_at is None:
        return f"{forecast.source.value}, release {forecast.release}, no observation"
    newest = f"newest observation {forecast.observed_at:%Y-%m-%d %H:%M} UTC"
    return f"{forecast.source.value} ({source}), release {forecast.release}, {newest}"


def _cell(name: str, hour: ForecastHour) -> str:
    """An hour as the forecast message has it."""
    row = QUANTITIES[name]
    value, low, high = (
        "-" if number is None else fixed(number, row.digits)
        for number in (hour.value, hour.p10, hour.p90)
    )
    return f"{value:>8} {row.unit} ({low} .. {high})"


def _short(name: str) -> str:
    return name.rpartition("_")[0].replace("_", " ")
