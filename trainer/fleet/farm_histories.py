"""Farms' own hours of the last week, from MQTT messages into the lake.

A message comes from a device that somebody else runs. It is read with limits, and must be of the
farm that its topic names. A message that breaks this is reported and skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl
from msgspec import Meta

from edge_agent.contract import schema
from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from edge_agent.contract.farm_identity import SLUG_EXAMPLE, Identity
from edge_agent.contract.kma_time import YEARS
from trainer.ingest.tables import ours
from trainer.workspace.farms import admit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trainer.workspace.lake import Lake, Merge
    from trainer.workspace.places import FarmId

KIND: Final = "history"
SOURCE: Final = "mqtt"
_FORM: Final = "farm-edge/history/1"
_STEP_S: Final = 3600
_MOST_HOURS: Final = 24 * 31


class _History(Identity, frozen=True, forbid_unknown_fields=False, kw_only=True):
    """The fields that are needed; docs/mqtt has all of them, and newer agents may send more."""

    schema: str
    start: Annotated[datetime, Meta(tz=True)]
    step_s: int
    values: dict[str, Annotated[tuple[float | None, ...], Meta(max_length=_MOST_HOURS)]]


@dataclass(frozen=True, slots=True)
class Collected:
    """A merge for each farm, and the messages that were skipped, with the reason."""

    merges: Mapping[FarmId, Merge]
    passed_over: tuple[str, ...]


def collect(lake: Lake, messages: Mapping[str, bytes], base: str, now: datetime) -> Collected:
    """Merge each farm's hours; the caller holds the lake's lock.

    Args:
        lake: Where to.
        messages: Retained payloads by topic.
        base: What topics begin with, such as `farm/v1`.
        now: UTC.

    Raises:
        StorageError: The lake cannot be read or written.
    """
    merges, passed_over = {}, []
    for topic, payload in sorted(messages.items()):
        try:
            farm, merge = admit(lake, *read(topic, payload, base), SOURCE, now)
        except BadData as fault:
            passed_over.append(f"{topic}: {fault}")
        else:
            merges[farm] = merge
    return Collected(merges, tuple(passed_over))


def read(topic: str, payload: bytes, base: str) -> tuple[Identity, pl.DataFrame]:
    """Whose hours a message has, and the hours as `tables.ours` returns them. Pure.

    Raises:
        BadData: Not such a message, or of another farm than its topic's.
    """
    try:
        message = msgspec.json.decode(payload, type=_History)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadData(in_words(fault, SLUG_EXAMPLE)) from fault
    if message.schema != _FORM or message.step_s != _STEP_S:
        raise BadData(
            f"form {message.schema!r} in steps of {message.step_s} s, not {_FORM!r} of an hour"
        )
    if topic != f"{base}/{message.site}/{message.device}/{KIND}":
        raise BadData(f"speaks for {message.site}/{message.device}, which is not its topic's")
    hours = {len(series) for series in message.values.values()}
    early, late = YEARS
    if len(hours) != 1 or not early <= message.start.year <= late:
        raise BadData("its series are of different lengths, or of no year to speak of")
    start = message.start.astimezone(UTC)
    times = [start + timedelta(seconds=_STEP_S * step) for step in range(hours.pop())]
    columns = {name: message.values[name] for name in schema.OBSERVED if name in message.values}
    frame = pl.DataFrame(
        {schema.TIME: times} | columns,
        schema={schema.TIME: schema.TIME_DTYPE} | dict.fromkeys(columns, pl.Float64),
    )
    whose = msgspec.convert(message, Identity, from_attributes=True)
    return whose, ours(frame)
