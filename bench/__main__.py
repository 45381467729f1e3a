"""`make bench`: the benchmarks, one after the other.

Example: python -m bench speed alerts

A name is a benchmark or a group: speed (time and memory), skill (how good forecasts, alerts and the
gate's rules are), load (what many devices cost a server). DATA is a Parquet file of one station's
hourly observations in KMA's names. Without it a generated climate takes its place where that means
something, and benchmarks that need real weather are left out. FORECASTS and GUIDANCE are files of
docs/replay.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKSPACE = str(ROOT / "build/bench")
DATA, FORECASTS, GUIDANCE = "DATA", "FORECASTS", "GUIDANCE"
"""Stand in the arguments for the files that the command line names."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark that runs without further arguments.

    Attributes:
        module: Its module in `bench`, the group in front.
        about: What it measures.
        arguments: Arguments of its command line, with `DATA`, `FORECASTS` and `GUIDANCE` for files.
        program: Program that must be installed.
    """

    module: str
    about: str
    arguments: tuple[str, ...] = ()
    program: str = ""

    @property
    def group(self) -> str:
        """The folder of the module."""
        return self.module.partition(".")[0]


BENCHMARKS = {
    "features": Benchmark("speed.features", "feature engine beside mlforecast, Polars and pandas"),
    "training": Benchmark(
        "speed.training", "trainer train, size of the models, time of a forecast", (WORKSPACE,)
    ),
    "ingest": Benchmark(
        "speed.ingest", "rows a second from KMA's answers to the lake", ("--stations", "1")
    ),
    "stations": Benchmark(
        "speed.stations",
        "trainer daily of 1, 3 and 10 stations x 10 years",
        (f"{WORKSPACE}-stations",),
    ),
    "cycle": Benchmark("speed.cycle", "one hour's work and its parts; after `make demo`"),
    "footprint": Benchmark(
        "speed.footprint",
        "size, start, memory beside two peers; after `make binary`",
        program="mosquitto",
    ),
    "reload": Benchmark("speed.reload", "memory of the service over reloads; after `make demo`"),
    "web": Benchmark("speed.web", "memory of the page, and cycles under 1,000 requests/s"),
    "leads": Benchmark(
        "skill.leads", "error and cover at every lead; after training", (WORKSPACE,)
    ),
    "alerts": Benchmark(
        "skill.alerts", "alerts of the real cycle on unseen hours; after training", (WORKSPACE,)
    ),
    "guidance": Benchmark(
        "skill.guidance",
        "forecasts of the past beside KMA's (--forecasts, --data, --guidance)",
        (FORECASTS, "--observations", DATA, "--guidance", GUIDANCE),
    ),
    "drift": Benchmark("skill.drift", "false and true alarms of the drift rule", (DATA,)),
    "canary": Benchmark("skill.canary", "the canary rules on good and bad retrains", (DATA,)),
    "depot": Benchmark("load.depot", "1,000 agents polling nginx", ("1000", "5"), "nginx"),
    "fleet": Benchmark(
        "load.fleet", "10,000 devices on one broker that goes away", program="mosquitto"
    ),
    "farms": Benchmark(
        "load.farms",
        "corrections of 100 farms in one run; after training",
        (WORKSPACE, f"{WORKSPACE}-farms", "--farms", "100"),
    ),
}
GROUPS = tuple(dict.fromkeys(benchmark.group for benchmark in BENCHMARKS.values()))


def main() -> int:
    """Run the benchmarks or groups named on the command line, or all; the worst exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__}\n{_listing()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument("--data", help="real observations")
    parser.add_argument("--forecasts", help="a file of forecasts of the past")
    parser.add_argument("--guidance", help="KMA's forecasts of the past")
    chosen = parser.parse_args()
    named = {DATA: chosen.data, FORECASTS: chosen.forecasts, GUIDANCE: chosen.guidance}
    files = {name: str(Path(path).resolve()) for name, path in named.items() if path}
    unknown = sorted(set(chosen.names) - set(BENCHMARKS) - set(GROUPS))
    if unknown:
        print(
            f"no benchmark called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}, "
            f"and the groups {', '.join(GROUPS)}"
        )
        return 64
    return max(
        _run(name, benchmark, files)
        for name, benchmark in BENCHMARKS.items()
        if not chosen.names or {name, benchmark.group} & set(chosen.names)
    )


def _listing() -> str:
    lines = []
    for group in GROUPS:
        lines.append(f"{group}:")
        lines += [
            f"  {name:10}{benchmark.about}"
            for name, benchmark in BENCHMARKS.items()
            if benchmark.group == group
        ]
    return "\n".join(lines)


def _run(name: str, benchmark: Benchmark, files: dict[str, str]) -> int:
    print(f"== {name}: {benchmark.about}", flush=True)
    lacking = [
        word
        for word in (DATA, FORECASTS, GUIDANCE)
        if word in benchmark.arguments and word not in files
    ]
    if lacking:
        print(f"left out: it needs {', '.join(lacking)} (make bench DATA=file.parquet)")
        return 0
    if benchmark.program and not shutil.which(
        benchmark.program, path="/usr/sbin:/usr/bin:/usr/local/bin"
    ):
        print(f"left out: {benchmark.program} is not installed (make system)")
        return 0
    arguments = [files.get(word, word) for word in benchmark.arguments]
    if name == "training" and DATA in files:
        arguments += ["--data", files[DATA]]
    command = [sys.executable, "-m", f"bench.{benchmark.module}", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
