"""Ingest throughput and memory, beside a plain requests + pandas version of the same job.

    python -m bench.speed.ingest [--stations 97] [--years 10] [--plain PYTHON]

A stand-in for KMA runs in a process of its own and answers from memory; every station gets
Seoul's generated rows. `--plain` names a Python that has requests, pandas and pyarrow.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ROOT = Path(__file__).parents[2]

LAST = date(2023, 12, 31)


def serve(pipe: Connection, years: int) -> None:
    """Answer every request from bodies made beforehand; the station's number is put in."""
    from demo.climate import generate
    from demo.kma_answer import Answer
    from demo.kma_asos import AsosService
    from demo.kma_faults import FaultRates, Faults
    from demo.kma_rows import Rows
    from demo.loopback import LoopbackServer
    from demo.places import SEOUL

    start = datetime(LAST.year - years + 1, 1, 1)  # noqa: DTZ001 - KMA's labels are KST
    frame = generate([SEOUL], start, datetime(2024, 1, 1, 1), seed=1)  # noqa: DTZ001 - KST
    service, now = AsosService(Rows(frame), 11), datetime(2026, 1, 1, tzinfo=UTC)
    faults, answers = Faults(FaultRates()), {}

    def respond(_path: str, query: dict[str, str]) -> Answer:
        wanted = (query["startDt"], query["startHh"], query["endDt"], query["endHh"])
        key = (*wanted, query["pageNo"])
        if key not in answers:
            answers[key] = service.answer(query | {"stnIds": "108"}, now, faults)
        answer = answers[key]
        body = answer.body.replace(b'"stnId":"108"', f'"stnId":"{query["stnIds"]}"'.encode())
        return Answer(answer.status, answer.content_type, body)

    with LoopbackServer(respond) as server:
        pipe.send(f"{server.url}/asos")
        pipe.recv()


def ingest(url: str, stations: int, years: int, folder: str) -> dict[str, float]:
    """One run; figures of this process."""
    from edge_agent.contract.stations import stations as all_of_them
    from edge_agent.system.clock import SystemClock
    from trainer.ingest import pipeline
    from trainer.ingest.kma_client import KmaClient
    from trainer.workspace.config import Config
    from trainer.workspace.kma_sources import Kma
    from trainer.workspace.workspace import Workspace

    settings = Kma(asos_url=url, requests_per_second=1e9, requests_per_day=10**9)
    workspace = Workspace(Path(folder), Config(kma=settings))
    clock = SystemClock()
    numbers = (108, *(n for n in all_of_them() if n != 108))[:stations]
    first = date(LAST.year - years + 1, 1, 1)
    wanted = pipeline.request(workspace, clock, stations=numbers, first=first, last=LAST)
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    summary = pipeline.run(KmaClient(workspace, clock, {"KMA_SERVICE_KEY": "bench"}), wanted)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": summary.added,
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": after.ru_maxrss / 1024,
    }


def without_http(url: str, years: int, folder: str) -> dict[str, float]:
    """One station with answers handed over in this process: everything but the network."""
    import httpx

    from edge_agent.system.clock import SystemClock
    from trainer.ingest import pipeline
    from trainer.ingest.kma_client import KmaClient
    from trainer.workspace.config import Config
    from trainer.workspace.kma_sources import Kma
    from trainer.workspace.workspace import Workspace

    known: dict[str, bytes] = {}

    def fetch(request: httpx.Request) -> httpx.Response:
        address = str(request.url)
        if address not in known:
            known[address] = httpx.get(address).content
        return httpx.Response(200, content=known[address])

    best: dict[str, float] = {}
    for attempt in range(4):
        settings = Kma(asos_url=url, requests_per_second=1e9)
        workspace = Workspace(Path(folder) / str(attempt), Config(kma=settings))
        clock = SystemClock()
        first = date(LAST.year - years + 1, 1, 1)
        wanted = pipeline.request(workspace, clock, stations=(108,), first=first, last=LAST)
        start = time.perf_counter()
        env, transport = {"KMA_SERVICE_KEY": "bench"}, httpx.MockTransport(fetch)
        client = KmaClient(workspace, clock, env, transport=transport)
        summary = pipeline.run(client, wanted)
        wall = time.perf_counter() - start
        # The first attempt fills `known`; the best of the other three is the figure.
        if attempt and (not best or wall < best["wall_s"]):
            best = {"rows": summary.added, "wall_s": wall}
    return best


