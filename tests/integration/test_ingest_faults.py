"""Six years through a service that fails a fifth of the time."""

from __future__ import annotations

import statistics
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from demo.climate import generate
from demo.kma import KmaStandIn
from demo.kma_faults import FaultRates
from demo.places import SEOUL
from edge_agent.contract.errors import NothingNew, TryLater
from tests.fakes.clock import FakeClock
from tests.fakes.kma_workspace import ENV, KEY, kma_workspace
from tests.fakes.observed import assert_equals_source
from trainer.ingest import checkpoint, gap_plan, pipeline
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.sources.http import Truncated

if TYPE_CHECKING:
    from trainer.workspace.workspace import Workspace

REAL = Path(__file__).parents[3] / "shared/data/asos/asos_hourly_108_2013_2018.parquet"
FIRST, LAST = date(2013, 1, 2), date(2018, 12, 31)
RATES = FaultRates(
    http_500=0.10, timeout=0.05, truncated=0.03, service_code=0.02, duplicated=0.05,
    late_rows=0.0005, hang_s=0.01,
)  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Six real years of Seoul where they are at hand, else generated ones."""
    if REAL.is_file():
        return pl.read_parquet(REAL)
    return generate([SEOUL], datetime(2013, 1, 1, 1), datetime(2019, 1, 1, 1), seed=5)  # noqa: DTZ001 - KST


def days_until_whole(workspace: Workspace, server: KmaStandIn, frame: pl.DataFrame) -> set[int]:
    """Run once a day until the lake has every hour of `frame`; hours absent from good answers."""
    absent: set[int] = set()
    known = frame.filter(pl.col("tm").dt.date().is_between(FIRST, LAST)).height
    for _ in range(30):
        clock = FakeClock(server.now)
        wanted = pipeline.request(workspace, clock, last=LAST)
        summary = pipeline.run(
            KmaClient(workspace, clock, ENV, sleep=lambda _seconds: None), wanted
        )
        with suppress(TryLater, NothingNew, Truncated):
            summary.check()
        absent |= set(checkpoint.load(workspace.store, "asos", 108).absent)
        if workspace.lake.hours(108).size == known:
            return absent
        server.now += timedelta(days=1)
    pytest.fail("not whole after thirty days")


def fewest(late: set[int]) -> int:
    """Requests that a service without faults would have taken: one pass, and the late rows."""
    hours = np.asarray(gap_plan.hours_of(FIRST, LAST))
    rows_a_request = 999
    first_pass = -(-len(hours) // rows_a_request)
    return first_pass + len(gap_plan.windows(np.array(sorted(late), dtype=np.int64)))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(20), marks=pytest.mark.slow)])
def test_six_years_arrive_exactly_at_little_more_than_the_fewest_requests(
    tmp_path: Path, frame: pl.DataFrame, seeds: range
) -> None:
    """Each seed's lake equals the source; on average at most 1.35 x the fewest requests."""
    ratios = []
    for seed in seeds:
        with KmaStandIn(
            frame, key=KEY, now=datetime(2019, 1, 1, 3, tzinfo=UTC), faults=RATES, seed=seed
        ) as server:
            workspace = kma_workspace(tmp_path / str(seed), server, start=FIRST.isoformat())
            late = days_until_whole(workspace, server, frame)
            assert_equals_source(workspace.lake, frame, FIRST, LAST)
            ratios.append(len(server.requests) / fewest(late))
    assert statistics.mean(ratios) <= 1.35, ratios
