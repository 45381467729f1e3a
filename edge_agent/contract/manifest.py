"""Manifest of a release: one signed JSON document that names its files and holds its numbers.

The manifest is a TUF target; the files it names are TUF targets too, and their hashes stand here
again, so that files of two releases are never mixed.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData

FORMAT: Final = "farm-edge/manifest/1"
GUIDED_FORMAT: Final = "farm-edge/manifest/2"
"""Format of a release with models of guidance: agents that read only `FORMAT` refuse it."""
PROJECT: Final = "farm-edge"
MAX_BYTES: Final = 2_000_000
"""Longest manifest an agent reads."""
FILE_ROOTS: Final = ("models/", "golden/")
"""Folders of a manifest's files: not that of observations, which another key signs."""

_GUIDANCE: Final = "guidance"
"""Key of the lineage that carries `Manifest.guidance` as JSON text.

Agents of format 1 refuse keys that they do not know before they look at the format. So a manifest
of format 2 has the keys of format 1, and they say that the agent must be updated.
"""

_OPTIONAL: Final = "optional_targets"
"""Key of the lineage that carries `Manifest.optional` as JSON text.

Agents before it take the lineage for free text: they go on with the targets that they know.
"""

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_SAFE_PATH: Final = re.compile(rf"(?:{_SEGMENT}/){{1,3}}{_SEGMENT}", re.ASCII)


class FileRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the release by its target path, SHA-256 (hex) and length in bytes."""

    path: str
    sha256: str
    length: int


class ModelRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ONNX model of one target."""

    version: str
    unit: str
    file: FileRef


class FeatureContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Inputs of the models: ordered names, history needed, digest of the features."""

    digest: str
    names: tuple[str, ...]
    lookback_hours: int
    polars: str


class SiteNormals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Harmonic normals of one station, per target: see `contract.climatology`."""

    latitude: float
    longitude: float
    elevation_m: float
    coefficients: dict[str, tuple[float, ...]]


class ResidualTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quantiles of (observed - forecast) on data the model never saw.

    Attributes:
        levels: Probabilities in (0, 1), ascending; length Q.
        leads: Leads in hours at which quantiles are tabulated, ascending; length L.
        quantiles: Shape (4 seasons DJF MAM JJA SON, 8 blocks of 3 h of the Korean day, L, Q),
            nested, in the target's unit. Season and block are those of the target hour; see
            `contract.residuals`.
    """

    levels: tuple[float, ...]
    leads: tuple[int, ...]
    quantiles: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which devices of the channel take this release.

    Attributes:
        percent: 0 to 100; share of devices, by a salted hash of the device id.
        salt: Changes who comes first; kept while the percentage grows, so nobody falls out.
        devices: Device ids that take it whatever the percentage.
    """

    percent: float
    salt: str
    devices: tuple[str, ...] = ()


