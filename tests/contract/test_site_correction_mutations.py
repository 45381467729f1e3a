"""Shards of corrections out of damaged bytes: documented errors only, no number off the scale."""

from __future__ import annotations

import random

import numpy as np

from edge_agent.contract import site_correction
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.schema import LEADS
from edge_agent.contract.site_correction import LARGEST_WEIGHT, SPREADS, Shard
from tests.fakes.loaded import manifest
from tests.fakes.mutation import mutated
from tests.fakes.tuned import tuning_of

RELEASE = manifest()
GOOD = site_correction.encode(
    Shard(site_correction.FORMAT, {"farm/edge-1": tuning_of(RELEASE, offset=0.25)})
)
ROWS = np.random.default_rng(2).normal(0, 30, (len(LEADS), len(NAMES))).astype(np.float32)


def test_mutated_shards_by_the_thousand() -> None:
    """What is taken keeps its limits, and gives numbers on any weather; the rest is bad data."""
    draw = random.Random(11)
    taken = 0
    for _ in range(4000):
        try:
            shard = site_correction.decode(mutated(GOOD, draw), RELEASE)
        except BadData:
            continue
        taken += 1
        for one in shard.tunings.values():
            for correction in one.corrections.values():
                assert np.abs(correction.weights).max() <= LARGEST_WEIGHT
                spread = site_correction.spread(correction, np.array(LEADS))
                assert SPREADS[0] <= spread.min() <= spread.max() <= SPREADS[1]
                assert np.isfinite(site_correction.change(correction, ROWS, np.array(LEADS))).all()
    assert 0 < taken < 4000
