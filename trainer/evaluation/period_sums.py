"""Daily sums over the stations of a period, each release on its own normals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_agent.contract.errors import BadData
from edge_agent.contract.guidance_course import GuidanceCourse
from edge_agent.contract.guidance_features import GuidanceInputs
from edge_agent.contract.schema import TARGETS
from edge_agent.contract.stations import by_terrain
from trainer.evaluation.daily_sums import (
    CHALLENGER,
    CHAMPION,
    GUIDANCE_REFERENCES,
    GUIDED,
    LIVE_GUIDED,
    NEW_PLACE,
    OBSERVATIONS,
    DailySums,
)
from trainer.evaluation.dataset import gather, scoring_pairs
from trainer.evaluation.guided_hindcast import at_a_new_place, guided_forecasts
from trainer.evaluation.hindcast import Hindcast, hindcast, normals_of, station_series
from trainer.evaluation.holdout import origin_step
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.evaluation.optional_scores import optional_hindcasts
from trainer.evaluation.paired_scores import PairedScores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import numpy as np
    import polars as pl

    from trainer.evaluation.dataset import StationSeries
    from trainer.evaluation.hindcast import ReleaseModels
    from trainer.workspace.lake import Lake


@dataclass(frozen=True, slots=True)
class Period:
    """Which hours are scored.

    Attributes:
        stations: KMA numbers.
        start: First origin, UTC.
        end: Newest observation that counts, UTC.
        trained_to: End of the training targets; normal rates of events come from before it.
        damped: Target -> lead -> the two shares of the damped anomaly, from training hours.
    """

    stations: tuple[int, ...]
    start: datetime
    end: datetime
    trained_to: datetime
    damped: Mapping[str, Mapping[int, tuple[float, float]]]

    @property
    def every(self) -> int:
        """Step between origins that are scored; see `holdout.HOLDOUT_PAIRS`."""
        return origin_step(len(self.stations), self.start, self.end, SCORED_LEADS)


def collect(
    lake: Lake,
    period: Period,
    models: Mapping[str, ReleaseModels],
    guidance: Callable[[int], pl.DataFrame] | None = None,
) -> DailySums:
    """Sums over every station of a period.

    Args:
        lake: Observations.
        period: Stations and hours.
        models: By name; CHALLENGER must be among them, the references use its normals.
        guidance: KMA's forecasts of a station's cell (columns of `bundles.GUIDANCE`): with them
            corrections of these are summed too, at the hours that have them. The champion's are
            joined with the challenger's models of observations, as they would be published.

    Raises:
        BadData: A model has no normals of a station, or there is no hour to score.
    """
    sums = DailySums.spanning(period.start, period.end)
    correcting = {
        shown: models[name]
        for name, shown in ((CHALLENGER, GUIDED), (CHAMPION, LIVE_GUIDED))
        if name in models and models[name].corrects
    }
    for number in period.stations:
        frame = lake.observations(number, end=period.end)
        if frame.height:
            scored = _add_station(sums, period, models, number, frame)
            if scored and guidance and correcting:
                _add_guided(sums, correcting, *scored, guidance(number))
    if not sums.losses:
        raise BadData(
            f"no hour between {period.start:%Y-%m-%d} and {period.end:%Y-%m-%d} can be judged"
        )
    return sums


def _add_station(
    sums: DailySums,
    period: Period,
    models: Mapping[str, ReleaseModels],
    number: int,
    frame: pl.DataFrame,
) -> tuple[PairedScores, dict[str, Hindcast]] | None:
    """Add what was scored; the pairs with the challenger's forecasts, None where there are none."""

    def prepared(name: str) -> StationSeries:
        return station_series(models[name].manifest, number, frame, f"the {name}")

    series = prepared(CHALLENGER)
    pairs = scoring_pairs([series], period.start, period.end, SCORED_LEADS, period.every)
    if len(pairs) == 0:
        return None
    matrix = gather([series], pairs)
    hindcasts = {}
    for name, release in models.items():
        inputs = matrix
        # Preparing is most of the work, and two releases mostly share their normals.
        if normals_of(release.manifest, number, f"the {name}") != series.place.normals:
            inputs = gather([prepared(name)], pairs)
        hindcasts[name] = hindcast(release, inputs, pairs.leads)
    terrains = by_terrain(period.stations).items()
    slices = (f"station:{number}", *(terrain for terrain, here in terrains if number in here))
    scores = PairedScores(series, pairs, matrix, period.damped, period.trained_to, slices)
    scores.add_to(
        sums,
        {target: {name: found[target] for name, found in hindcasts.items()} for target in TARGETS},
    )
    _add_optional(sums, models, scores)
    return scores, hindcasts[CHALLENGER]


def _add_optional(
    sums: DailySums, models: Mapping[str, ReleaseModels], scores: PairedScores
) -> None:
    """Add the optional targets of the challenger, beside those who have them too."""
    by_release = {
        name: optional_hindcasts(release, scores.series, scores.pairs, scores.matrix)
        for name, release in models.items()
    }
    for target, (inputs, _) in by_release[CHALLENGER].items():
        if target not in scores.damped:
            # The release kept a former one's model of a target that its own run has not.
            continue
        hindcasts = {name: own[target][1] for name, own in by_release.items() if target in own}
        replace(scores, matrix=inputs).add_to(sums, {target: hindcasts})


def _add_guided(
    sums: DailySums,
    correcting: Mapping[str, ReleaseModels],
    scores: PairedScores,
    observed: Mapping[str, Hindcast],
    issues: pl.DataFrame,
) -> None:
    if issues.is_empty():
        return
    series, pairs = scores.series, scores.pairs
    course = GuidanceCourse.of(issues)
    inputs = GuidanceInputs.of(series.frame, course, series.place.site)
    at = (pairs.origins + inputs.first, pairs.leads)
    values = {target: hindcast.values for target, hindcast in observed.items()}
    points: dict[str, dict[str, np.ndarray]] = {}
    models: dict[str, dict[str, Hindcast]] = {target: {} for target in TARGETS}
    for name, release in correcting.items():
        guidance = release.manifest.guidance
        assert guidance is not None
        forecasts = guided_forecasts(guidance, release.guided, inputs, at, values)
        for target, found in forecasts.items():
            points[target] = {reference: found[reference] for reference in GUIDANCE_REFERENCES}
            models[target] |= {
                name: Hindcast(found[GUIDED], guidance.residuals[target]),
                OBSERVATIONS: Hindcast(found[OBSERVATIONS], observed[target].table),
            }
        if name == GUIDED:
            for target, new in at_a_new_place(release.guided, course, series, at).items():
                models[target][NEW_PLACE] = Hindcast(new, guidance.residuals[target])
    scores.add_guided(sums, points, models)
