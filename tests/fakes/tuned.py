"""Corrections of single farms, and the shards that a release carries them in."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import site_correction
from edge_agent.contract.manifest import FileRef
from edge_agent.contract.site_correction import KNOTS, TERMS, Correction, Shard, Tuning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.manifest import Manifest


def correction(model: str, *, offset: float = 0.0, spread: float = 1.0) -> Correction:
    """One that adds the same to every hour."""
    row = (offset, *(0.0,) * (len(TERMS) - 1))
    return Correction(model, (row,) * len(KNOTS), (spread,) * len(KNOTS))


def tuning_of(manifest: Manifest, *, offset: float = 0.0, spread: float = 1.0) -> Tuning:
    """A farm's corrections of every model of a release."""
    return Tuning(
        {
            target: correction(model.file.sha256, offset=offset, spread=spread)
            for target, model in manifest.models.items()
        },
        {target: {"rmse_ratio_24h": 0.93} for target in manifest.models},
        "2026-05-31T23:00:00Z",
    )


def with_tunings(
    manifest: Manifest, tunings: Mapping[str, Tuning], shards: int = 1
) -> tuple[Manifest, dict[str, bytes]]:
    """The release with corrections of farms ("site/id"), and its shards by target path."""
    held: list[dict[str, Tuning]] = [{} for _ in range(shards)]
    for device, one in tunings.items():
        held[site_correction.shard_number(device, shards)][device] = one
    return with_shards(
        manifest, *(site_correction.encode(Shard(site_correction.FORMAT, one)) for one in held)
    )


def with_shards(manifest: Manifest, *contents: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """The release with these bytes as its shards, whatever they say."""
    refs = tuple(shard_ref(content) for content in contents)
    files = dict(zip((ref.path for ref in refs), contents, strict=True))
    return msgspec.structs.replace(manifest, tuned=refs), files


def shard_ref(content: bytes) -> FileRef:
    """Line of a manifest for a shard."""
    digest = sha256(content).hexdigest()
    return FileRef(f"models/tuning/{digest[:12]}/farms.json", digest, len(content))
