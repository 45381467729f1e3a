"""Rules C1 to C5 of a canary's trial on made-up errors."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from edge_agent.contract.schema import TARGETS
from trainer.depot.roles import CANARY
from trainer.evaluation.dataset import Pairs
from trainer.evaluation.holdout_scores import SCORED_LEADS
from trainer.gate.canary_rules import EARLY_DAYS, MARGIN, DailyErrors, Trial, daily_errors, decide

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
NEEDED = 14


def _losses(days: int, ratio: float = 1.0, *, seed: int = 0, lucky: bool = False) -> DailyErrors:
    """Errors whose RMSE ratio is `ratio`, or with `lucky` scatters about it as real weeks do.

    A same-recipe retrain needs about 90 days to be known to 1 %: 6 % a day.
    """
    random = np.random.default_rng(seed)
    stable = 24 * random.gamma(3.0, 1 / 3, days)
    canary = stable * ratio**2 * np.exp(random.normal(0.0, 0.12, days) - 0.12**2 / 2)
    if not lucky:
        canary *= ratio**2 * stable.sum() / canary.sum()
    return DailyErrors(canary, stable, np.full(days, 24), (2.0 * ratio, 2.0), 24 * 7 * days, 0)


def _judge(*losses: DailyErrors, needed: int = NEEDED) -> Trial:
    return decide(dict(zip(TARGETS, losses, strict=False)), (8, 5), SINCE, needed)


def test_c1_each_lead_counts_alike() -> None:
    """Twice the error at every lead is a ratio of 2; at one lead of seven, of sqrt(10 / 7)."""
    leads = np.tile(np.array(SCORED_LEADS), 48)
    pairs = Pairs(np.zeros(len(leads), int), np.repeat(np.arange(48), 7), leads)
    days = np.repeat(np.arange(48) // 24, 7)
    stable = 0.1 * leads
    observed = np.zeros(len(leads))
    for wrong, expected in ((leads > 0, 2.0), (leads == 1, np.sqrt(10 / 7)), (leads == 48, 1.195)):
        one = daily_errors(np.where(wrong, 2 * stable, stable), stable, observed, pairs, days)
        ratio = np.sqrt(one.canary.sum() / one.stable.sum())
        assert ratio == pytest.approx(expected, abs=1e-3)
        assert one.hours.tolist() == [24, 24]
        assert one.rmse[1] == pytest.approx(2.4)


def test_c1_only_hours_that_both_know() -> None:
    """Unknown truth or an hour that stable lacks counts for nobody, the canary's gap for it."""
    leads = np.full(4, 24)
    pairs = Pairs(np.zeros(4, int), np.arange(4), leads)
    canary = np.array([1.0, np.nan, 1.0, 1.0])
    stable = np.array([1.0, 1.0, np.nan, 1.0])
    truth = np.array([0.0, 0.0, 0.0, np.nan])
    one = daily_errors(canary, stable, truth, pairs, np.zeros(4, int))
    assert (one.known, one.missing, one.hours.tolist()) == (2, 1, [1])
    assert one.rmse == (1.0, 1.0)


def test_c2_a_canary_without_numbers_is_halted_at_once() -> None:
    """More than 1 % of the hours missing is a failure of its own, whatever the rest."""
    good = _losses(2)
    silent = DailyErrors(good.canary, good.stable, good.hours, good.rmse, 300, 4)
    trial = _judge(good, silent)
    assert trial.outcome == "halt"
    assert trial.reasons == ("C2 relative_humidity_pct: no number at 4 of 300 hours",)
    few = DailyErrors(good.canary, good.stable, good.hours, good.rmse, 300, 3)
    assert _judge(good, few).outcome == "wait"


def test_c3_a_bad_canary_does_not_wait_for_its_days() -> None:
    """20 % worse in one target is certain after a week; before that nothing is."""
    assert _judge(_losses(EARLY_DAYS - 1, 1.2), _losses(EARLY_DAYS - 1)).outcome == "wait"
    trial = _judge(_losses(EARLY_DAYS, 1.2), _losses(EARLY_DAYS))
    assert trial.outcome == "halt"
    (reason,) = trial.reasons
    assert reason.startswith("C3 air_temperature_c: RMSE ratio to release 5 is 1.200")
    assert "surely above 1.05" in reason


def test_c4_as_good_goes_to_stable_when_its_days_are_over() -> None:
    """Not a day earlier, and with the figures."""
    assert _judge(_losses(NEEDED - 1), _losses(NEEDED - 1)).reasons == (
        f"{NEEDED - 1} of {NEEDED} days are scored",
    )
    trial = _judge(_losses(NEEDED, 0.99), _losses(NEEDED, seed=1))
    assert trial.outcome == "promote"
    assert [reason[:20] for reason in trial.reasons] == [
        "C4 air_temperature_c",
        "C4 relative_humidity",
    ]
    for one in trial.targets.values():
        assert one.lower is not None
        assert one.upper is not None
        assert one.lower < one.ratio < one.upper <= MARGIN


def test_c5_doubt_is_given_time_but_not_the_farms() -> None:
    """4 % worse is not certain in two weeks; after four it is halted, not promoted."""
    doubtful = [_judge(_losses(days, 1.045), _losses(days)) for days in (14, 20, 27)]
    assert [trial.outcome for trial in doubtful] == ["wait"] * 3
    assert "not certain after 27 days" in doubtful[-1].reasons[0]
    last = _judge(_losses(28, 1.045), _losses(28))
    assert last.outcome == "halt"
    assert "not shown to be harmless in 28 days" in last.reasons[0]


def test_days_with_few_hours_do_not_count() -> None:
    """An outage of the weather lengthens the trial."""
    whole = _losses(20)
    thin = DailyErrors(
        whole.canary, whole.stable, np.where(np.arange(20) < 10, 5, 24), whole.rmse, 3000, 0
    )
    assert _judge(whole, thin).days == 10
    assert _judge(whole, thin).outcome == "wait"


def test_nothing_scored_yet() -> None:
    """The first two days have no truth: the trial waits."""
    trial = decide({}, (8, 5), SINCE, NEEDED)
    assert (trial.outcome, trial.reasons) == ("wait", (f"0 of {NEEDED} days are scored",))


@pytest.mark.parametrize(
    ("ratio", "promoted", "halted"), [(1.0, 0.8, 0.05), (1.08, 0.02, 0.0), (1.15, 0.0, 0.5)]
)
def test_how_often_two_weeks_decide_rightly(ratio: float, promoted: float, halted: float) -> None:
    """100 canaries: equal ones mostly pass and are hardly ever halted; bad ones never pass."""
    outcomes = [
        _judge(
            _losses(NEEDED, ratio, seed=2 * s, lucky=True),
            _losses(NEEDED, seed=2 * s + 1, lucky=True),
        ).outcome
        for s in range(100)
    ]
    share = {name: outcomes.count(name) / 100 for name in ("promote", "halt")}
    if ratio == 1.0:
        assert share["promote"] >= promoted
        assert share["halt"] <= halted
    else:
        assert share["promote"] <= promoted
        assert share["halt"] >= halted


def test_the_channel_is_the_canarys() -> None:
    """The name that commands, depot and rules share."""
    assert CANARY == "canary"
