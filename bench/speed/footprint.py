"""Size, start, memory of the built agent beside two peers, in one run; after `make binary`.

    python -m bench.speed.footprint [FARM] [--runs 5] [--cycles 1000]

FARM is a device's folder with a release and observations (state/), such as the demo leaves. It
is copied, and its observations are moved to end at this hour. Peers get environments of their
own in build/: P1 pandas + LightGBM in one process; P2 the same behind FastAPI, uvicorn and
MLflow's client. Fitting the peers' models is taken out of P1's start; it adds 0.2 s to P2's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.system.clock import SystemClock
from tests.fakes.farm import ROOT as TOPIC
from tests.fakes.farm import ServiceProcess, write_config
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TREE = ROOT / "dist/edge-agent-tree/edge-agent"
FILE = ROOT / "dist/edge-agent"
PEERS = {
    "p1": ("pandas", "lightgbm"),
    "p2": ("pandas", "lightgbm", "fastapi", "uvicorn", "mlflow-skinny"),
}
HOUR_S = 3600
HURRIED = """
import sys
from edge_agent.mqtt import commands
commands.PACE_S = 1e-6
sys.argv[0] = "edge-agent"
from edge_agent.cli import main
main()
"""
"""The agent from source, without the pace at which it takes commands: a cycle for each."""


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("farm", type=Path, nargs="?", default=ROOT / "demo-output/farm")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cycles", type=int, default=1000)
    chosen = parser.parse_args()
    if not FILE.exists() or not chosen.farm.exists():
        print(f"left out: it needs `make binary`, and {chosen.farm} (make demo leaves one)")
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(chosen.farm / "state", place / "state")
        bring_up_to_now(place / "state" / "agent.db")
        sizes()
        start_up(place, chosen.runs)
        in_service(chosen.farm, place, chosen.cycles)
        peers(chosen.runs)


def bring_up_to_now(database: Path) -> None:
    """Move observations so that the newest is this hour's: old ones would not be forecast from."""
    now = int(SystemClock().now().timestamp()) // HOUR_S * HOUR_S
    with closing(sqlite3.connect(database)) as db, db:
        (newest,) = db.execute("SELECT max(time) FROM observations").fetchone()
        db.execute("UPDATE observations SET time = time + ?", (now - newest,))
        for table in ("forecasts", "outbox", "latches"):
            db.execute(f"DELETE FROM {table}")


def sizes() -> None:
    """Bytes of what is shipped."""
    tree = sum(f.lstat().st_size for f in TREE.parent.rglob("*") if f.is_file())
    row("single file, MB", FILE.stat().st_size / 1e6)
    row("unpacked tree, MB", tree / 1e6)


def start_up(place: Path, runs: int) -> None:
    """`--version` and READY, of both forms."""
    config = write_config(place, free_port())
    for name, program in (("tree", TREE), ("single file", FILE)):
        version = [seconds(partial(call, program, "--version")) for _ in range(runs)]
        row(f"--version, {name}, s", *version)
        cpu: list[float] = []
        started = [seconds(partial(ready, program, config, place, cpu)) for _ in range(runs)]
        row(f"READY, {name}, s", *started)
        if program is TREE:
            row(f"READY, {name}, CPU s", *cpu)


def ready(program: Path, config: Path, place: Path, cpu: list[float]) -> None:
    """Start the service, wait for READY, note its CPU time, kill it."""
    with ServiceProcess(config, place, program=(str(program),)) as service:
        service.wait_for_line("READY=1")
        cpu.append(cpu_s(service.pid))
        # Not killed: the single file is two processes, and the second one would stay.
        service.stop()


def cpu_s(pid: int) -> float:
    """CPU time of a process, which another load on the machine hardly changes."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_service(farm: Path, place: Path, cycles: int) -> None:
    """Whole cycles in the real service, asked for over a real broker; its memory as they go."""
    with Mosquitto(place / "broker") as broker:
        central = farm.resolve().parent / "central"
        depot = f'[depot]\npath = "{central}/depot"\nroot_file = "{central}/root.json"\n'
        config = write_config(place, broker.port, depot if central.is_dir() else "")
        with ServiceProcess(config, place, program=(sys.executable, "-c", HURRIED)) as service:
            service.wait_for_line("mqtt 5")
            memory: list[float] = []
            with Subscriber(broker.port, "none") as desk:
                for number in range(1, cycles + 1):
                    one_more_cycle(service, desk)
                    if number % (cycles // 10) == 0:
                        memory.append(rss_mb(service.pid))
            assert "forecast from model" in service.log
    row("RSS after 1/10 of the cycles, MB", memory[0])
    row(f"RSS after {cycles} cycles, MB", memory[-1])
    row("RSS of ten moments, MB", *memory)


def one_more_cycle(service: ServiceProcess, desk: Subscriber) -> None:
    """Ask for a cycle and wait until it was worked."""
    before = service.log.count(" cycle: ")
    while True:
        # Again where it was not heard: connected comes before subscribed.
        desk.publish(f"{TOPIC}/cmd/predict", b"{}")
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            if service.log.count(" cycle: ") > before:
                return
            time.sleep(0.005)


def peers(runs: int) -> None:
    """P1 and P2, each in its environment."""
    script = Path(__file__).with_name("footprint_peer.py")
    for name, packages in PEERS.items():
        python = environment(name, packages)
        size = sum(f.lstat().st_size for f in python.parents[1].rglob("*") if f.is_file())
        row(f"{name} installed, MB", size / 1e6)
        if name == "p1":
            figures = [json.loads(call(python, str(script), "process")) for _ in range(runs)]
            for key in figures[0]:
                row(f"{name} {key}", *(run[key] for run in figures))
            continue
        starts, spent, memory = [], [], 0.0
        for _ in range(runs):
            port = free_port()
            start = time.perf_counter()
            with subprocess.Popen([python, script, "serve", str(port)]) as server:
                try:
                    until_it_answers(f"http://127.0.0.1:{port}/rss")
                    starts.append(time.perf_counter() - start)
                    spent.append(cpu_s(server.pid))
                    if not memory:
                        for _ in range(1000):
                            ask(f"http://127.0.0.1:{port}/predict", b"")
                        memory = float(ask(f"http://127.0.0.1:{port}/rss"))
                finally:
                    server.kill()
        row(f"{name} ready_s", *starts)
        row(f"{name} ready, CPU s", *spent)
        row(f"{name} rss_mb after 1,000 requests", memory)


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """Python of a peer's environment, made where it is missing."""
    folder = ROOT / "build" / f"peer-{name}"
    python = folder / "bin/python"
    if not (folder / "ready").exists():
        call(Path(sys.executable), "-m", "venv", "--clear", str(folder))
        call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)
        (folder / "ready").touch()
    return python


def until_it_answers(url: str) -> None:
    """Ask until somebody listens."""
    while True:
        try:
            ask(url)
        except OSError:
            time.sleep(0.01)
        else:
            return


def ask(url: str, body: bytes | None = None) -> str:
    """One request."""
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
        return str(answer.read().decode())


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def call(program: Path, *words: str) -> str:
    """What a program prints."""
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def seconds(job: Callable[[], object]) -> float:
    """Wall time of a job."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def row(name: str, *values: float) -> None:
    """A line: name, median, and all values where there are several."""
    each = f"  ({', '.join(f'{value:.2f}' for value in values)})" if len(values) > 1 else ""
    print(f"{name:38}{statistics.median(values):10.2f}{each}", flush=True)


if __name__ == "__main__":
    main()
