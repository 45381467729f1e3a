"""Kills a device's update at random moments, many times over: run as a process of its own.

    python -m tests.fakes.killer FOLDER ROUNDS SEED

Prints one line of JSON: how many children were killed in the middle, and what was live after each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from edge_agent.contract.errors import NothingNew
from tests.fakes.depot import Device, Yard


def main() -> None:
    """See the module."""
    folder, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    yard = Yard.make(folder / "yard", single_key=True)
    device = Device(folder / "device", yard.pinned, yard.clock)
    yard.publish("start")
    began = time.perf_counter()
    device.sync(yard.depot)
    span = (time.perf_counter() - began) * 1.2
    killed, live, faults = 0, 1, []
    for turn in range(rounds):
        newest = yard.publish(f"word{turn}")
        child = os.fork()
        if child == 0:
            device.sync(yard.depot)
            os._exit(0)
        time.sleep(draw.random() * span)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        now = device.live()
        if now not in {live, newest}:
            faults.append([turn, live, now, newest])
        # Half of the time the next round meets what the kill left behind.
        if draw.random() < 0.5:
            try:
                now = device.sync(yard.depot)
            except NothingNew:
                now = device.live()
            if now != newest:
                faults.append([turn, live, now, newest])
        live = now
    print(json.dumps({"killed": killed, "faults": faults}))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
