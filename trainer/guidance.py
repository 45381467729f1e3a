"""KMA's own forecasts as a growing archive: what was said, when, for which hour.

    guidance/nx=60/ny=127/month=2022-11.parquet   rows of `village_table.COLUMNS`, by month of issue

KMA forgets an issue after two days, so what is here is kept: rows are added, never changed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from edge_agent.contract import schema
from edge_agent.errors import BadData, FarmError, StorageError
from trainer import parquet, secrets
from trainer.access import open_service
from trainer.config import SERVICE_KEY
from trainer.plan import KST
from trainer.raw_store import pack
from trainer.sources import village
from trainer.sources.http import QuotaSpent
from trainer.sources.village_table import COLUMNS, ISSUED, VALID, forecasts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from edge_agent.contract.dfs_grid import Cell
    from edge_agent.ports import Clock
    from trainer.depot_store import Store
    from trainer.sources.http import Service
    from trainer.workspace import Workspace

_ISSUE_HOURS: Final = (2, 5, 8, 11, 14, 17, 20, 23)
_READY: Final = timedelta(minutes=15)
"""An issue is out 10 minutes after its base time."""


class Archive:
    """Forecasts by cell and issue.

    Args:
        store: Where the files lie.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, cell: Cell) -> pl.DataFrame:
        """Every forecast of a cell, ascending by issue and valid time.

        Raises:
            StorageError: A file cannot be read.
        """
        names = self._store.names(_folder(cell))
        return pl.concat([_empty(), *(self._file(name) for name in names)])

    def append(self, cell: Cell, frame: pl.DataFrame) -> int:
        """Add what is new; what is there already stays as it is.

        Args:
            cell: Where.
            frame: As `village_table.forecasts` returns.

        Returns:
            Rows added.
        """
        added = 0
        months = frame[ISSUED].dt.strftime("%Y-%m")
        for month in sorted(months.unique()):
            name = f"{_folder(cell)}/month={month}.parquet"
            old = self._file(name)
            fresh = frame.filter(months == month).join(old, on=[ISSUED, VALID], how="anti")
            if fresh.height:
                whole = pl.concat([old, fresh.select(COLUMNS)]).sort(ISSUED, VALID)
                self._store.write(name, parquet.encode(whole))
                added += fresh.height
        return added

    def _file(self, name: str) -> pl.DataFrame:
        content = self._store.read(name)
        if content is None:
            return _empty()
        try:
            return parquet.decode(content).select(COLUMNS)
        except (BadData, pl.exceptions.ColumnNotFoundError) as fault:
            raise StorageError(
                f"lake: {name} is damaged: restore it from a copy, as KMA does not keep forecasts"
            ) from fault


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did: rows added and issues answered by cell, and the first fault."""

    added: Mapping[Cell, int]
    issues: Mapping[Cell, int]
    fault: FarmError | None


def issues_out(now: datetime) -> list[datetime]:
    """Base times (UTC) of the issues that KMA still has at `now`, oldest first."""
    yesterday = now.astimezone(KST).replace(hour=0, minute=0, second=0, microsecond=0)
    first = yesterday - timedelta(days=1)
    bases = (first + timedelta(days=d, hours=h) for d in (0, 1) for h in _ISSUE_HOURS)
    return [base.astimezone(UTC) for base in bases if base + _READY <= now]


def collect(
    workspace: Workspace,
    clock: Clock,
    cells: Sequence[Cell],
    *,
    env: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Collected:
    """Fetch every issue that KMA still has and the archive lacks; oldest first.

    A cell's fault does not stop the others, a spent quota does.

    Args:
        workspace: Lake and settings.
        clock: Tells which issues are out.
        cells: Where.
        env: Environment with the key; the process's own where None.
        sleep: Waits between requests and repeats.
        transport: Stand-in for the network (tests).

    Raises:
        ConfigError: There is no key.
        TryLater: Another process works on the lake.
        StorageError: The lake cannot be read or written.
    """
    kma = workspace.config.kma
    environment = os.environ if env is None else env
    key = secrets.kma_key(SERVICE_KEY, kma.service_key_file, environment, workspace.root)
    added: dict[Cell, int] = {}
    answered: dict[Cell, int] = {}
    first: FarmError | None = None
    with (
        workspace.lake_lock(),
        open_service(
            workspace,
            clock,
            name=village.NAME,
            url=kma.village_url,
            key_field=village.KEY_FIELD,
            key=key,
            sleep=sleep,
            transport=transport,
        ) as service,
    ):
        for cell in dict.fromkeys(cells):
            added[cell] = answered[cell] = 0
            have = set(Archive(workspace.store).read(cell)[ISSUED])
            for issue in issues_out(clock.now()):
                if issue in have:
                    continue
                try:
                    added[cell] += _one(workspace, service, cell, issue, clock.now())
                    answered[cell] += 1
                except StorageError:
                    raise
                except QuotaSpent as fault:
                    return Collected(added, answered, fault)
                except FarmError as fault:
                    first = first or fault
                    break
    return Collected(added, answered, first)


def _one(workspace: Workspace, service: Service, cell: Cell, issue: datetime, now: datetime) -> int:
    replies = village.fetch(service, "getVilageFcst", cell, issue)
    frame = forecasts(pl.concat([reply.value.rows for reply in replies]))
    number = cell.nx * 1000 + cell.ny
    mark = max((mark for mark, _ in workspace.raw.names(village.NAME, number)), default=0)
    for page, reply in enumerate(replies, 1):
        workspace.raw.keep(
            village.NAME,
            number,
            mark + page,
            f"{issue.astimezone(KST):%Y%m%d%H%M}_p{page}",
            pack(village.query(cell, issue, page), reply.body, now, reply.status),
        )
    return Archive(workspace.store).append(cell, frame)


def _folder(cell: Cell) -> str:
    return f"guidance/nx={cell.nx}/ny={cell.ny}"


def _empty() -> pl.DataFrame:
    times = dict.fromkeys((ISSUED, VALID), schema.TIME_DTYPE)
    return pl.DataFrame(schema=times | dict.fromkeys(COLUMNS[2:], pl.Float64))
