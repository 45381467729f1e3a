"""`edge-agent replay --explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from edge_agent.commands.common import opened
from edge_agent.contract.numbers import fixed, percent
from edge_agent.contract.schema import QUANTITIES
from edge_agent.system.console import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_agent.replay.explain import ExplainedStep, Explanation


def explain_alert(alert: str, config_path: Path | None, *, as_json: bool) -> None:
    """Work an alert out again and print it; exit 1 where the result differs.

    Args:
        alert: Its id, or the end of it.
        config_path: The configuration file, where it is known.
        as_json: Print one JSON document.
    """
    from edge_agent.replay.explain import explain

    with opened(config_path) as runtime:
        explanation = explain(runtime.log.find(alert))
    if as_json:
        print_json(_document(explanation))
    else:
        for line in _lines(explanation):
            click.echo(line)
    if explanation.differences:
        click.get_current_context().exit(1)


def _document(explanation: Explanation) -> dict[str, Any]:
    """Everything a program may want of an explanation."""
    return {
        "id": explanation.event.id,
        "same": not explanation.differences,
        "differences": explanation.differences,
        "event": msgspec.to_builtins(explanation.event),
        "rule": msgspec.to_builtins(explanation.case.rule),
        "latch_before": msgspec.to_builtins(explanation.case.latch),
        "latch_after": msgspec.to_builtins(explanation.verdict.latch),
        "steps": [msgspec.to_builtins(step) for step in explanation.steps],
    }


def _lines(explanation: Explanation) -> Iterator[str]:
    """An explanation for people."""
    event, case = explanation.event, explanation.case
    release = "" if event.model_release is None else f", release {event.model_release}"
    yield f"{event.id}"
    yield f"said {event.issued_at:%Y-%m-%d %H:%M} UTC from {event.source}{release}: {event.text}"
    for item in event.inputs:
        yield f"rested on {item.name} of {item.at:%Y-%m-%d %H:%M} UTC, {item.age_s // 60} min old"
    yield f"rule: {event.reason}"
    since = f" since {case.latch.since:%Y-%m-%d %H:%M} UTC" if case.latch.since else ""
    yield f"before: {case.latch.level.value}{since}; after: {explanation.verdict.latch.level.value}"
    yield "hour (UTC)          value      p10      p90   chance"
    for step in explanation.steps:
        cells = _cells(step, QUANTITIES[case.rule.quantity].digits)
        yield f"{step.at:%Y-%m-%d %H:%M}" + "".join(f"{cell:>9}" for cell in cells)
    yield from explanation.differences
    if not explanation.differences:
        yield "worked out again: the same"


def _cells(step: ExplainedStep, digits: int) -> Iterator[str]:
    for number in (step.value, step.p10, step.p90):
        yield "-" if number is None else fixed(number, digits)
    yield percent(step.probability)
