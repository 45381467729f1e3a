"""The folder of a candidate run: written whole or not at all, read with its hashes checked.

runs/<run>/manifest.json        contract.manifest.Manifest, release 0, channel empty
runs/<run>/files/<target path>  models and golden windows
runs/<run>/metrics.json         every score, by target, forecast and lead
"""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract import manifest as contract
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData, StorageError
from edge_agent.contract.schema import OPTIONAL_TARGETS, QUANTITIES
from edge_agent.system.files import make_folder, sync_folder, write_atomic
from trainer.evaluation.holdout_scores import Metrics
from trainer.workspace import runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest

METRICS: Final = "metrics.json"
MANIFEST: Final = runs.MANIFEST
LEFT_OUT: Final = "left_out"
"""Stations that were not trained on, and why; absent where all were."""
UNUSED: Final = "unused_inputs"
"""Groups of inputs without values, in which no model has a part; absent where there are none."""
SHORT: Final = "short_record"
"""How long a record is on which less than is usual could be learned; absent where it is not."""
KEPT_GUIDANCE: Final = "kept_guidance"
"""Whose models correct KMA's forecasts in a release where the run's own do not, and why not."""
WITHOUT: Final = "without_"
"""Before an optional target: why a release does not forecast what the run did."""
UNGUIDED: Final = "without_guidance"
"""Why a run or release does not correct KMA's forecasts; absent where it does."""


def load(folder: Path) -> tuple[Manifest, dict[str, bytes], Metrics]:
    """Manifest, files by target path and metrics of a run.

    Raises:
        InputMissing: The folder is not a candidate run.
        BadData: It is damaged.
    """
    manifest, files = runs.content_of(folder)
    for ref in manifest.all_files():
        if file_ref(ref.path, files[ref.path]) != ref:
            raise BadData(f"{folder.name}: {ref.path} is not the file of its manifest")
    try:
        metrics = msgspec.json.decode((folder / METRICS).read_bytes(), type=Metrics)
    except FileNotFoundError as fault:
        raise runs.no_candidate(folder, fault) from fault
    except msgspec.DecodeError as fault:
        raise BadData(f"{folder / METRICS}: {in_words(fault)}") from fault
    return manifest, files, metrics


def write(folder: Path, manifest: Manifest, files: Mapping[str, bytes], metrics: Metrics) -> None:
    """Write a run's folder; it appears whole or not at all.

    Raises:
        StorageError: The disk refused.
    """
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        for path, body in files.items():
            write_atomic(staging / "files" / path, body)
        write_atomic(staging / METRICS, msgspec.json.format(msgspec.json.encode(metrics), indent=1))
        write_atomic(staging / MANIFEST, contract.encode(manifest))
        make_folder(folder.parent)
        staging.rename(folder)
        sync_folder(folder.parent)
    except OSError as fault:
        shutil.rmtree(staging, ignore_errors=True)
        raise StorageError(f"{folder}: cannot be written: {fault.strerror}") from fault


def golden_file(windows: bytes) -> tuple[str, contract.FileRef]:
    """Target path and reference of golden windows."""
    path = f"golden/{sha256_hex(windows)[:12]}/windows.json"
    return path, file_ref(path, windows)


def model_ref(folder: str, target: str, body: bytes) -> contract.ModelRef:
    """Reference of a target's graph, in a folder of its own name for each of its bytes."""
    version = sha256_hex(body)[:12]
    file = file_ref(f"models/{folder}/{version}/model.onnx", body)
    return contract.ModelRef(version, QUANTITIES[target].unit, file)


def file_ref(path: str, body: bytes) -> contract.FileRef:
    """Reference of a target file in a manifest."""
    return contract.FileRef(path=path, sha256=sha256_hex(body), length=len(body))


def sha256_hex(body: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def notes(lineage: Mapping[str, str]) -> tuple[str, ...]:
    """What a run was trained without, in words: stations left out, inputs without values, years."""
    reasons = lineage[LEFT_OUT].split("; ") if LEFT_OUT in lineage else []
    if UNUSED in lineage:
        groups = ", ".join(lineage[UNUSED].split(","))
        reasons.append(
            f"inputs without values, or always with the same one, take no part: {groups}"
        )
    if SHORT in lineage:
        reasons.append(
            f"short record: {lineage[SHORT]}; the models of observations know some seasons once"
        )
    for target in OPTIONAL_TARGETS:
        if f"{WITHOUT}{target}" in lineage:
            reasons.append(f"{target} is not forecast: {lineage[f'{WITHOUT}{target}']}")
    guidance = guidance_note(lineage)
    return (*reasons, guidance) if guidance else tuple(reasons)


def guidance_note(lineage: Mapping[str, str]) -> str:
    """Why a run or release does not correct KMA's forecasts by models of its own, or empty."""
    if UNGUIDED in lineage:
        return f"KMA's forecasts are not corrected: {lineage[UNGUIDED]}"
    if KEPT_GUIDANCE in lineage:
        return f"KMA's forecasts are corrected by the models of {lineage[KEPT_GUIDANCE]}"
    return ""
