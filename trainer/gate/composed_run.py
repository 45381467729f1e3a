"""A run composed of a candidate and the champion before it, or without a part of the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import golden_windows
from edge_agent.contract import manifest as contract
from edge_agent.contract.schema import TARGETS
from edge_agent.forecasting import optional_models
from edge_agent.forecasting.inference import load_predictors
from trainer.depot.publisher import FARMS
from trainer.evaluation import run_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from trainer.evaluation.holdout_scores import Metrics
    from trainer.workspace.runs import RunStore

WITH = "-with-"
"""In a composed run's name, between the candidate's and what it is composed with."""


@dataclass(frozen=True, slots=True)
class Run:
    """A candidate as loaded."""

    folder: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Champion:
    """What is live on the channel."""

    manifest: Manifest
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which corrections of KMA's forecasts and optional targets are not the candidate's, and why.

    Attributes:
        unguided: Why the candidate's corrections stay out; may be empty.
        kept: Why the champion's corrections stay; may be empty.
        refused: Optional targets whose model does not go in, each with the reason. Of these the
            champion's stays, where it has one.
    """

    unguided: str
    kept: str
    refused: Mapping[str, str]

    @property
    def why(self) -> str:
        """Why anything is not the candidate's; empty where everything is."""
        reasons = (self.kept or self.unguided, *self.refused.values())
        return "; ".join(reason for reason in reasons if reason)


def compose(
    runs: RunStore,
    run: Run,
    champion: Champion | None,
    winners: set[str],
    replaced: Replaced,
) -> Path:
    """A run with the winners' models, and the champion's where the challenger lost."""
    parts, manifest, files = [], run.manifest, dict(run.files)
    if champion:
        files = {**champion.files, **files}
    if champion and len(winners) < len(TARGETS):
        manifest, golden = _with_champion(run, champion, winners)
        files |= golden
        parts.append(str(champion.manifest.release))
    if champion and replaced.kept:
        manifest = _with_live_guidance(manifest, champion.manifest, replaced.kept)
        parts.append(f"guidance-{champion.manifest.release}")
    elif replaced.unguided:
        manifest = msgspec.structs.replace(
            manifest,
            schema=contract.FORMAT,
            guidance=None,
            lineage={**manifest.lineage, run_folder.UNGUIDED: replaced.unguided},
        )
        parts.append("no-guidance")
    live = optional_models.computable(champion.manifest) if champion else {}
    for target, why in replaced.refused.items():
        if champion and target in live:
            manifest = _with_live_optional(manifest, champion.manifest, target)
            parts.append(f"{target}-{champion.manifest.release}")
        else:
            manifest = _without_optional(manifest, target, why)
            parts.append(f"no-{target}")
    name = f"{run.folder.name}{WITH}{'-'.join(parts)}"
    folder = runs.folder(name)
    if not (folder / run_folder.MANIFEST).exists():
        named = {ref.path: files[ref.path] for ref in manifest.all_files()}
        run_folder.write(folder, manifest, named, run.metrics)
    return runs.folder(name)


def _with_live_guidance(manifest: Manifest, live: Manifest, why: str) -> Manifest:
    lineage = {key: text for key, text in manifest.lineage.items() if key != run_folder.UNGUIDED}
    return msgspec.structs.replace(
        manifest,
        schema=contract.GUIDED_FORMAT,
        guidance=live.guidance,
        lineage={**lineage, run_folder.KEPT_GUIDANCE: f"release {live.release}: {why}"},
    )


def _with_live_optional(manifest: Manifest, live: Manifest, target: str) -> Manifest:
    return msgspec.structs.replace(
        manifest,
        optional={**manifest.optional, target: live.optional[target]},
        lineage={**manifest.lineage, f"kept_{target}": f"release {live.release}"},
    )


def _without_optional(manifest: Manifest, target: str, why: str) -> Manifest:
    return msgspec.structs.replace(
        manifest,
        optional={name: part for name, part in manifest.optional.items() if name != target},
        lineage={**manifest.lineage, f"{run_folder.WITHOUT}{target}": why},
    )


def _with_champion(
    run: Run, champion: Champion, winners: set[str]
) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest with the champion's models of the targets that did not win, and golden windows."""
    manifest, live = run.manifest, champion.manifest
    models = {t: (manifest if t in winners else live).models[t] for t in TARGETS}
    content = {
        model.file.path: (run.files if target in winners else champion.files)[model.file.path]
        for target, model in models.items()
    }
    predictors = load_predictors(
        {target: content[model.file.path] for target, model in models.items()},
        len(manifest.features.names),
    )
    windows = golden_windows.with_predictions(
        run.files[manifest.golden.path], {t: p.predict for t, p in predictors.items()}
    )
    path, reference = run_folder.golden_file(windows)
    composed = msgspec.structs.replace(
        manifest,
        tuned=(),
        models=models,
        golden=reference,
        residuals={t: (manifest if t in winners else live).residuals[t] for t in TARGETS},
        scores={t: (manifest if t in winners else live).scores[t] for t in TARGETS},
        lineage={
            **{key: text for key, text in manifest.lineage.items() if key != FARMS},
            **{f"kept_{t}": f"release {live.release}" for t in TARGETS if t not in winners},
        },
    )
    return composed, {path: windows}
