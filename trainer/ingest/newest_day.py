"""Which stations have their records of a day, and which of the others are still waited for.

Rules, numbered as the tests name them:
    N1  A station has a day when the lake has a record of its last hour. KMA brings a day as a
        whole, but the hour of midnight may come alone; hours of the hub are no records.
    N2  Where every request was answered, a record behind the day will do: KMA has passed over it.
    N3  A station without any record in the three days before is out of order, not late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.contract.hours import time_of
from trainer.ingest import gap_plan

if TYPE_CHECKING:
    from datetime import datetime

    from trainer.ingest.pipeline import Request
    from trainer.workspace.lake import Lake


@dataclass(frozen=True, slots=True)
class LackingStations:
    """Stations that have not got a day.

    Attributes:
        all: Those without it.
        late: Those of them that are not out of order: their day is still to come.
    """

    all: tuple[int, ...] = ()
    late: tuple[int, ...] = ()


def lacking(lake: Lake, request: Request, now: datetime, *, answered: bool) -> LackingStations:
    """Stations of a request that lack its last day.

    Args:
        lake: What there is.
        request: Stations and days.
        now: Present time.
        answered: Whether KMA answered all that was asked for.

    Raises:
        StorageError: The lake cannot be read.
    """
    hours = gap_plan.hours_of(request.last, request.last)
    first, last = time_of(hours[0]), time_of(hours[-1])
    newest = {s: lake.newest(s, now if answered else last, settled=True) for s in request.stations}
    without = {s: at for s, at in newest.items() if at is None or at < last}
    border = first - timedelta(days=gap_plan.OUT_OF_ORDER_DAYS)
    late = (s for s, at in without.items() if at is not None and at >= border)
    return LackingStations(tuple(without), tuple(late))
