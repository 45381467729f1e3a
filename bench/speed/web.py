"""What the page, the interface and metrics cost the agent.

    python -m bench.speed.web [SECONDS] [REQUESTS A SECOND]

Memory: of a process that has worked a day of hours, before the server is loaded and after the page,
every address and every export were asked for twenty times. Time: of a cycle, in turns without and
with a flood of /metrics and /api/latest from a process of its own.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge_agent.core.runtime import DATABASE
from edge_agent.system.clock import SystemClock
from tests.fakes.shown_farm import ShownFarm

PATHS = (
    "/", "/?lang=en", "/metrics", "/api/latest", "/api/forecasts?limit=100", "/api/alerts",
    "/api/alerts/history", "/api/observations?limit=2000", "/api/observations.csv",
    "/api/observations.parquet", "/api/forecast.csv", "/api/release", "/api/health",
    "/api/openapi.json",
)  # fmt: skip
FLOOD = """
import http.client, sys, time
port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
client = http.client.HTTPConnection("127.0.0.1", port)
start, sent, slow = time.monotonic(), 0, 0.0
while time.monotonic() - start < seconds:
    for path in ("/metrics", "/api/latest"):
        asked = time.monotonic()
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        slow = max(slow, time.monotonic() - asked)
        sent += 1
    time.sleep(max(0.0, start + sent / rate - time.monotonic()))
print(sent / (time.monotonic() - start), slow)
"""


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def _cycle_s(farm: ShownFarm) -> float:
    farm.clock.advance(60)
    begun = time.perf_counter()
    farm.decision = farm.runtime.run_cycle()[0]
    farm.snapshots.update(farm.runtime, farm.decision)
    return time.perf_counter() - begun


def main(seconds: float, rate: float) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        farm = ShownFarm(Path(folder))
        farm.work()
        for _ in range(20):
            _cycle_s(farm)
        before = _rss_mb()
        from edge_agent.settings import Web
        from edge_agent.web.app import Application
        from edge_agent.web.server import serving

        with serving(
            Web(port=0),
            Application(
                snapshots=farm.snapshots,
                clock=SystemClock(),
                database=Path(folder) / DATABASE,
                token=lambda: None,
                ask=farm.ask,
            ),
        ) as port:
            assert port is not None
            client = http.client.HTTPConnection("127.0.0.1", port)
            for _ in range(20):
                for path in PATHS:
                    client.request("GET", path)
                    answer = client.getresponse()
                    answer.read()
                    assert answer.status == 200, (path, answer.status)
            client.close()
            print(f"memory: {before:.1f} MB without, {_rss_mb():.1f} MB with the server")
            _floods(farm, port, seconds, rate)
        farm.close()


def _floods(farm: ShownFarm, port: int, seconds: float, rate: float) -> None:
    for flooded in (False, True, False, True):
        words = [sys.executable, "-c", FLOOD, str(port), str(rate), str(seconds)]
        flood = subprocess.Popen(words, stdout=subprocess.PIPE, text=True) if flooded else None
        if flood is not None:
            time.sleep(1.0)
        end = time.monotonic() + (seconds - 2 if flooded else seconds / 3)
        taken = []
        while time.monotonic() < end:
            taken.append(_cycle_s(farm))
            time.sleep(0.2)
        suffix = ""
        if flood is not None:
            got, slowest = map(float, flood.communicate()[0].split())
            suffix = f" with {got:.0f} requests/s, the slowest {1000 * slowest:.0f} ms"
        middle, worst = statistics.median(taken), max(taken)
        print(f"cycle: median {1000 * middle:.0f} ms, worst {1000 * worst:.0f} ms{suffix}")


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]]
    main(*(given + [30.0, 1000.0][len(given) :]))
