"""One self-contained HTML page about a run: what it is worth, how sure it is, where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract import residuals
from edge_agent.contract.forecast import P10, P90
from edge_agent.contract.schema import AIR_TEMPERATURE, QUANTITIES, RELATIVE_HUMIDITY, TARGETS
from trainer.evaluation import event_scores as yes_or_no
from trainer.evaluation.events import EVENTS
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, MODEL
from trainer.evaluation.point_scores import coverage, skill
from trainer.evaluation.quantile_scores import crps_quantiles, pit_histogram
from trainer.report import charts, html
from trainer.report import diagnostics as numbers
from trainer.report.examples import choose
from trainer.report.facts import collect
from trainer.training.lineage import notes
from trainer.workspace.stations import by_terrain

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.evaluation.holdout_scores import Metrics
    from trainer.report.facts import Facts
    from trainer.workspace.workspace import Workspace

SHOWN_LEADS: Final = (6, 24, 48)
BANDS: Final = (0.025, 0.1, 0.9, 0.975)
IMPORTANCE_ROWS: Final = 4_000
IMPORTANCE_SEED: Final = 1
HISTORY_ROWS: Final = 40
_SEASONS: Final = ("winter", "spring", "summer", "autumn")
_BLOCKS: Final = tuple(f"{hour:02d}-{hour + 3:02d}" for hour in range(0, 24, 3))
_WORDS: Final = {AIR_TEMPERATURE: "Temperature", RELATIVE_HUMIDITY: "Humidity"}


def build(workspace: Workspace, folder: Path) -> bytes:
    """The page of a run; equal facts give equal bytes.

    Raises:
        InputMissing: The folder is no run.
        BadData: It is damaged, or was trained by other feature code.
    """
    facts = collect(workspace, folder)
    lineage = facts.manifest.lineage
    subtitle = (
        f"Stations {lineage['stations']}, observations {_time(lineage.get('data_from', '?'))} to "
        f"{_time(lineage.get('data_to', '?'))}. Judged on {_time(facts.metrics.holdout_from)} to "
        f"{_time(facts.metrics.holdout_to)} (UTC), hours that training never saw"
        + (
            f"; drawings take every {facts.unseen.every}th origin."
            if facts.unseen.every > 1
            else "."
        )
        + "".join(f" {note[0].upper()}{note[1:]}." for note in notes(lineage))
    )
    parts = (
        _headline(facts),
        _gate(facts),
        _skill(facts),
        _examples(facts),
        _calibration(facts),
        _events(facts),
        _where(facts),
        _importance(facts),
        _history(facts),
        html.section(
            "Lineage",
            "What went into this run; the same lineage gives the same models.",
            html.table(("", ""), sorted(lineage.items())),
        ),
    )
    return html.page(f"Forecast report: run {facts.run}", subtitle, parts).encode()


def _headline(facts: Facts) -> str:
    figures = []
    for target in TARGETS:
        unit, scores = QUANTITIES[target].unit, facts.metrics.scores[target]
        own = scores[MODEL][HEADLINE_LEAD]
        rivals = {
            name: by_lead[HEADLINE_LEAD].rmse
            for name, by_lead in scores.items()
            if name != MODEL and HEADLINE_LEAD in by_lead
        }
        best = min(rivals, key=lambda name: rivals[name])
        held = facts.metrics.coverage_80[target][HEADLINE_LEAD]
        figures += [
            (
                f"{_WORDS[target]} RMSE, 24 h",
                f"{own.rmse:.2f} {unit}",
                f"best reference {rivals[best]:.2f} ({_plain(best)})",
            ),
            (
                f"{_WORDS[target]} 80 % intervals",
                f"hold {held:.1%}",
                f"bias {own.bias:+.2f} {unit}, R² {own.r2:.3f}",
            ),
        ]
    return html.tiles(figures)


def _gate(facts: Facts) -> str:
    found = [html.verdict(channel, decision) for channel, decision in facts.decisions.items()]
    return html.section(
        "Gate",
        "Whether this run may go live, and by which figures."
        if found
        else "Not asked yet: `trainer promote` holds this run against what is live.",
        *found,
    )


def _skill(facts: Facts) -> str:
    drawings, tables = {}, []
    for target in TARGETS:
        unit, scores = QUANTITIES[target].unit, facts.metrics.scores[target]
        title = f"{_WORDS[target]}: error by lead"
        rmse = {
            name: {lead: one.rmse for lead, one in by_lead.items()}
            for name, by_lead in scores.items()
        }
        drawings[title] = charts.lines_by_lead(rmse, unit, title)
        rivals = [name for name in rmse if name != MODEL]
        head = ("lead, h", "hours", "RMSE", "MAE", "bias", "R²")
        tables.append(
            html.folded(
                f"{_WORDS[target]} in numbers ({unit}; skill is 1 - MSE / MSE of the reference)",
                html.table(
                    (*head, *(f"skill over {_plain(name)}" for name in rivals)),
                    [
                        (
                            *(lead, own.rows, own.rmse, own.mae, own.bias, own.r2),
                            *(
                                skill(own.rmse, rmse[name][lead]) if lead in rmse[name] else None
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


def _examples(facts: Facts) -> str:
    drawings = {}
    for one in choose(facts.unseen, facts.manifest):
        for target in TARGETS:
            title = f"{one.name}: {_WORDS[target].lower()}, {one.origin:%Y-%m-%d %H:%M}"
            found = one.forecasts[target]
            drawings[title] = charts.example(
                (one.past, one.observed_past[target]),
                (one.ahead, found.values, one.observed[target]),
                {level: found.quantile(level) for level in BANDS},
                found.unit,
                title,
            )
    return html.section(
        "Example forecasts",
        f"Station {facts.unseen.series[0].number}; 80 % and 95 % bands, Korean time. Chosen by "
        "rule from the holdout, not by hand: the newest, the one with the median temperature error "
        "at 24 h, and one worse than 95 % of all.",
        html.grid(drawings),
    )


def _calibration(facts: Facts) -> str:
    drawings, rows = {}, []
    season, _ = residuals.cells(facts.unseen.times)
    for target in TARGETS:
        truth, found = facts.unseen.truth[target], facts.unseen.forecasts[target]
        known, leads = np.isfinite(truth), facts.unseen.pairs.leads
        low, high = found.quantile(P10), found.quantile(P90)
        shares, nominal = {}, np.empty(0)
        for lead in SHOWN_LEADS:
            here = known & (leads == lead)
            if not here.any():
                continue
            nominal, shares[lead] = numbers.interval_coverage(
                truth[here], found.quantiles[here], found.levels
            )
            parts = (here, *(here & (season == s) for s in range(len(_SEASONS))))
            row: list[object] = [
                _WORDS[target],
                lead,
                *(coverage(truth[p], low[p], high[p]) if p.any() else None for p in parts),
            ]
            crps = crps_quantiles(truth[here], found.quantiles[here], found.levels)
            rows.append([*row, float(crps.mean())])
        title = f"{_WORDS[target]}: intervals"
        drawings[title] = charts.calibration(nominal, shares, title)
        title = f"{_WORDS[target]}, 24 h: place in the distribution (PIT)"
        here = known & (leads == HEADLINE_LEAD)
        drawings[title] = charts.pit(
            pit_histogram(truth[here], found.quantiles[here], found.levels), title
        )
    return html.section(
        "Calibration",
        "An interval named 80 % should hold 80 % of what comes; on the diagonal it does. "
        "A flat histogram says the same of the whole distribution: a hump in the middle means "
        "bands too wide, horns at the ends too narrow, a slope a bias.",
        html.grid(drawings),
        html.table(("80 % intervals held", "lead, h", "all", *_SEASONS, "CRPS"), rows),
    )


def _events(facts: Facts) -> str:
    drawings, rows = {}, []
    for event in EVENTS:
        truth, found = facts.unseen.truth[event.target], facts.unseen.forecasts[event.target]
        chance = found.probability(event.operator, event.threshold)
        for lead in SHOWN_LEADS:
            here = np.isfinite(truth) & (facts.unseen.pairs.leads == lead)
            if not here.any():
                continue
            chances, came = chance[here], event.happened(truth[here])
            warned = yes_or_no.contingency(chances >= event.served, came)
            brier = yes_or_no.brier(chances, came)
            reliability = yes_or_no.reliability(chances, came)
            base = reliability.uncertainty
            rows.append(
                (
                    f"{event.name}: {event.operator} {event.threshold:g} {found.unit}",
                    f"{event.served:.0%}",
                    *(lead, len(chances), int(came.sum()), brier),
                    1.0 - brier / base if base > 0 else None,
                    *(warned.pod, warned.far, warned.csi),
                )
            )
            if lead == HEADLINE_LEAD:
                title = f"{event.name.capitalize()}, 24 h ahead"
                drawings[title] = charts.reliability(reliability.points, title)
    return html.section(
        "Events",
        "When a chance of 70 % is told, the event should come in 70 % of the hours. Warnings are "
        "given from the chance at which a device's own rules give them; Brier skill is over always "
        "telling the event's share of all hours.",
        html.grid(drawings),
        html.table(
            (
                *("event", "warned from", "lead, h", "hours", "with event", "Brier", "Brier skill"),
                *("found (POD)", "false (FAR)", "CSI"),
            ),
            rows,
        ),
    )


def _where(facts: Facts) -> str:
    season, block = residuals.cells(facts.unseen.times)
    at = facts.unseen.pairs.leads == HEADLINE_LEAD
    drawings, rows = {}, []
    for target in TARGETS:
        error = facts.unseen.forecasts[target].values - facts.unseen.truth[target]
        title = f"{_WORDS[target]}: 24 h error by season and hour"
        drawings[title] = charts.heat_map(
            numbers.cell_rmse(error[at], season[at], block[at]),
            (_SEASONS, _BLOCKS),
            QUANTITIES[target].unit,
            title,
        )
        stations = [one.number for one in facts.unseen.series]
        places = {str(number): [number] for number in stations} | by_terrain(stations)
        at_station = np.array(stations)[facts.unseen.pairs.series]
        for place, numbers_here in places.items():
            here = error[at & np.isin(at_station, numbers_here)]
            here = here[np.isfinite(here)]
            if len(here):
                rmse, bias = float(np.sqrt(np.mean(here**2))), float(np.mean(here))
                rows.append((_WORDS[target], place, len(here), rmse, bias))
    return html.section(
        "Where it errs",
        "Season and part of the day are those of the hour that was forecast, Korean time.",
        html.grid(drawings),
        html.folded("By station", html.table(("24 h", "station", "hours", "RMSE", "bias"), rows)),
    )


def _importance(facts: Facts) -> str:
    drawings = {}
    for target in TARGETS:
        truth = facts.unseen.truth[target]
        rows = np.flatnonzero(np.isfinite(truth) & (facts.unseen.pairs.leads == HEADLINE_LEAD))
        rows = rows[:: max(1, len(rows) // IMPORTANCE_ROWS)]
        title = f"{_WORDS[target]}, 24 h: what the model uses"
        drawings[title] = charts.bars(
            numbers.importance(
                facts.unseen.predictors[target],
                facts.unseen.matrix[rows],
                truth[rows],
                IMPORTANCE_SEED,
            ),
            QUANTITIES[target].unit,
            title,
        )
    return html.section(
        "Importance",
        "How much the error grows when a group of inputs is shuffled among the hours: the whole "
        "graph that devices run is asked, on hours it never saw. Logarithmic bars. Beside it the "
        "error of a farm that does not measure a group at all.",
        html.grid(drawings),
        _lacking(facts.metrics),
    )


def _lacking(metrics: Metrics) -> str:
    """Errors without groups of inputs; empty for runs that did not measure them."""
    if not metrics.lacking:
        return ""
    whole = [metrics.scores[target][MODEL][HEADLINE_LEAD].rmse for target in TARGETS]
    rows: list[tuple[object, ...]] = [("nothing", *whole)]
    rows += [
        (group, *(metrics.lacking[target][group] for target in TARGETS))
        for group in metrics.lacking[TARGETS[0]]
    ]
    units = (f"{_WORDS[target]}, {QUANTITIES[target].unit}" for target in TARGETS)
    return html.table(("RMSE 24 h ahead without", *units), rows)


def _history(facts: Facts) -> str:
    rows = [
        (
            str(entry.release),
            entry.channel,
            _time(entry.at),
            entry.run,
            *(
                (scores or {}).get(target, {}).get(f"rmse_{HEADLINE_LEAD}h_{MODEL}")
                for target in TARGETS
            ),
            entry.why,
        )
        for entry, scores in reversed(facts.history)
    ]
    return html.section(
        "Model history",
        f"Newest first, {min(len(rows), HISTORY_ROWS)} of {len(rows)} releases. Each run's error "
        "is that on its own holdout, so that figures of different runs are not a contest."
        if rows
        else "Nothing was published yet.",
        html.table(
            (
                *("release", "channel", "at (UTC)", "run"),
                *(f"{_WORDS[target].lower()} RMSE, 24 h" for target in TARGETS),
                "why",
            ),
            rows[:HISTORY_ROWS],
        )
        if rows
        else "",
    )


def _time(text: str) -> str:
    """To the minute, as people write it."""
    return text[:16].replace("T", " ")


def _plain(name: str) -> str:
    return name.replace("_", " ")
