"""A release of format 2: a small one, with models that correct KMA's forecasts."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from edge_agent.contract import manifest as contract
from edge_agent.contract.manifest import GuidanceModels, Manifest, ModelRef
from tests.fakes.depot import onnx_bytes, ref, release

if TYPE_CHECKING:
    from edge_agent.contract.manifest import ResidualTable

GUIDANCE_DIGEST = "9d" * 32


def guided_release(
    word: str = "guided", residuals: dict[str, ResidualTable] | None = None, **changes: object
) -> tuple[Manifest, dict[str, bytes]]:
    """Candidate manifest and its files; everything in it follows from `word`."""
    manifest, files = release(word, **changes)
    added = {
        f"models/guided-{target}/{word}/model.onnx": onnx_bytes(f"guided {target} {word}")
        for target in manifest.models
    }
    golden = f"golden/guided-{word}/windows.json"
    added[golden] = f'{{"guided": "{word}"}}'.encode()
    guidance = GuidanceModels(
        digest=GUIDANCE_DIGEST,
        names=("lead", "guidance", "base"),
        models={
            target: ModelRef(sha256(word.encode()).hexdigest(), "unit", ref(path, added[path]))
            for target, path in zip(manifest.models, added, strict=False)
        },
        golden=ref(golden, added[golden]),
        residuals=residuals or {},
        shares=dict.fromkeys(manifest.models, (0.5, 0.75)),
        scores={target: {"rmse_24h": 1.12} for target in manifest.models},
    )
    guided = msgspec.structs.replace(manifest, schema=contract.GUIDED_FORMAT, guidance=guidance)
    return guided, files | added
