"""`make bench`: every benchmark, one after the other.

Example: python -m bench features training

DATA is a Parquet file of one station's hourly observations in KMA's names. Without one, a generated
climate takes its place where that means something, and what needs real weather is left out.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
WORKSPACE = str(HERE.parent / "build/bench")
DATA = "DATA"


@dataclass(frozen=True, slots=True)
class Bench:
    """One program: script and arguments, what it measures, what it cannot do without."""

    words: tuple[str, ...]
    about: str
    program: str = ""

    @property
    def wants_data(self) -> bool:
        """Whether it needs real observations."""
        return DATA in self.words


BENCHES = {
    "features": Bench(("features.py",), "feature engine beside mlforecast, Polars and pandas"),
    "training": Bench(
        ("training.py", WORKSPACE), "trainer train, size of the models, time of a forecast"
    ),
    "skill": Bench(("skill.py", WORKSPACE), "skill and cover at every lead; after training"),
    "alerts": Bench(("alerts.py", WORKSPACE), "alerts of the whole cycle on unseen hours, flaps"),
    "farms": Bench(
        ("farms.py", "many", WORKSPACE, f"{WORKSPACE}-farms", "--farms", "100"),
        "corrections of 100 farms in one run; after training",
    ),
    "shards": Bench(("shards.py", WORKSPACE), "bytes of corrections of farms; after training"),
    "drift": Bench(("drift.py", DATA), "false and true alarms of the drift rule"),
    "canary": Bench(("canary.py", DATA), "the canary's trial of good and bad retrains"),
    "seeds": Bench(("seeds.py", DATA), "the gate on pairs that differ by their seed only"),
    "ingest": Bench(("ingest.py", "--stations", "1"), "rows a second from KMA's answers to lake"),
    "stations": Bench(
        ("stations.py", f"{WORKSPACE}-stations"), "trainer daily of 1, 3 and 10 stations x 10 years"
    ),
    "cycle": Bench(("cycle.py",), "one hour's work and where its time goes; after `make demo`"),
    "footprint": Bench(
        ("footprint.py",), "size, start, memory beside two peers; after `make binary`", "mosquitto"
    ),
    "reload": Bench(
        ("reload.py",), "what reloads leave in the service's memory; after `make demo`"
    ),
    "web": Bench(("web.py",), "what the page costs: memory, and cycles under 1,000 requests/s"),
    "depot": Bench(("depot_load.py", "1000", "5"), "1,000 agents polling nginx", "nginx"),
    "fleet": Bench(("fleet.py",), "10,000 devices on one broker that goes away", "mosquitto"),
}


def main() -> int:
    """Run the benchmarks named on the command line, or all; the worst exit code."""
    listed = "\n".join(f"  {name:10}{one.about}" for name, one in BENCHES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__}\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--data", help="real observations")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHES))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 64
    return max(_run(name, chosen.data) for name in chosen.names or BENCHES)


def _run(name: str, data: str | None) -> int:
    bench = BENCHES[name]
    print(f"== {name}: {bench.about}", flush=True)
    if bench.wants_data and not data:
        print("left out: it needs real observations (make bench DATA=file.parquet)")
        return 0
    if bench.program and not shutil.which(bench.program, path="/usr/sbin:/usr/bin:/usr/local/bin"):
        print(f"left out: {bench.program} is not installed (make system)")
        return 0
    script, *words = bench.words
    words = [data if word == DATA and data else word for word in words]
    if name == "training" and data:
        words += ["--data", data]
    return subprocess.run([sys.executable, str(HERE / script), *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
