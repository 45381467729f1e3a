"""Corrections of many farms as files of a release, and back. Pure."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_agent.contract import site_correction
from edge_agent.contract.manifest import FileRef
from edge_agent.contract.site_correction import Shard, Tuning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.manifest import Manifest


def pack(tunings: Mapping[str, Tuning]) -> tuple[tuple[FileRef, ...], dict[str, bytes]]:
    """Files for the corrections of farms; each device's is in the shard of its number.

    Their number is the power of two next above the square root of the number of farms: a device
    takes one shard and the line of each, so what it takes grows with that root only.

    Args:
        tunings: By device, "site/id"; at least one.

    Returns:
        What the manifest names, and content by target path. Equal tunings give equal bytes.
    """
    number = 1 << math.isqrt(len(tunings) - 1).bit_length()
    shards: list[dict[str, Tuning]] = [{} for _ in range(number)]
    for device, tuning in tunings.items():
        shards[site_correction.shard_number(device, number)][device] = tuning
    contents = [site_correction.encode(Shard(site_correction.FORMAT, part)) for part in shards]
    refs = tuple(_ref(content) for content in contents)
    return refs, dict(zip((ref.path for ref in refs), contents, strict=True))


def unpack(manifest: Manifest, content: Mapping[str, bytes]) -> dict[str, Tuning]:
    """Corrections of a release by device.

    Args:
        manifest: The release.
        content: Its files by target path.

    Raises:
        BadData: A shard cannot be used with this release.
    """
    shards = (site_correction.decode(content[ref.path], manifest) for ref in manifest.tuned)
    return {device: tuning for shard in shards for device, tuning in shard.tunings.items()}


def fitting(tunings: Mapping[str, Tuning], manifest: Manifest) -> dict[str, Tuning]:
    """Those corrections that were made for the models of a release."""
    models = {target: model.file.sha256 for target, model in manifest.models.items()}
    fitting_tunings = {}
    for device, tuning in tunings.items():
        fits = {t: c for t, c in tuning.corrections.items() if c.model == models.get(t)}
        if fits:
            scores = {target: tuning.scores[target] for target in fits}
            fitting_tunings[device] = Tuning(fits, scores, tuning.trained_to)
    return fitting_tunings


def _ref(content: bytes) -> FileRef:
    digest = sha256(content).hexdigest()
    return FileRef(f"models/tuning/{digest[:12]}/farms.json", digest, len(content))
