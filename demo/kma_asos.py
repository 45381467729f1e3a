"""Stand-in for AsosHourlyInfoService/getWthrDataList on data.go.kr."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from demo.kma_answer import Answer, envelope, header_only, kst, page_of

if TYPE_CHECKING:
    from demo.kma_faults import Faults
    from demo.kma_rows import Rows

_MOST_ROWS: Final = 999
_NEEDED: Final = ("dataCd", "dateCd", "startDt", "startHh", "endDt", "endHh", "stnIds")
_TODAY: Final = "전날 자료까지 제공됩니다."


class AsosService:
    """Hourly observations up to yesterday.

    Args:
        rows: What there is.
        complete_hour: Hour of the day (KST) at which yesterday's rows appear.
    """

    def __init__(self, rows: Rows, complete_hour: int) -> None:
        self._rows, self._complete_hour = rows, complete_hour

    def answer(self, query: dict[str, str], now: datetime, faults: Faults) -> Answer:
        """Answer a request as KMA would at the moment `now`; `faults` repeats and delays rows."""
        xml = query.get("dataType", "XML").upper() != "JSON"
        if any(not query.get(name) for name in _NEEDED):
            return header_only("11", xml=xml)
        size, today = query.get("numOfRows", "10"), kst(now)
        try:
            start = _moment(query["startDt"], query["startHh"])
            end = _moment(query["endDt"], query["endHh"])
            station = int(query["stnIds"])
        except ValueError:
            return header_only("10", xml=xml)
        if end.date() >= today.date():
            return header_only("99", _TODAY, xml=xml)
        if page_of(query, 0) is None or int(size) > _MOST_ROWS:
            return header_only("99", xml=xml)
        if today.hour < self._complete_hour:
            published = datetime.combine(today.date() - timedelta(days=1), datetime.min.time())
            end = min(end, published)
        times, heads, tails = self._select(station, start, end, xml=xml)
        order = faults.rows(query, station, times)
        if order is not None:
            heads, tails = [heads[i] for i in order], [tails[i] for i in order]
        if not heads:
            return header_only("03", xml=xml)
        shown = page_of(query, len(heads))
        assert shown is not None
        items = [
            f"{head}{number}{tail}"
            for number, head, tail in zip(
                range(shown.start + 1, shown.stop + 1), heads[shown], tails[shown], strict=True
            )
        ]
        return envelope(("" if xml else ",").join(items), query, len(heads), xml=xml)

    def _select(
        self, station: int, start: datetime, end: datetime, *, xml: bool
    ) -> tuple[np.ndarray, list[str], list[str]]:
        """Labels, heads and tails of the rows in the range."""
        heads: list[str] = []
        tails: list[str] = []
        times = [np.empty(0, "datetime64[us]")]
        if station in self._rows.stations:
            for year in range(start.year, end.year + 1):
                part = self._rows.encoded(station, year, xml=xml)
                first = int(np.searchsorted(part.times, np.datetime64(start)))
                last = int(np.searchsorted(part.times, np.datetime64(end), side="right"))
                heads += part.heads[first:last]
                tails += part.tails[first:last]
                times.append(part.times[first:last])
        return np.concatenate(times), heads, tails


def _moment(date: str, hour: str) -> datetime:
    if len(date) != 8 or len(hour) != 2:
        raise ValueError
    return datetime.strptime(date + hour, "%Y%m%d%H")  # noqa: DTZ007 - KMA's labels are KST
