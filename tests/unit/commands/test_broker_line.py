"""The line of `edge-agent status` on the broker."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from edge_agent.commands.status import broker_line
from edge_agent.core.service_answer import BrokerReport

SINCE = datetime(2026, 11, 30, 4, 5, tzinfo=UTC)
STANDS = BrokerReport(
    connected=True, since=SINCE, version="5", problem="", last_problem="", refused=(), concerns=()
)
AWAY = replace(STANDS, connected=False, since=None, version="")
REFUSED = "broker refuses d/x: Not authorized"
CONNECTED = "connected since 2026-11-30 04:05 UTC, MQTT 5"


@pytest.mark.parametrize(
    ("report", "waiting", "line"),
    [
        (None, 2, "broker: not known, since the service does not answer; 2 messages wait"),
        (
            STANDS,
            0,
            f"broker: {CONNECTED}; 0 messages wait; refuses nothing",
        ),
        (
            replace(STANDS, last_problem="connection lost", refused=(REFUSED,), concerns=("c",)),
            1,
            (
                f"broker: {CONNECTED}; 1 message waits; refuses d/x: Not authorized; c; "
                "last error: connection lost"
            ),
        ),
        (
            replace(AWAY, problem="no answer from b:1883", last_problem="no answer"),
            3,
            "broker: not connected: no answer from b:1883; 3 messages wait; refuses nothing",
        ),
    ],
)
def test_it_says_how_the_broker_stands(
    report: BrokerReport | None, waiting: int, line: str
) -> None:
    """Connection, queue, what is refused, the last error."""
    assert broker_line(report, waiting) == line
