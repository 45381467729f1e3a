"""When each device of a fleet is connected again after the broker they share was away."""

from __future__ import annotations

import random

from edge_agent.mqtt.backoff import Backoff


def returns(devices: int, away_s: float, first_pause_s: float, seed: int = 1) -> list[float]:
    """Seconds from the broker's return until each device's connection, by the agent's own pauses.

    Every device loses a connection that had stood at time 0; attempts before `away_s` fail at once.

    Args:
        devices: How many.
        away_s: How long the broker takes no connection.
        first_pause_s: `mqtt.reconnect_s` of every device.
        seed: Of the jitter.
    """
    draw = random.Random(seed).random
    times = []
    for _ in range(devices):
        patience, at = Backoff(draw, first_pause_s), 0.0
        while True:
            at += patience.pause(None)
            if at >= away_s:
                break
        times.append(at - away_s)
    return times


def per_second(times: list[float]) -> list[int]:
    """Connections within each whole second, from 0 to the last one."""
    counts = [0] * (int(max(times)) + 1)
    for time in times:
        counts[int(time)] += 1
    return counts


def busiest_second(times: list[float]) -> int:
    """Most connections within any whole second."""
    return max(per_second(times))
