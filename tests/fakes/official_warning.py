"""An official warning as the depot sends it to a device."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from edge_agent.contract.official_warnings import OfficialWarning

ZONE = "L1081400"
NOW = datetime(2026, 9, 26, 2, 0, tzinfo=UTC)


def warning(**changes: object) -> OfficialWarning:
    """A heavy rain advisory for Jinju, in effect from its issue, with some keys changed."""
    usual = {
        "zone": ZONE,
        "kind": "rain",
        "name": "호우",
        "level": "advisory",
        "level_name": "주의보",
        "announced_at": NOW,
        "effective_at": NOW,
        "since": NOW,
    }
    return msgspec.convert(usual | changes, OfficialWarning)
