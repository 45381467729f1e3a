"""Sections of a report that show the scores of a run's `metrics.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.schema import QUANTITIES, TARGETS
from trainer.evaluation.daily_sums import (
    GUIDANCE_REFERENCES,
    GUIDED,
    OBSERVATIONS,
    RAW_GUIDANCE,
    SEASONS,
)
from trainer.evaluation.events import EVENTS
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, MODEL
from trainer.evaluation.point_scores import skill as skill_over
from trainer.report import charts, html

if TYPE_CHECKING:
    from trainer.evaluation.breakdown import Part
    from trainer.evaluation.holdout_scores import Metrics

SHOWN_LEADS: Final = (6, 24, 48)
NAMES: Final = {target: QUANTITIES[target].en.short for target in TARGETS}
_SEASONS: Final = dict(zip(SEASONS, ("winter", "spring", "summer", "autumn"), strict=True))
_BLOCKS: Final = range(0, 24, 3)
"""First hours of the blocks of a day."""
_STATION: Final = "station "
_TERRAINS: Final = ("coast", "inland", "mountain")


def headline(metrics: Metrics) -> str:
    """Error and bias a day ahead, beside the best reference."""
    figures = []
    for target in TARGETS:
        unit, scores = QUANTITIES[target].unit, metrics.scores[target]
        own = scores[MODEL][HEADLINE_LEAD]
        rivals = {
            name: by_lead[HEADLINE_LEAD].rmse
            for name, by_lead in scores.items()
            if name != MODEL and HEADLINE_LEAD in by_lead
        }
        best = min(rivals, key=lambda name: rivals[name])
        held = metrics.coverage_80[target][HEADLINE_LEAD]
        figures += [
            (
                f"{NAMES[target]} RMSE, 24 h",
                f"{own.rmse:.2f} {unit}",
                f"best reference {rivals[best]:.2f} ({_plain(best)})",
            ),
            (
                f"{NAMES[target]} 80 % intervals",
                f"hold {held:.1%}",
                f"bias {own.bias:+.2f} {unit}, R² {own.r2:.3f}",
            ),
        ]
    return html.tiles(figures)


def skill(metrics: Metrics) -> str:
    """Scores by lead, beside every reference."""
    drawings, tables = {}, []
    for target in TARGETS:
        unit, scores = QUANTITIES[target].unit, metrics.scores[target]
        title = f"{NAMES[target]}: error by lead"
        rmse = {
            name: {lead: score.rmse for lead, score in by_lead.items()}
            for name, by_lead in scores.items()
        }
        drawings[title] = charts.lines_by_lead(rmse, unit, title)
        rivals = [name for name in rmse if name != MODEL]
        head = ("lead, h", "hours", "RMSE", "MAE", "bias", "R²")
        tables.append(
            html.folded(
                f"{NAMES[target]} in numbers ({unit}; skill is 1 - MSE / MSE of the reference)",
                html.table(
                    (*head, *(f"skill over {_plain(name)}" for name in rivals)),
                    [
                        (
                            *(lead, own.rows, own.rmse, own.mae, own.bias, own.r2),
                            *(
                                skill_over(own.rmse, rmse[name][lead])
                                if lead in rmse[name]
                                else None
                                for name in rivals
                            ),
                        )
                        for lead, own in sorted(scores[MODEL].items())
                    ],
                ),
            )
        )
    return html.section(
        "Skill",
        "Error grows with the lead; what matters is the distance to forecasts that cost nothing. "
        "All are scored on the same hours.",
        html.grid(drawings),
        *tables,
    )


def calibration(metrics: Metrics) -> str:
    """How often intervals held, and where observations fell in the distribution."""
    drawings, rows = {}, []
    for target in TARGETS:
        spreads = metrics.detail[target].spread
        whole = {lead: slices["all"] for lead, slices in sorted(spreads.items()) if slices}
        title = f"{NAMES[target]}: intervals"
        held = {
            0.8: {lead: spread.coverage_80 for lead, spread in whole.items()},
            0.9: {lead: spread.coverage_90 for lead, spread in whole.items()},
        }
        drawings[title] = charts.calibration(held, title)
        title = f"{NAMES[target]}, 24 h: place in the distribution (PIT)"
        drawings[title] = charts.pit(np.array(whole[HEADLINE_LEAD].pit), title)
        for lead in SHOWN_LEADS:
            if lead in whole:
                seasons = (spreads[lead].get(name) for name in _SEASONS)
                rows.append(
                    (
                        *(NAMES[target], lead, whole[lead].coverage_80),
                        *(spread.coverage_80 if spread else None for spread in seasons),
                        *(whole[lead].crps, whole[lead].crps_climatology),
                    )
                )
    return html.section(
        "Calibration",
        "An interval named 80 % should hold 80 % of what comes; on the dashed line it does. "
        "A flat histogram says the same of the whole distribution: a hump in the middle means "
        "bands too wide, horns at the ends too narrow, a slope a bias.",
        html.grid(drawings),
        html.table(
            (
                *("80 % intervals held", "lead, h", "all", *_SEASONS.values()),
                *("CRPS", "CRPS of the normals"),
            ),
            rows,
        ),
    )


def events(metrics: Metrics) -> str:
    """Reliability of chances, and warnings against events."""
    drawings, rows = {}, []
    for event in EVENTS:
        by_lead = metrics.detail[event.target].events.get(event.name, {})
        for lead in SHOWN_LEADS:
            if lead not in by_lead:
                continue
            warned = by_lead[lead]
            hours = sum(count for _, _, count in warned.points)
            unit = QUANTITIES[event.target].unit
            happened = round(warned.base_rate * hours)
            # Without an event the skill only says how rare it is normally.
            skill = warned.brier_skill if happened else "no events"
            rows.append(
                (
                    f"{event.name}: {event.operator} {event.threshold:g} {unit}",
                    f"{warned.at:.0%}",
                    *(lead, hours, happened, warned.brier),
                    *(skill, warned.pod, warned.far, warned.csi),
                )
            )
            if lead == HEADLINE_LEAD:
                title = f"{event.name.capitalize()}, 24 h ahead"
                drawings[title] = charts.reliability(warned.points, title)
    return html.section(
        "Events",
        "When a chance of 70 % is told, the event should come in 70 % of the hours. Warnings are "
        "given from the chance at which a device's own rules give them; Brier skill is over always "
        "telling how often the event is normal in that month and hour.",
        html.grid(drawings),
        html.table(
            (
                *("event", "warned from", "lead, h", "hours", "with event", "Brier", "Brier skill"),
                *("found (POD)", "false (FAR)", "CSI"),
            ),
            rows,
        ),
    )


def slices(metrics: Metrics) -> str:
    """Error a day ahead by season, hour of the day and station."""
    drawings, rows = {}, []
    for target in TARGETS:
        parts = metrics.detail[target].parts[MODEL][HEADLINE_LEAD]
        title = f"{NAMES[target]}: 24 h error by season and hour"
        drawings[title] = charts.heat_map(
            np.array(
                [[_rmse(parts, f"{name} {hour:02d}") for hour in _BLOCKS] for name in SEASONS]
            ),
            (tuple(_SEASONS.values()), tuple(f"{hour:02d}-{hour + 3:02d}" for hour in _BLOCKS)),
            QUANTITIES[target].unit,
            title,
        )
        rows += [
            (NAMES[target], name.removeprefix(_STATION), part.rows, part.rmse, part.bias)
            for name, part in parts.items()
            if name.startswith(_STATION) or name in _TERRAINS
        ]
    return html.section(
        "Where it errs",
        "Season and part of the day are those of the hour that was forecast, Korean time.",
        html.grid(drawings),
        html.folded("By station", html.table(("24 h", "station", "hours", "RMSE", "bias"), rows)),
    )


def lacking(metrics: Metrics) -> str:
    """Errors without groups of inputs; empty for runs that did not measure them."""
    if not metrics.lacking:
        return ""
    with_all = [metrics.scores[target][MODEL][HEADLINE_LEAD].rmse for target in TARGETS]
    rows: list[tuple[object, ...]] = [("nothing", *with_all)]
    rows += [
        (group, *(metrics.lacking[target][group] for target in TARGETS))
        for group in metrics.lacking[TARGETS[0]]
    ]
    units = (f"{NAMES[target]}, {QUANTITIES[target].unit}" for target in TARGETS)
    return html.table(("RMSE 24 h ahead without", *units), rows)


def guided(metrics: Metrics) -> str:
    """Corrected forecasts of KMA beside raw ones; empty for runs without."""
    rows, names = [], (GUIDED, *GUIDANCE_REFERENCES, OBSERVATIONS)
    for target, forecasts in metrics.guided.items():
        for lead, own in sorted(forecasts[GUIDED].items()):
            rmse = [forecasts[name][lead].rmse for name in names]
            ratio = own.rmse / forecasts[RAW_GUIDANCE][lead].rmse
            rows.append(
                (f"{NAMES[target]}, {QUANTITIES[target].unit}", lead, own.rows, *rmse, ratio)
            )
    if not rows:
        return ""
    return html.section(
        "KMA's forecasts, corrected",
        "Root mean square errors on the hours of the holdout that have KMA's forecasts: as devices "
        "show them, as KMA gives them, plus their mean error of 30 days, plus their newest error, "
        "and the models of observations alone.",
        html.table(
            ("RMSE", "lead, h", "hours", *map(_plain, names), "ratio to raw guidance"), rows
        ),
    )


def _rmse(parts: dict[str, Part], name: str) -> float:
    return parts[name].rmse if name in parts else np.nan


def _plain(name: str) -> str:
    return name.replace("_", " ")
