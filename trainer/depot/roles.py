"""Who signs what, for how long: the depot's roles in one table. Pure.

| role | key lives | what it can do |
|---|---|---|
| root | offline, 2 of 3 | name every other key |
| targets | offline | say which delegated role may publish which paths |
| models | trainer | publish manifests, models and golden windows |
| observations | relay | publish hourly weather and KMA's forecasts, nothing else |
| snapshot, timestamp | trainer and relay | say which versions are current |

Lifetimes limit how long a device may install from metadata that nobody renewed; they never stop a
device from using what it installed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
MODELS: Final = "models"
OBSERVATIONS: Final = "observations"

TOP_LEVEL: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
OFFLINE: Final = (ROOT, TARGETS)
"""Roles whose keys are kept offline. Only these can have a passphrase."""

PATHS: Final = {
    MODELS: ("channels/*/*", "models/*/*/*", "golden/*/*"),
    OBSERVATIONS: ("observations/*/*",),
}
"""Target paths of each delegated role; `*` never matches a slash."""

LIFETIME: Final = {
    ROOT: timedelta(days=730),
    TARGETS: timedelta(days=730),
    MODELS: timedelta(days=365),
    OBSERVATIONS: timedelta(days=30),
    SNAPSHOT: timedelta(days=30),
    TIMESTAMP: timedelta(days=14),
}

CANARY: Final = "canary"
STABLE: Final = "stable"
CHANNELS: Final = ("staging", CANARY, STABLE)
