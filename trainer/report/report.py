"""One self-contained HTML page about a run: what it is worth, how sure it is, where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.contract.schema import QUANTITIES, TARGETS
from trainer.evaluation.holdout_scores import HEADLINE_LEAD, MODEL
from trainer.evaluation.run_folder import notes
from trainer.report import charts, html, scores
from trainer.report.examples import choose
from trainer.report.facts import collect
from trainer.report.importance import importance
from trainer.report.scores import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.report.facts import DayAhead, Facts
    from trainer.workspace.workspace import Workspace

BANDS: Final = (0.025, 0.1, 0.9, 0.975)
IMPORTANCE_ROWS: Final = 4_000
IMPORTANCE_SEED: Final = 1
HISTORY_ROWS: Final = 40


def build(workspace: Workspace, folder: Path) -> bytes:
    """The page of a run; equal facts give equal bytes.

    Raises:
        InputMissing: The folder is no run.
        BadData: It is damaged, or was trained by other code: see `facts.collect`.
    """
    facts = collect(workspace, folder)
    lineage, metrics, every = facts.manifest.lineage, facts.metrics, facts.day_ahead.every
    subtitle = (
        f"Stations {lineage['stations']}, observations {_time(lineage.get('data_from', '?'))} to "
        f"{_time(lineage.get('data_to', '?'))}. Judged on {_time(metrics.holdout_from)} to "
        f"{_time(metrics.holdout_to)} (UTC), hours that training never saw"
        f"{f'; examples and importance take every {every}th origin' if every > 1 else ''}."
        + "".join(f" {note[0].upper()}{note[1:]}." for note in notes(lineage))
    )
    parts = (
        scores.headline(metrics),
        _gate(facts),
        scores.skill(metrics),
        scores.guided(metrics),
        _examples(facts.day_ahead),
        scores.calibration(metrics),
        scores.events(metrics),
        scores.slices(metrics),
        _importance(facts.day_ahead, scores.lacking(metrics)),
        _history(facts),
        html.section(
            "Lineage",
            "What went into this run; the same lineage gives the same models.",
            html.table(("", ""), sorted(lineage.items())),
        ),
    )
    return html.page(f"Forecast report: run {facts.run}", subtitle, parts).encode()


def _gate(facts: Facts) -> str:
    decisions = [html.decision(channel, document) for channel, document in facts.decisions.items()]
    return html.section(
        "Gate",
        "Whether this run may go live, and by which figures."
        if decisions
        else "Not asked yet: `trainer promote` holds this run against what is live.",
        *decisions,
    )


def _examples(day_ahead: DayAhead) -> str:
    drawings = {}
    for example in choose(day_ahead):
        for target in TARGETS:
            title = f"{example.name}: {NAMES[target].lower()}, {example.origin:%Y-%m-%d %H:%M}"
            forecast = example.forecasts[target]
            drawings[title] = charts.example(
                (example.past, example.observed_past[target]),
                (example.ahead, forecast.values, example.observed[target]),
                {level: forecast.quantile(level) for level in BANDS},
                forecast.unit,
                title,
            )
    return html.section(
        "Example forecasts",
        f"Station {day_ahead.series[0].number}; 80 % and 95 % bands, Korean time. Chosen by "
        "rule from the holdout, not by hand: the newest, the one with the median temperature error "
        "at 24 h, and one worse than 95 % of all.",
        html.grid(drawings),
    )


def _importance(day_ahead: DayAhead, lacking: str) -> str:
    drawings = {}
    for target in TARGETS:
        truth = day_ahead.truth[target]
        rows = np.flatnonzero(np.isfinite(truth))
        rows = rows[:: max(1, len(rows) // IMPORTANCE_ROWS)]
        title = f"{NAMES[target]}, 24 h: what the model uses"
        predictor, matrix = day_ahead.models.predictors[target], day_ahead.matrix[rows]
        drawings[title] = charts.bars(
            importance(predictor, matrix, truth[rows], IMPORTANCE_SEED),
            QUANTITIES[target].unit,
            title,
        )
    return html.section(
        "Importance",
        "How much the error grows when a group of inputs is shuffled among the hours: the whole "
        "graph that devices run is asked, on hours it never saw. Logarithmic bars. Beside it the "
        "error of a farm that does not measure a group at all.",
        html.grid(drawings),
        lacking,
    )


def _history(facts: Facts) -> str:
    rows = [
        (
            str(entry.release),
            entry.channel,
            _time(entry.at),
            entry.run,
            *(
                (figures or {}).get(target, {}).get(f"rmse_{HEADLINE_LEAD}h_{MODEL}")
                for target in TARGETS
            ),
            entry.why,
        )
        for entry, figures in reversed(facts.history)
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
                *(f"{NAMES[target].lower()} RMSE, 24 h" for target in TARGETS),
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
