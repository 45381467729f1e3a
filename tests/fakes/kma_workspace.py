"""A trainer workspace without keys or depot, pointed at a stand-in for KMA."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.workspace.config import Config
from trainer.workspace.kma_sources import Kma
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from demo.kma import KmaStandIn

KEY = "a+b/c=="
ENV = {"KMA_SERVICE_KEY": KEY}


def kma_workspace(
    root: Path,
    server: KmaStandIn,
    *,
    stations: tuple[int, ...] = (108,),
    start: str = "2020-01-02",
    requests_per_day: int = 10_000,
    parallel: int = 4,
) -> Workspace:
    """Settings with a high rate and a short wait for answers, so that tests are quick."""
    return Workspace(
        root,
        Config(
            stations=stations,
            start=start,
            kma=Kma(
                asos_url=server.asos_url,
                timeout_s=10.0,
                requests_per_day=requests_per_day,
                requests_per_second=1000.0,
                parallel=parallel,
            ),
        ),
    )
