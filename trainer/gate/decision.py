"""From daily sums to a decision. Pure: the same sums and terms give the same decision.

Rules, numbered as tests, refusals and `docs/gate.md` name them:

    G1   Floor: skill against the best of persistence, climatology and damped anomaly.
    G2   Beside a champion each target must be better, or as good within a margin.
    G3   A target that failed keeps the champion's model where the other one is better.
    G4   Models of two releases stand together only on the same normals.
    G5   The graph that is judged is the file that is published, on this code's features.
    G6   No lead, season, half of the day, tail or station clearly worse.
    G7   Bias.          G8  Intervals.          G9  Events.
    G10  Leak alarms.   G11 Length of the holdout.
    G12  Forecasts for all hours.               G13 Training ended before the holdout began.
    G14  Corrections of KMA's forecasts: better than simple uses of these, and no worse than those
         of the live release. Where this fails a release has the live ones, or goes without.
    G15  Optional targets pass G1, G2, G6 to G8, G10 and G12 each by itself. For one that does not,
         the release keeps the champion's model, or goes without.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract.schema import LEADS, TARGETS
from trainer.evaluation import daily_sums
from trainer.evaluation.daily_sums import CHALLENGER, CHAMPION, lead_slice
from trainer.evaluation.holdout_scores import HEADLINE_LEAD
from trainer.gate import rules_champion, rules_events, rules_floor, rules_guided
from trainer.gate.resampled_sums import Finding, ResampledSums
from trainer.gate.rules_champion import Route
from trainer.gate.thresholds import FARM, RELEASE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.gate.thresholds import Thresholds


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided on, apart from the sums.

    Attributes:
        run: The candidate.
        channel: Where it is to go.
        champion: Release that it is compared with, or None; 0 = the run's own models, for a farm.
        trained_to: End of its training targets, UTC.
        embargo_hours: Hours kept free between training and holdout.
        holdout_from: First origin, UTC; after the champion's training as well.
        holdout_to: Newest observation, UTC.
        quarter: Quarter in which the holdout ends.
        attempt: Number of this attempt within channel and quarter.
        alpha: Chance of a false "better" that this attempt may use.
        same_recipe: Whether it differs from the champion by data and seed only.
        same_normals: Whether its models and the champion's can stand in one release.
        seed: Of the resampling.
        parity: Target -> worst difference between ONNX and LightGBM, as measured in training.
        farm: Device ("site/id") whose corrections are compared with the shared models, or empty.
        guided: Whether the candidate corrects KMA's forecasts.
        live_guided: Whether the champion does, so that its corrections can be kept.
        optional: Optional targets that it forecasts.
    """

    run: str
    channel: str
    champion: int | None
    trained_to: str
    embargo_hours: int
    holdout_from: str
    holdout_to: str
    quarter: str
    attempt: int
    alpha: float
    same_recipe: bool
    same_normals: bool
    seed: int
    parity: dict[str, float]
    farm: str = ""
    guided: bool = False
    live_guided: bool = False
    optional: tuple[str, ...] = ()


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the gate decided, and the figures behind it.

    Attributes:
        terms: What was decided on.
        evidence: SHA-256 (hex) of the file with the daily sums.
        passed: Whether anything may go live.
        winners: Targets whose model goes in.
        routes: Target -> how it got through, or "worse".
        reasons: For every rule that failed, which and with what figures.
        findings: Every rule with its figures.
        guided: What G14 found; empty where the candidate does not correct KMA's forecasts.
        live_guided: Whether the champion's corrections of these are still fit to be kept.
        optional: What was found of optional targets (G15).
    """

    terms: Terms
    evidence: str
    passed: bool
    winners: tuple[str, ...]
    routes: dict[str, Route]
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    guided: tuple[Finding, ...] = ()
    live_guided: tuple[Finding, ...] = ()
    optional: tuple[Finding, ...] = ()

    @property
    def unguided(self) -> str:
        """Why the candidate's corrections of KMA's forecasts stay out; empty where they do not."""
        return "; ".join(finding.reason() for finding in self.guided if not finding.passed)

    @property
    def kept_guided(self) -> str:
        """Why the release has the champion's corrections of KMA's forecasts; empty where not."""
        if not self.terms.live_guided or not all(finding.passed for finding in self.live_guided):
            return ""
        return self.unguided if self.terms.guided else "the candidate has none"

    @property
    def refused(self) -> dict[str, str]:
        """Optional targets whose model does not go in, and why."""
        failed = [finding for finding in self.optional if not finding.passed]
        return {
            target: "; ".join(f.reason() for f in failed if f.target == target)
            for target in dict.fromkeys(finding.target for finding in failed)
        }


def conclude(terms: Terms, content: bytes) -> Decision:
    """Decide on daily sums as `daily_sums.to_bytes` wrote them.

    Raises:
        BadData: They are damaged.
    """
    daily = daily_sums.from_bytes(content)
    thresholds = FARM if terms.farm else RELEASE
    findings = [_range(terms)]
    routes: dict[str, Route] = {}
    guided: list[Finding] = []
    live: list[Finding] = []
    optional: list[Finding] = []
    if daily.days < rules_floor.LEAST_DAYS:
        # No other rule can be applied to so few days.
        findings.append(rules_floor.too_short(daily.days))
    else:
        sums = ResampledSums(daily, terms.seed)
        findings += rules_floor.holdout(sums)
        for target in TARGETS:
            route, of_target = _target(sums, target, terms, thresholds)
            routes[target] = route
            findings += of_target
            if terms.guided:
                guided += rules_guided.guided(sums, target)
                guided += rules_guided.beside_live(sums, target, same_recipe=terms.same_recipe)
            if terms.live_guided:
                live += rules_guided.still_fit(sums, target)
        for target in terms.optional:
            optional += _optional(sums, target, terms, thresholds)
    winners, more = _winners(terms, findings, routes)
    findings += more
    return Decision(
        terms=terms,
        evidence=hashlib.sha256(content).hexdigest(),
        passed=bool(winners),
        winners=winners,
        routes=routes,
        reasons=tuple(finding.reason() for finding in findings if not finding.passed),
        findings=tuple(findings),
        guided=tuple(guided),
        live_guided=tuple(live),
        optional=tuple(optional),
    )


def _target(
    sums: ResampledSums, target: str, terms: Terms, thresholds: Thresholds
) -> tuple[Route, list[Finding]]:
    findings = [
        *rules_floor.floor(sums, target, counted=thresholds.floor),
        *rules_floor.leaks(sums, target),
        *rules_floor.present(sums, target),
    ]
    if terms.champion is None:
        return Route.FIRST, findings
    route, comparison = rules_champion.compare(
        sums,
        target,
        alpha=terms.alpha,
        same_recipe=terms.same_recipe,
        live="the shared models'" if terms.farm else f"release {terms.champion}'s",
    )
    return route, [
        *findings,
        comparison,
        *rules_champion.slices(sums, target, thresholds),
        *rules_champion.bias(sums, target),
        *rules_champion.intervals(sums, target, thresholds),
        *rules_events.events(sums, target, thresholds),
    ]


def _optional(
    sums: ResampledSums, target: str, terms: Terms, thresholds: Thresholds
) -> list[Finding]:
    """G15: the rules of any target, beside the champion where it forecasts this one too."""
    losses = sums.daily_sums.losses
    if (target, lead_slice(HEADLINE_LEAD), CHALLENGER) not in losses:
        text = "no hour of the holdout can be judged"
        return [Finding("G15", target, "", passed=False, counted=True, text=text)]
    if (target, lead_slice(HEADLINE_LEAD), CHAMPION) not in losses:
        terms = msgspec.structs.replace(terms, champion=None)
    return _target(sums, target, terms, thresholds)[1]


def _winners(
    terms: Terms, findings: list[Finding], routes: Mapping[str, Route]
) -> tuple[tuple[str, ...], list[Finding]]:
    failed = {finding.target for finding in findings if not finding.passed}
    good = tuple(target for target in TARGETS if target not in failed)
    if "" in failed or not good:
        return (), []
    if len(good) == len(TARGETS):
        return good, []
    if terms.champion is None:
        return (), []
    if any(routes[target] is not Route.BETTER for target in good):
        text = f"{', '.join(good)} is not better, so it does not go in without the other target"
        return (), [Finding("G3", "", "", passed=False, counted=True, text=text)]
    if not terms.same_normals:
        text = "normals changed, so a target that lost cannot keep its old model"
        return (), [Finding("G4", "", "", passed=False, counted=True, text=text)]
    return good, []


def _range(terms: Terms) -> Finding:
    """G13: no target of training, nor a window that reaches beyond it, lies in the holdout."""
    embargo = max(terms.embargo_hours, *LEADS)
    end = datetime.fromisoformat(terms.trained_to)
    passed = end + timedelta(hours=embargo) <= datetime.fromisoformat(terms.holdout_from)
    text = (
        f"trained on hours up to {terms.trained_to}, judged on hours from {terms.holdout_from}; "
        f"at least {embargo} hours must lie between"
    )
    return Finding("G13", "", "", passed, counted=True, text=text)