PLAIN = """
import json, resource, sys, time
from datetime import date, datetime, timedelta
import pandas as pd, requests
url, stations, years, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
start, rows = time.perf_counter(), 0
numbers = [108, *range(1000, 1000 + stations - 1)]
for station in numbers:
    items, at = [], date(2024 - years, 1, 1)
    while at <= date(2023, 12, 31):
        end = min(at + timedelta(days=40), date(2023, 12, 31))
        answer = requests.get(url, params={
            "serviceKey": "bench", "numOfRows": 999, "pageNo": 1, "dataType": "JSON",
            "dataCd": "ASOS", "dateCd": "HR", "startDt": at.strftime("%Y%m%d"), "startHh": "00",
            "endDt": end.strftime("%Y%m%d"), "endHh": "23", "stnIds": station})
        items += answer.json()["response"]["body"]["items"]["item"]
        at = end + timedelta(days=1)
    frame = pd.DataFrame(items)
    frame["tm"] = pd.to_datetime(frame["tm"])
    for name in ["ta","rn","ws","wd","hm","pv","td","pa","ps","ss","icsr","dc10Tca","vs","ts"]:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    frame = frame.drop_duplicates("tm").sort_values("tm")
    for year, part in frame.groupby(frame["tm"].dt.year):
        part.to_parquet(f"{folder}/{station}_{year}.parquet")
    rows += len(frame)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"rows": rows, "wall_s": time.perf_counter() - start,
                  "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}))
"""


def plain(python: str, url: str, stations: int, years: int, folder: str) -> dict[str, float]:
    """The straightforward version: one request after the other; no raw store, flags or fsync."""
    command = [python, "-c", PLAIN, url, str(stations), str(years), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def in_child(url: str, stations: int, years: int, folder: str) -> dict[str, float]:
    """`ingest` in a fresh process, so that its peak memory is its own."""
    command = [
        sys.executable,
        "-m",
        "bench.speed.ingest",
        "--child",
        url,
        str(stations),
        str(years),
        folder,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def row(name: str, figures: dict[str, float]) -> str:
    """A line of the table."""
    peak = f"{figures['peak_mb']:.0f} MB" if "peak_mb" in figures else ""
    cpu = f"{figures['cpu_s']:.1f} s" if "cpu_s" in figures else ""
    rate = figures["rows"] / figures["wall_s"]
    return (
        f"| {name} | {figures['rows']:,.0f} | {figures['wall_s']:.1f} s | {rate:,.0f} "
        f"| {cpu} | {peak} |"
    )


def main() -> None:
    """Run all, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stations", type=int, default=97)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--plain", default=sys.executable)
    parser.add_argument("--child", nargs=4)
    chosen = parser.parse_args()
    if chosen.child:
        url, stations, years, folder = chosen.child
        print(json.dumps(ingest(url, int(stations), int(years), folder)))
        return
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there, chosen.years), daemon=True)
    server.start()
    url = here.recv()
    years, many = chosen.years, chosen.stations
    print(f"{os.cpu_count()} cores, {years} years of generated hours a station\n")
    print("| job | rows | wall | rows/s | cpu | peak memory |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a", "b", "c", "d", "e"):
            (Path(folder) / name).mkdir()
        print(row("1 station, without HTTP", without_http(url, years, f"{folder}/a")), flush=True)
        print(row("1 station", in_child(url, 1, years, f"{folder}/b")), flush=True)
        try:
            print(
                row(
                    "1 station, requests + pandas",
                    plain(chosen.plain, url, 1, years, f"{folder}/c"),
                )
            )
        except subprocess.CalledProcessError as fault:
            print(f"(no plain version: {fault.stderr.strip().splitlines()[-1]})")
        print(row(f"{many} stations", in_child(url, many, years, f"{folder}/d")), flush=True)
        size = sum(p.stat().st_size for p in Path(f"{folder}/d").rglob("*.parquet"))
        raw = sum(p.stat().st_size for p in Path(f"{folder}/d").rglob("*.gz"))
        print(f"\nOn disk: {size / 1e6:.0f} MB of Parquet, {raw / 1e6:.0f} MB of raw answers.")
    here.send("done")
    server.join()


if __name__ == "__main__":
    main()
