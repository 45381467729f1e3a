"""KMA's hourly service as a `httpx` transport, of which single stations bring a day late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from demo.kma_answer import Answer, envelope, header_only
from demo.kma_asos import AsosService
from demo.kma_faults import FaultRates, Faults
from demo.kma_rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tests.fakes.clock import FakeClock

ALL_OUT: Final = 0
"""Hour (KST) from which a station has the day before, from midnight on."""
_TOO_EARLY: Final = "전날 자료까지 제공됩니다."


class LateKma(httpx.BaseTransport):
    """Answers from a frame in KMA's names at the time of a clock.

    Args:
        frame: `station`, `tm` and KMA's fields.
        clock: Tells how late it is.

    Attributes:
        manner: How it answers for a day that a station does not have yet: "03" (no data), "99"
            (the text for too early), "empty" (code 00 without rows), "first hour" (the hour of
            midnight alone), "half" (the hours to 11:00), "503" or "page" (a web page).
        out_at: Hour (KST) at which the day before appears, by station; the others have it.
        asked: Station and last day (YYYYMMDD) of every request.
    """

    def __init__(self, frame: pl.DataFrame, clock: FakeClock) -> None:
        self.manner = "03"
        self.out_at: Mapping[int, int] = {}
        self.asked: list[tuple[int, str]] = []
        self._clock = clock
        self._frame = frame
        self._rows = Rows(frame)

    def drop(self, hours: pl.Expr) -> None:
        """KMA does not have these rows."""
        self._frame = self._frame.filter(~hours)
        self._rows = Rows(self._frame)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One answer."""
        query = dict(request.url.params)
        station = int(query["stnIds"])
        self.asked.append((station, query["endDt"]))
        answer = self._answer(query, self.out_at.get(station, ALL_OUT))
        return httpx.Response(
            answer.status, content=answer.body, headers={"content-type": answer.content_type}
        )

    def _answer(self, query: dict[str, str], out_at: int) -> Answer:
        service = AsosService(self._rows, out_at)
        now, no_faults = self._clock.now(), Faults(FaultRates())
        out = service.answer(query, now, no_faults)
        complete = AsosService(self._rows, ALL_OUT)
        if out.body == complete.answer(query, now, no_faults).body:
            return out
        if self.manner == "half":
            return complete.answer(query | {"endHh": "11"}, now, no_faults)
        return {
            "03": header_only("03"),
            "99": header_only("99", _TOO_EARLY),
            "empty": envelope("", query, 0, xml=False),
            "first hour": out,
            "503": Answer(503, "text/plain", b"Service Unavailable"),
            "page": Answer(200, "text/html", b"<!DOCTYPE html><html>maintenance</html>"),
        }[self.manner]
