"""Inputs that rows of training lack, as devices do not always have them. Pure.

A device may have no value of the newest hours, no hours of before at all (a cold start), only the
first few of its own, or guidance without wind, sky or chance of rain. And any number may be missing
by itself: then every input that can be missing was missing in training, and trees carry a branch
for it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_agent.contract.guidance_features import NAMES

SILENT: Final = 0.12
"""Share of rows without an observation at the origin, nor in up to `_SILENT_H` hours before it."""
COLD: Final = 0.10
"""Share of rows without any observation."""
BEGUN: Final = 0.05
"""Share of rows with the newest hours only."""
WITHOUT_GROUP: Final = 0.03
"""Share of rows without wind, and so on for each group of what guidance may lack."""
SINGLE: Final = 0.01
"""Share of rows that lack an input by itself, for each input."""

_ALWAYS: Final = (
    "lead", "guidance_age", "hour_sin", "hour_cos", "sun", "guidance", "steady_error", "base",
)  # fmt: skip
_STEADY: Final = NAMES.index("steady_error")
_SILENT_H: Final = 6
_LAGS: Final = {int(n.split("_")[1][:-1]): n for n in NAMES if n.endswith("h_ago")}
_CHANGES: Final = {int(n.split("_")[2][:-1]): n for n in NAMES if n.startswith("observed_change")}
_NEWEST: Final = (
    "error", "other_error", "observed", "other_observed", "guidance_from_observed",
    *_CHANGES.values(),
)  # fmt: skip
_MEANS: Final = tuple(n for n in NAMES if "error_mean" in n or "same_hour" in n)
_GROUPS: Final = (
    tuple(n for n in NAMES if n.startswith("wind_")),
    tuple(n for n in NAMES if n.startswith("sky")),
    tuple(n for n in NAMES if n.startswith("rain_chance")),
    ("other_guidance", "other_observed", "other_error", "other_error_mean_24h"),
)


def drop(matrix: np.ndarray, seed: int) -> np.ndarray:
    """Matrix in which some rows lack what devices may lack.

    Args:
        matrix: Output of `GuidanceInputs.matrix`, float32 (N, F), with guidance in each row.
        seed: Of the draw.

    Returns:
        A copy; its base has no part of the newest error where a row has none.
    """
    random = np.random.default_rng(seed)
    out = matrix.copy()

    def blank(rows: np.ndarray, names: tuple[str, ...]) -> None:
        out[np.flatnonzero(rows)[:, None], [NAMES.index(name) for name in names]] = np.nan

    kind = random.random(len(out))
    silent_h = random.integers(1, _SILENT_H + 2, len(out))
    silent = kind < SILENT
    blank(silent, _NEWEST)
    for hours, name in _LAGS.items():
        blank(silent & (silent_h > hours), (name,))
    cold = (kind >= SILENT) & (kind < SILENT + COLD)
    blank(cold, (*_NEWEST, *_LAGS.values(), *_MEANS))
    out[cold, _STEADY] = 0.0
    begun = (kind >= SILENT + COLD) & (kind < SILENT + COLD + BEGUN)
    blank(begun, _MEANS)
    for hours, name in (*_LAGS.items(), *_CHANGES.items()):
        blank(begun & (silent_h <= hours), (name,))
    for group in _GROUPS:
        blank(random.random(len(out)) < WITHOUT_GROUP, group)
    for name in NAMES:
        if name not in _ALWAYS:
            blank(random.random(len(out)) < SINGLE, (name,))
    lost = np.isnan(out[:, NAMES.index("error")])
    out[lost, NAMES.index("base")] = out[lost, NAMES.index("guidance")] + out[lost, _STEADY]
    return out