class GuidanceModels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Post-processing of KMA's forecasts (MOS).

    Attributes:
        digest: Of the inputs, see `contract.guidance_features`.
        names: Inputs, in order.
        models: Per target; each gives the value itself.
        golden: Windows with guidance, replayed before the switch.
        residuals: Of these models, per target.
        shares: Per target, what these models count beside those of `Manifest.models` at each of
            `Manifest.leads`, 0 to 1.
        scores: Per target, gate-time figures: free-form numbers by name.
    """

    digest: str
    names: tuple[str, ...]
    models: dict[str, ModelRef]
    golden: FileRef
    residuals: dict[str, ResidualTable]
    shares: dict[str, tuple[float, ...]]
    scores: dict[str, dict[str, float]]

    def files(self) -> tuple[FileRef, ...]:
        """Files that every device needs, golden windows last."""
        return (*(model.file for model in self.models.values()), self.golden)


class OptionalTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target that not every release has.

    Attributes:
        digest: Of its inputs, see `contract.optional_targets`; an agent that computes others goes
            without it.
        model: Gives the value itself.
        golden: Windows, replayed before the switch.
        tables: Normals and intervals, `optional_targets.Tables`.
        scores: Gate-time figures: free-form numbers by name.
    """

    digest: str
    model: ModelRef
    golden: FileRef
    tables: FileRef
    scores: dict[str, float]

    def files(self) -> tuple[FileRef, ...]:
        """Files that an agent needs for it."""
        return self.model.file, self.golden, self.tables


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One release.

    Attributes:
        schema: `GUIDED_FORMAT` with `guidance`, else `FORMAT`.
        project: `PROJECT`; a manifest of another project is refused.
        channel: Channel it was signed for; must equal the channel in its target path.
        release: Grows by at least one with every publication, a rollback included.
        created_at: UTC, ISO 8601 with Z.
        min_agent: Oldest agent version that may install it.
        features: Inputs of the models.
        leads: Hours ahead, ascending.
        models: Per target.
        golden: Golden windows, replayed before the switch.
        sites: Normals by station id.
        residuals: Of the models, per target.
        climatology_residuals: Of the normals as a forecast, per target.
        scores: Per target, gate-time figures: free-form numbers by name.
        lineage: Free-form: data hashes and range, code and library versions, seeds, parameters.
        reason: Why this release was made, for people.
        rollout: Who takes it; None = every device of the channel.
        widening: Per target and group of `contract.missing_inputs`, factor of the spread at each
            lead of the residual table when the group is not measured.
        tuned: Files with corrections for single farms; see `contract.site_correction`.
        guidance: Models that correct KMA's forecasts; None where there was no archive of these.
        optional: By target, what not every release forecasts.
    """

    schema: str
    project: str
    channel: str
    release: int
    created_at: str
    min_agent: str
    features: FeatureContract
    leads: tuple[int, ...]
    models: dict[str, ModelRef]
    golden: FileRef
    sites: dict[str, SiteNormals]
    residuals: dict[str, ResidualTable]
    climatology_residuals: dict[str, ResidualTable]
    scores: dict[str, dict[str, float]]
    lineage: dict[str, str]
    reason: str
    rollout: Rollout | None = None
    widening: dict[str, dict[str, tuple[float, ...]]] = {}
    tuned: tuple[FileRef, ...] = ()
    guidance: GuidanceModels | None = None
    optional: dict[str, OptionalTarget] = {}

    def files(self) -> tuple[FileRef, ...]:
        """Files that every device needs."""
        own = (*(model.file for model in self.models.values()), self.golden)
        guided = self.guidance.files() if self.guidance else ()
        return (*own, *guided, *(file for t in self.optional.values() for file in t.files()))

    def all_files(self) -> tuple[FileRef, ...]:
        """Every file that the release names."""
        return (*self.files(), *self.tuned)


def safe_path(path: str) -> bool:
    """Whether a target path can neither leave a folder nor surprise a file system or a URL."""
    return _SAFE_PATH.fullmatch(path) is not None


def encode(manifest: Manifest) -> bytes:
    """Manifest as canonical JSON: equal manifests give equal bytes."""
    lineage = manifest.lineage
    if manifest.guidance is not None:
        text = msgspec.json.encode(manifest.guidance, order="deterministic").decode()
        lineage = {**lineage, _GUIDANCE: text}
    if manifest.optional:
        text = msgspec.json.encode(manifest.optional, order="deterministic").decode()
        lineage = {**lineage, _OPTIONAL: text}
    # A field that is unset is left out, as agents of format 1 need it.
    carried = msgspec.structs.replace(
        manifest, guidance=msgspec.UNSET, optional=msgspec.UNSET, lineage=lineage
    )
    return msgspec.json.encode(carried, order="deterministic")


def decode(content: bytes) -> Manifest:
    """Manifest from its bytes.

    Raises:
        BadData: Too long, not JSON, a field missing, unknown or of the wrong type, another format.
    """
    if len(content) > MAX_BYTES:
        raise BadData(f"manifest: {len(content)} bytes, more than the limit of {MAX_BYTES}")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"manifest: {in_words(fault)}") from fault
    if manifest.schema not in {FORMAT, GUIDED_FORMAT}:
        raise BadData(
            f"manifest: format {manifest.schema!r}, this agent reads {FORMAT!r} and "
            f"{GUIDED_FORMAT!r}: update the agent"
        )
    if manifest.guidance is not None or manifest.optional:
        raise BadData(f"manifest: `{_GUIDANCE}` and `optional` stand in `lineage`")
    manifest = _with_optional(manifest)
    return _with_guidance(manifest) if manifest.schema == GUIDED_FORMAT else manifest


def _with_optional(manifest: Manifest) -> Manifest:
    lineage = dict(manifest.lineage)
    text = lineage.pop(_OPTIONAL, None)
    if text is None:
        return manifest
    try:
        optional = msgspec.json.decode(text, type=dict[str, OptionalTarget])
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"manifest: {_OPTIONAL}: {in_words(fault)}") from fault
    return msgspec.structs.replace(manifest, optional=optional, lineage=lineage)


def _with_guidance(manifest: Manifest) -> Manifest:
    lineage = dict(manifest.lineage)
    try:
        guidance = msgspec.json.decode(lineage.pop(_GUIDANCE), type=GuidanceModels)
    except KeyError as fault:
        raise BadData(f"manifest: format {GUIDED_FORMAT!r} without `{_GUIDANCE}`") from fault
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise BadData(f"manifest: {_GUIDANCE}: {in_words(fault)}") from fault
    return msgspec.structs.replace(manifest, guidance=guidance, lineage=lineage)
