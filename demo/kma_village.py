"""Stand-in for VilageFcstInfoService_2.0: the weather to come, with an error that grows by lead.

A forecast is what the served frame holds for that hour plus an error that grows with the lead; the
same issue always says the same.
"""

from __future__ import annotations

import math
import random
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from demo.kma_answer import Answer, envelope, header_only, kst, page_of
from edge_agent.contract.dfs_grid import Cell, cell_of
from edge_agent.contract.stations import stations

if TYPE_CHECKING:
    from demo.kma_faults import Faults
    from demo.kma_rows import Rows

_ISSUE_HOURS: Final = (2, 5, 8, 11, 14, 17, 20, 23)
_MOST_ROWS: Final = 1000
_FORECAST_OUT: Final = timedelta(minutes=10)
_NOWCAST_OUT: Final = timedelta(minutes=40)
_TOO_OLD: Final = "최근 {}일 간의 자료만 제공합니다."


class VillageService:
    """Forecasts and nowcasts of the cells in which the frame's stations lie.

    Args:
        rows: The weather.
        nowcast: getUltraSrtNcst instead of getVilageFcst.
    """

    def __init__(self, rows: Rows, *, nowcast: bool) -> None:
        self._rows, self._nowcast = rows, nowcast
        known = stations()
        self._station = {
            cell_of(known[n].site.latitude, known[n].site.longitude): n
            for n in rows.stations
            if n in known
        }

    def answer(self, query: dict[str, str], now: datetime, _faults: Faults) -> Answer:
        """Answer a request as KMA would at the moment `now`."""
        xml = query.get("dataType", "XML").upper() != "JSON"
        try:
            base = datetime.strptime(query["base_date"] + query["base_time"], "%Y%m%d%H%M")  # noqa: DTZ007 - KST
            cell = Cell(int(query["nx"]), int(query["ny"]))
        except (KeyError, ValueError):
            return header_only("03", xml=xml)
        refused = self._refused(base, kst(now))
        station = self._station.get(cell)
        if refused or station is None:
            return header_only("10" if refused else "03", refused, xml=xml)
        if int(query.get("numOfRows", "10")) > _MOST_ROWS:
            return header_only("99", xml=xml)
        items = self._items(base, cell, station, kst(now))
        shown = page_of(query, len(items))
        if not items or shown is None:
            return header_only("03", xml=xml)
        write = _xml if xml else _json
        text = ("" if xml else ",").join(write(item) for item in items[shown])
        return envelope(text, query, len(items), xml=xml)

    def _refused(self, base: datetime, now: datetime) -> str:
        """Why an issue is not given any more, or ""."""
        if self._nowcast:
            return _TOO_OLD.format(1) if now - base > timedelta(days=1) else ""
        return _TOO_OLD.format(3) if (now.date() - base.date()).days >= 3 else ""

    def _items(
        self, base: datetime, cell: Cell, station: int, now: datetime
    ) -> list[dict[str, Any]]:
        out = _NOWCAST_OUT if self._nowcast else _FORECAST_OUT
        if base.minute or base + out > now:
            return []
        head = {"baseDate": f"{base:%Y%m%d}", "baseTime": f"{base:%H%M}"}
        place = {"nx": cell.nx, "ny": cell.ny}
        if self._nowcast:
            values = _nowcast(self._hours(station, base, base).get(base))
            return [
                {**head, "category": name, **place, "obsrValue": value}
                for name, value in values.items()
            ]
        if base.hour not in _ISSUE_HOURS or (now.date() - base.date()).days >= 2:
            return []
        end = datetime.combine(base.date() + timedelta(days=3), time())
        hours = self._hours(station, base - timedelta(days=1), end)
        items = []
        for lead in range(1, int((end - base) / timedelta(hours=1)) + 1):
            valid = base + timedelta(hours=lead)
            row = hours.get(valid) or hours.get(base - timedelta(hours=24 - valid.hour % 24))
            for name, value in _forecast(row, valid, lead, f"{station}|{base}").items():
                when = {"fcstDate": f"{valid:%Y%m%d}", "fcstTime": f"{valid:%H%M}"}
                items.append({**head, "category": name, **when, "fcstValue": value, **place})
        return items

    def _hours(self, station: int, start: datetime, end: datetime) -> dict[datetime, Any]:
        return {
            row["tm"]: row for row in self._rows.between(station, start, end).iter_rows(named=True)
        }


def _forecast(row: Any, valid: datetime, lead: int, seed: str) -> dict[str, str]:  # noqa: ANN401 - a frame's row
    """Categories of one hour in KMA's order; nothing where the frame knows nothing."""
    if row is None:
        return {}
    dice = random.Random(f"{seed}|{valid}")
    warm = (row["ta"] or 0.0) + dice.gauss(0.0, 0.7 + 0.02 * lead)
    humid = min(100.0, max(5.0, (row["hm"] or 60.0) + dice.gauss(0.0, 4.0 + 0.15 * lead)))
    speed, angle = row["ws"] or 0.0, math.radians(row["wd"] or 0.0)
    rain = row["rn"] or 0.0
    cloud = row["dc10Tca"] or 0.0
    values = {
        "TMP": f"{warm:.0f}",
        "UUU": f"{-speed * math.sin(angle):.1f}",
        "VVV": f"{-speed * math.cos(angle):.1f}",
        "VEC": f"{math.degrees(angle):.0f}",
        "WSD": f"{speed:.1f}",
        "SKY": "1" if cloud <= 5 else "3" if cloud <= 8 else "4",
        "PTY": "0" if not rain else "3" if warm < 0 else "1",
        "POP": "80" if rain else "0" if cloud <= 5 else "30",
        "WAV": "0",
        "PCP": _words(rain),
        "REH": f"{humid:.0f}",
        "SNO": "적설없음",
    }
    if valid.hour == 6:
        values["TMN"] = f"{warm:.1f}"
    if valid.hour == 15:
        values["TMX"] = f"{warm:.1f}"
    return values


def _nowcast(row: Any) -> dict[str, str]:  # noqa: ANN401 - a frame's row
    if row is None:
        return {}
    speed, angle = row["ws"] or 0.0, math.radians(row["wd"] or 0.0)
    rain = row["rn"] or 0.0

    def known(name: str, text: str) -> str:
        return "-999" if row[name] is None else text

    return {
        "PTY": "1" if rain else "0",
        "REH": known("hm", f"{row['hm'] or 0:.0f}"),
        "RN1": f"{rain:g}",
        "T1H": known("ta", f"{row['ta'] or 0:.1f}"),
        "UUU": f"{-speed * math.sin(angle):.1f}",
        "VEC": known("wd", f"{math.degrees(angle):.0f}"),
        "VVV": f"{-speed * math.cos(angle):.1f}",
        "WSD": known("ws", f"{speed:.1f}"),
    }


def _words(rain: float) -> str:
    if rain == 0:
        return "강수없음"
    if rain < 1:
        return "1mm 미만"
    if rain < 30:
        return f"{rain:.1f}mm"
    return "30.0~50.0mm" if rain < 50 else "50.0mm 이상"


def _json(item: dict[str, Any]) -> str:
    parts = (
        f'"{name}":{value}' if isinstance(value, int) else f'"{name}":"{value}"'
        for name, value in item.items()
    )
    return "{" + ",".join(parts) + "}"


def _xml(item: dict[str, Any]) -> str:
    return "<item>" + "".join(f"<{k}>{v}</{k}>" for k, v in item.items()) + "</item>"
