"""How agents of format 1 read a manifest: their structs and their `decode`, as they were."""

from __future__ import annotations

from typing import Final

import msgspec

from edge_agent.contract.errors import BadData

FORMAT: Final = "farm-edge/manifest/1"
MAX_BYTES: Final = 2_000_000


class _FileRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    sha256: str
    length: int


class _ModelRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    unit: str
    file: _FileRef


class _FeatureContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str
    names: tuple[str, ...]
    lookback_hours: int
    polars: str


class _SiteNormals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    latitude: float
    longitude: float
    elevation_m: float
    coefficients: dict[str, tuple[float, ...]]


class _ResidualTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    levels: tuple[float, ...]
    leads: tuple[int, ...]
    quantiles: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]


class _Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    percent: float
    salt: str
    devices: tuple[str, ...] = ()


class FormerManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release of format 1."""

    schema: str
    project: str
    channel: str
    release: int
    created_at: str
    min_agent: str
    features: _FeatureContract
    leads: tuple[int, ...]
    models: dict[str, _ModelRef]
    golden: _FileRef
    sites: dict[str, _SiteNormals]
    residuals: dict[str, _ResidualTable]
    climatology_residuals: dict[str, _ResidualTable]
    scores: dict[str, dict[str, float]]
    lineage: dict[str, str]
    reason: str
    rollout: _Rollout | None = None
    widening: dict[str, dict[str, tuple[float, ...]]] = {}
    tuned: tuple[_FileRef, ...] = ()

    def all_files(self) -> tuple[_FileRef, ...]:
        """Every file that the release names."""
        return (*(model.file for model in self.models.values()), self.golden, *self.tuned)


def decode(content: bytes) -> FormerManifest:
    """Manifest from its bytes.

    Raises:
        BadData: Too long, not JSON, a field missing, unknown or of the wrong type, another format.
    """
    if len(content) > MAX_BYTES:
        raise BadData(f"manifest: {len(content)} bytes, more than the limit of {MAX_BYTES}")
    try:
        manifest = msgspec.json.decode(content, type=FormerManifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"manifest: {fault}") from fault
    if manifest.schema != FORMAT:
        raise BadData(
            f"manifest: format {manifest.schema!r}, this agent reads {FORMAT!r}: update the agent"
        )
    return manifest
