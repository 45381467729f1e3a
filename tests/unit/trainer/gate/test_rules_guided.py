"""Corrections of KMA's forecasts beside simple uses of these and beside those that are live."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_agent.contract.schema import TARGETS
from tests.fakes.records import pair
from tests.unit.trainer.gate.test_decision import judge
from trainer.evaluation.daily_sums import (
    CHAMPION,
    DAMPED_GUIDANCE,
    GUIDED,
    LIVE_GUIDED,
    LOSSES,
    MEAN_CORRECTED,
    NEW_PLACE,
    OBSERVATIONS,
    RAW_GUIDANCE,
    lead_slice,
)
from trainer.evaluation.holdout_scores import SCORED_LEADS

if TYPE_CHECKING:
    from trainer.evaluation.daily_sums import DailySums

RMSE = {RAW_GUIDANCE: 1.0, MEAN_CORRECTED: 1.0, DAMPED_GUIDANCE: 0.98, OBSERVATIONS: 2.0}
GOOD = 0.9
"""Of raw guidance's RMSE: what sound corrections have."""


def sums(own: float | None, live: float | None, new_place: float = 0.97) -> DailySums:
    """A year with KMA's forecasts; the arguments are shares of raw guidance's RMSE."""
    found = pair(3)
    given = {**RMSE, GUIDED: own, LIVE_GUIDED: live, NEW_PLACE: new_place}
    for target in TARGETS:
        for lead in SCORED_LEADS:
            base = found.losses[target, lead_slice(lead), CHAMPION]
            for name, share in given.items():
                if share is None:
                    continue
                rows = base.copy()
                rows[:, LOSSES.index("squared")] *= share**2
                found.losses[target, lead_slice(lead), name] = rows
    return found


def test_as_good_as_the_live_ones_go_in() -> None:
    """Half a percent worse is within the margin of G2."""
    decision = judge(sums(GOOD, GOOD / 1.005), guided=True, live_guided=True)
    assert decision.passed
    assert (decision.unguided, decision.kept_guided) == ("", "")


def test_a_place_that_took_no_part_gets_at_most_raw_guidance() -> None:
    """Corrections that help where they learned and hurt elsewhere stay out."""
    decision = judge(sums(GOOD, None, new_place=1.02), guided=True)
    assert decision.passed
    text = "24 h new place: .* of raw_guidance without an observation of the place: ratio 1.0200"
    assert re.search(text, decision.unguided)
    assert judge(sums(GOOD, None, new_place=1.0), guided=True).unguided == ""


def test_worse_than_the_live_ones_stay_out_and_these_are_kept() -> None:
    """Better than every use of KMA's forecast, and 2 % worse than what devices have."""
    alone = judge(sums(GOOD, None), guided=True)
    assert alone.unguided == ""
    decision = judge(sums(GOOD, GOOD / 1.02), guided=True, live_guided=True)
    assert decision.passed
    text = r"24 h live: RMSE .* of the live release's corrections: ratio 1.0200 .* may be 1.01"
    assert decision.unguided.count("of the live release's corrections") == len(TARGETS)
    assert re.search(text, decision.unguided)
    assert decision.kept_guided == decision.unguided


def test_much_worse_at_one_lead_alone() -> None:
    """The other leads are judged as slices are."""
    found = sums(GOOD, GOOD)
    target = TARGETS[0]
    found.losses[target, lead_slice(3), LIVE_GUIDED][:, LOSSES.index("squared")] /= 1.05**2
    decision = judge(found, guided=True, live_guided=True)
    assert "3 h live" in decision.unguided
    assert "24 h live" not in decision.unguided


def test_live_ones_that_are_worse_than_raw_guidance_are_not_kept() -> None:
    """Neither the candidate's nor the live ones: the release goes without."""
    decision = judge(sums(1.1, 1.02), guided=True, live_guided=True)
    assert "of raw_guidance" in decision.unguided
    assert decision.kept_guided == ""
    assert any("1.0200 of raw guidance's" in one.text for one in decision.live_guided)


def test_a_candidate_without_any_keeps_the_live_ones() -> None:
    """Also where no hour has KMA's forecasts: nothing speaks against what is live."""
    for live in (GOOD, None):
        decision = judge(sums(None, live), live_guided=True)
        assert (decision.unguided, decision.kept_guided) == ("", "the candidate has none")
    assert judge(sums(None, 1.02), live_guided=True).kept_guided == ""
