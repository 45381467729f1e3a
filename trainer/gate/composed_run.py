"""A run composed of a candidate and the champion before it, or without a part of the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import golden_windows
from edge_agent.contract import manifest as contract
from edge_agent.contract.schema import TARGETS
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
class Guiding:
    """Which models correct KMA's forecasts in a composed run: the candidate's unless it says not.

    Attributes:
        unguided: Why the candidate's do not; may be empty.
        kept: Why the champion's do; may be empty.
    """

    unguided: str
    kept: str


def compose(
    runs: RunStore,
    run: Run,
    champion: Champion | None,
    winners: set[str],
    guiding: Guiding,
) -> Path:
    """A run with the winners' models, and the champion's where the challenger lost."""
    parts, manifest, files = [], run.manifest, dict(run.files)
    if champion and len(winners) < len(TARGETS):
        manifest, files = _with_champion(run, champion, winners)
        parts.append(str(champion.manifest.release))
    if champion and guiding.kept:
        manifest = _with_live_guidance(manifest, champion.manifest, guiding.kept)
        files = {**champion.files, **files}
        parts.append(f"guidance-{champion.manifest.release}")
    elif guiding.unguided:
        manifest = msgspec.structs.replace(
            manifest,
            schema=contract.FORMAT,
            guidance=None,
            lineage={**manifest.lineage, run_folder.UNGUIDED: guiding.unguided},
        )
        parts.append("no-guidance")
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


def _with_champion(
    run: Run, champion: Champion, winners: set[str]
) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and files with the champion's models of the targets that did not win."""
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
    return composed, {**run.files, **content, path: windows}
