"""Site corrections: linear corrections of the shared models for one farm (MOS). Pure.

    y = shared model + terms(features) . weights(lead)

They are fitted on the farm's own history. They have few terms: the effect of a place (ground,
walls, height of the sensors, normals of another station) is smooth in hour, season and anomaly, and
a year of one farm is too little for more. The corrections of all farms are in files, `shards`; a
device fetches the one that its name falls into.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import TARGETS

if TYPE_CHECKING:
    from edge_agent.contract.manifest import FileRef, Manifest

FORMAT: Final = "farm-edge/tuning/1"
TUNED: Final = "tuning"
"""Entry of a forecast's `adjusted`: the models' values were corrected for this farm."""

KNOTS: Final = (1, 3, 6, 12, 18, 24, 36, 48)
"""Leads in hours at which weights stand; linear between them."""

LARGEST_WEIGHT: Final = 100.0
"""Largest weight that an agent accepts, of either sign; most terms are of order one."""

SPREADS: Final = (0.1, 10.0)
"""Smallest and largest factor of the intervals that an agent accepts."""

_ANOMALIES: Final = (
    "temperature_anomaly",
    "humidity_anomaly",
    "same_hour_temperature_anomaly_0d",
    "same_hour_humidity_anomaly_0d",
)
TERMS: Final = (
    "one", "hour_sin", "hour_cos", "half_day_sin", "half_day_cos", "season_sin", "season_cos",
    "season_sin_hour_sin", "season_sin_hour_cos", "season_cos_hour_sin", "season_cos_hour_cos",
    *_ANOMALIES,
)  # fmt: skip
"""Columns of `terms`, in order; hour and season are the target hour's."""


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one target.

    Attributes:
        model: SHA-256 (hex) of the shared model's file, which it corrects and no other.
        weights: Shape (len(KNOTS), len(TERMS)), in the target's unit per unit of the term; none
            beyond `LARGEST_WEIGHT`.
        spread: Factor of the release's intervals at each knot, within `SPREADS`.
    """

    model: str
    weights: tuple[tuple[float, ...], ...]
    spread: tuple[float, ...]


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One farm's corrections.

    Attributes:
        corrections: By target; a target whose correction did not pass the gate is not there.
        scores: Per target, figures of the gate by name.
        trained_to: Newest hour of the farm's history that was used, UTC, ISO 8601 with Z.
    """

    corrections: dict[str, Correction]
    scores: dict[str, dict[str, float]]
    trained_to: str


class Shard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tunings by device ("site/id")."""

    schema: str
    tunings: dict[str, Tuning]


def terms(matrix: np.ndarray) -> np.ndarray:
    """Terms of the correction: float64 (N, len(TERMS)) for float32 (N, F).

    A missing anomaly counts as 0.
    """
    columns = matrix.astype(np.float64).T
    hour_sin, hour_cos, season_sin, season_cos = (
        columns[NAMES.index(f"target_{name}")]
        for name in ("hour_sin", "hour_cos", "season_sin", "season_cos")
    )
    anomalies = (np.nan_to_num(columns[NAMES.index(name)], nan=0.0) for name in _ANOMALIES)
    return np.stack(
        [
            np.ones(len(matrix)),
            hour_sin,
            hour_cos,
            2.0 * hour_sin * hour_cos,
            hour_cos**2 - hour_sin**2,
            season_sin,
            season_cos,
            season_sin * hour_sin,
            season_sin * hour_cos,
            season_cos * hour_sin,
            season_cos * hour_cos,
            *anomalies,
        ],
        axis=1,
    )


def change(correction: Correction, matrix: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """What to add to the shared model's values, float64 (N,).

    Args:
        correction: Of the target.
        matrix: Float32 (N, F), the rows that the shared model saw.
        leads: Hours ahead, shape (N,).
    """
    weights = np.array(correction.weights)
    at_leads = np.stack([np.interp(leads, KNOTS, column) for column in weights.T], axis=1)
    added: np.ndarray = (terms(matrix) * at_leads).sum(axis=1)
    return added


def spread(correction: Correction, leads: np.ndarray) -> np.ndarray:
    """Factor of the intervals at each lead, shape of `leads`."""
    factor: np.ndarray = np.interp(leads, KNOTS, correction.spread)
    return factor


def shard_of(manifest: Manifest, device: str) -> FileRef | None:
    """The file that would hold a device's tuning, or None where a release has no tunings.

    Args:
        manifest: The release.
        device: "site/id".
    """
    if not manifest.tuned:
        return None
    return manifest.tuned[shard_number(device, len(manifest.tuned))]


def shard_number(device: str, shards: int) -> int:
    """Which of so many shards a device ("site/id") falls into, from 0."""
    digest = sha256(device.encode()).digest()
    return int.from_bytes(digest[:8], "big") % shards


def strangers(shard: Shard, number: int, shards: int) -> tuple[str, ...]:
    """Devices of a shard that fall into another one.

    Args:
        shard: The shard.
        number: Its place in the manifest, from 0.
        shards: How many the manifest has.
    """
    return tuple(name for name in shard.tunings if shard_number(name, shards) != number)


def files_of(manifest: Manifest, device: str) -> tuple[FileRef, ...]:
    """Files that one device fetches of a release: those that every device needs, and its shard.

    Args:
        manifest: The release.
        device: "site/id".
    """
    shard = shard_of(manifest, device)
    return manifest.files() if shard is None else (*manifest.files(), shard)


def encode(shard: Shard) -> bytes:
    """Shard as canonical JSON: equal shards give equal bytes."""
    return msgspec.json.encode(shard, order="deterministic")


def decode(content: bytes, manifest: Manifest) -> Shard:
    """Shard from its bytes.

    Args:
        content: Bytes whose hash is that of the manifest.
        manifest: The release that names the shard.

    Raises:
        BadData: Not a shard, of another format or shape, with numbers beyond their limits, or it
            corrects other models.
    """
    try:
        shard = msgspec.json.decode(content, type=Shard)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(f"tuning: {in_words(fault)}") from fault
    if shard.schema != FORMAT:
        raise BadData(
            f"tuning: format {shard.schema!r}, this agent reads {FORMAT!r}: update the agent"
        )
    for device, tuning in shard.tunings.items():
        if not _is_utc(tuning.trained_to):
            raise BadData(f"tuning of {device}: trained_to {tuning.trained_to!r} is no time in UTC")
        for target, correction in tuning.corrections.items():
            _check(f"tuning of {device}: {target}", target, correction, manifest)
    return shard


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False


def _check(where: str, target: str, correction: Correction, manifest: Manifest) -> None:
    if target not in TARGETS or target not in manifest.models:
        raise BadData(f"{where}: the release has no such model")
    if correction.model != manifest.models[target].file.sha256:
        raise BadData(f"{where}: made for another model than this release's")
    rows = {len(row) for row in correction.weights}
    if len(correction.weights) != len(KNOTS) or rows != {len(TERMS)}:
        raise BadData(f"{where}: {len(KNOTS)} rows of {len(TERMS)} weights are expected")
    if not (np.abs(correction.weights) <= LARGEST_WEIGHT).all():
        raise BadData(f"{where}: a weight is beyond {LARGEST_WEIGHT:g}")
    least, most = SPREADS
    if len(correction.spread) != len(KNOTS):
        raise BadData(f"{where}: {len(KNOTS)} factors of the spread are expected")
    if not all(least <= factor <= most for factor in correction.spread):
        raise BadData(f"{where}: a factor of the spread is not within {least:g} to {most:g}")
