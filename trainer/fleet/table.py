"""The fleet as a table: retained messages -> one row for each device. Pure.

The messages are documented in docs/mqtt. Keys that this table does not need are ignored, so that
agents newer than the trainer are shown too.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.system.html import join, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_T = TypeVar("_T")
KINDS: Final = ("availability", "health", "model")
SILENT: Final = timedelta(hours=3)
"""A device sends its health each hour; after this time without it something is wrong."""
_LEAD_H: Final = 24


class _Skill(msgspec.Struct):
    quantity: str
    lead_h: int
    rmse: float


class _Health(msgspec.Struct):
    issued_at: datetime
    forecast_source: str | None = None
    data_age_s: int | None = None
    outbox: dict[str, int] = {}
    alerts_raised: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    skill: tuple[_Skill, ...] = ()


class _Model(msgspec.Struct):
    agent_version: str = ""
    release: int | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One row.

    Attributes:
        site: Its site.
        device: Its id.
        state: `online`, `offline`, or `silent` where it says nothing though it seems online.
        last_seen: When it last told how it is, UTC; None = never.
        agent: Program version.
        release: Live model release.
        channel: Where its releases come from.
        source: Rung of the forecast ladder.
        data_age_h: Age of its weather data when last seen.
        rmse_24h: Its own error of temperature a day ahead, in degrees; None = not known yet.
        waiting: Messages in its outbox.
        alerts: Rules that stand raised.
        faults: What is wrong with it, in its words and ours.
    """

    site: str
    device: str
    state: str
    last_seen: datetime | None
    agent: str
    release: int | None
    channel: str
    source: str
    data_age_h: float | None
    rmse_24h: float | None
    waiting: int
    alerts: tuple[str, ...]
    faults: tuple[str, ...]


COLUMNS: Final = tuple(field.name for field in fields(Device))


def devices(messages: Mapping[str, bytes], base: str, now: datetime) -> list[Device]:
    """Every device that said anything, by site and id.

    Args:
        messages: Retained payloads by topic; other topics are passed over.
        base: What topics begin with, such as `farm/v1`.
        now: UTC.
    """
    by_device: dict[tuple[str, str], dict[str, bytes]] = {}
    for topic, payload in messages.items():
        levels = topic.removeprefix(f"{base}/").split("/")
        if topic.startswith(f"{base}/") and len(levels) == 3 and levels[2] in KINDS:
            by_device.setdefault((levels[0], levels[1]), {})[levels[2]] = payload
    return [_device(*name, payloads, now) for name, payloads in sorted(by_device.items())]


def _device(site: str, device: str, payloads: Mapping[str, bytes], now: datetime) -> Device:
    faults: list[str] = []
    health = _decoded(payloads, "health", _Health, faults)
    model = _decoded(payloads, "model", _Model, faults) or _Model()
    state = payloads.get("availability", b"").decode("utf-8", "replace")
    state = state if state in {"online", "offline"} else "unknown"
    seen = None if health is None else health.issued_at.astimezone(UTC)
    if seen is None or now - seen > SILENT:
        faults.append("no word of its health" if seen is None else "silent for more than 3 h")
        state = "silent" if state == "online" else state
    if health is None:
        health = _Health(now)
    skill = [s.rmse for s in health.skill if (s.quantity, s.lead_h) == (AIR_TEMPERATURE, _LEAD_H)]
    age = health.data_age_s
    return Device(
        site=site,
        device=device,
        state=state,
        last_seen=seen,
        agent=model.agent_version,
        release=model.release,
        channel=model.channel or "",
        source=health.forecast_source or "",
        data_age_h=None if age is None else round(age / 3600, 1),
        rmse_24h=skill[0] if skill else None,
        waiting=sum(n for key, n in health.outbox.items() if key.startswith("waiting_")),
        alerts=health.alerts_raised,
        faults=(*faults, *health.problems),
    )


def _decoded(
    payloads: Mapping[str, bytes], kind: str, struct: type[_T], faults: list[str]
) -> _T | None:
    if kind not in payloads:
        return None
    try:
        return msgspec.json.decode(payloads[kind], type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        faults.append(f"{kind}: {in_words(fault)}")
        return None


def to_csv(rows: Sequence[Device]) -> str:
    """The table as CSV; lists are joined by `; `, times are ISO 8601."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_safe(text) for text in _texts(row)] for row in rows)
    return out.getvalue()


def to_text(rows: Sequence[Device]) -> str:
    """The table for a terminal."""
    lines = [COLUMNS, *(_texts(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def to_html(rows: Sequence[Device], now: datetime) -> str:
    """The table as one page that asks for nothing."""
    head = join(*(tag("th", name.replace("_", " "), scope="col") for name in COLUMNS))
    body = join(
        *(
            tag(
                "tr",
                *(tag("td", text) for text in _texts(row)),
                class_="bad" if row.faults or row.state != "online" else "good",
            )
            for row in rows
        )
    )
    well = sum(not row.faults and row.state == "online" for row in rows)
    return _PAGE.format(
        at=f"{now:%Y-%m-%d %H:%M} UTC", n=len(rows), well=well, head=head, body=body
    )


def _texts(row: Device) -> tuple[str, ...]:
    return tuple(_text(value) for value in asdict(row).values())


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%MZ}"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def _safe(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>farm-edge fleet</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 1.5rem; color: #16211a; }}
div {{ overflow-x: auto; }} table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .4rem .7rem; border-bottom: 1px solid #cfd8d1; }}
td {{ vertical-align: top; }} .bad td:nth-child(3) {{ color: #a61b1b; font-weight: 700; }}
</style></head><body><h1>Fleet</h1><p>{at}: {well} of {n} devices are well.</p>
<div tabindex="0" role="group" aria-label="Devices"><table><thead><tr>{head}</tr></thead>
<tbody>{body}</tbody></table></div></body></html>
"""
