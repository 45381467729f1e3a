"""Messages of farms' histories: what is taken, and what is passed over with its name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.messages import status
from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.topics import Topics
from edge_agent.observations import export
from edge_agent.settings import Device
from trainer.fleet.farm_histories import collect
from trainer.workspace.farms import Extent, Farm, extent, farm
from trainer.workspace.lake import Lake, Merge
from trainer.workspace.places import FarmId
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 7, 1, 5, 3, tzinfo=UTC)
HILL = FarmId("hill", "edge-1")
HOURS = pl.DataFrame(
    {
        "time": [NOW.replace(minute=0) - timedelta(hours=back) for back in (4, 1, 0)],
        schema.AIR_TEMPERATURE: [20.5, 20.123, 21.0],
        schema.RELATIVE_HUMIDITY: [60.0, None, 61.0],
    },
    schema_overrides={"time": schema.TIME_DTYPE},
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder."""
    return Lake(FolderStore(tmp_path))


def told(**changes: Any) -> tuple[str, bytes]:  # noqa: ANN401 - any key of the payload
    """Topic and payload as an agent makes them, with changes to the payload."""
    topics = Topics.of("hill", "edge-1")
    context = MessageContext(
        topics, Locale("ko", ZoneInfo("Asia/Seoul")), NOW, "trusted", "model", 7
    )
    made = status.history_message(context, export.identity(Device(site="hill")), HOURS)
    return made.topic, json.dumps(json.loads(made.payload) | changes).encode()


def test_an_agents_message_comes_in_as_it_was_measured(lake: Lake) -> None:
    """Values and gaps; a second collect changes nothing; a later message adds its hours."""
    first = collect(lake, dict([told()]), "farm/v1", NOW)
    assert (first.merges, first.passed_over) == ({HILL: Merge(added=5)}, ())
    rows = lake.observations(HILL).select(HOURS.columns)
    assert rows.drop_nulls(schema.AIR_TEMPERATURE).equals(HOURS)
    assert farm(lake, HILL).site == schema.Site(37.5714, 126.9658, 86.0)
    assert collect(lake, dict([told()]), "farm/v1", NOW).merges == {HILL: Merge()}
    later = told(start="2026-07-01T02:00:00Z")
    assert collect(lake, dict([later]), "farm/v1", NOW + timedelta(hours=1)).merges[HILL].added == 1


def test_unknown_keys_and_quantities_are_left_aside(lake: Lake) -> None:
    """A newer agent may say more."""
    values = json.loads(told()[1])["values"]
    values["leaf_wetness_pct"] = [1.0] * 5
    done = collect(lake, dict([told(values=values, mood="good")]), "farm/v1", NOW)
    assert done.merges[HILL].added == 5


SERIES = {"air_temperature_c": [1.0]}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "form": ({"schema": "farm-edge/history/2"}, "form 'farm-edge/history/2'"),
    "step": ({"step_s": 600}, "in steps of 600 s"),
    "other farm": ({"device": "edge-2"}, "speaks for hill/edge-2, which is not its topic's"),
    "name": ({"site": "../../x"}, "site: must be text such as 'greenhouse-1'"),
    "place": ({"latitude": 91.0}, "latitude"),
    "lengths": ({"values": SERIES | {"rain_mm": [1.0, 2.0]}}, "of different lengths"),
    "too many": ({"values": {"rain_mm": [1.0] * 745}}, "744"),
    "nothing": ({"values": {}}, "of different lengths"),
    "no hours": ({"values": {"rain_mm": []}}, "has no hours"),
    "words": ({"values": {"rain_mm": ["1"]}}, "must be a number, not text"),
    "future": ({"start": "2026-07-01T02:00:00Z"}, "06:00Z is still to come: check its clock"),
    "far future": ({"start": "9999-12-31T23:00:00Z"}, "no year to speak of"),
    "half hour": ({"start": "2026-07-01T01:30:00Z"}, "is no full hour"),
    "no zone": ({"start": "2026-07-01T01:00:00"}, "start: must be a time with Z or an offset"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_as_agreed_is_named_and_passed_over(lake: Lake, case: str) -> None:
    """The others are taken all the same; nothing of the bad one is kept."""
    changes, text = BAD[case]
    other = told(site="vale")[1]
    messages = dict([told(**changes)]) | {"farm/v1/vale/edge-1/history": other}
    done = collect(lake, messages, "farm/v1", NOW)
    (said,) = done.passed_over
    assert said.startswith("farm/v1/hill/edge-1/history: ")
    assert text in said
    assert "\n" not in said
    assert set(done.merges) == {FarmId("vale", "edge-1")}
    assert not [name for name in lake.store.names("") if "hill" in name]


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b'{"start": "x"}', b"[" * 5000])
def test_what_is_no_message_is_passed_over(lake: Lake, payload: bytes) -> None:
    """Bytes of any kind."""
    done = collect(lake, {"farm/v1/hill/edge-1/history": payload}, "farm/v1", NOW)
    assert (done.merges, len(done.passed_over)) == ({}, 1)


def test_a_farm_that_moved_is_passed_over(lake: Lake) -> None:
    """Its hours of before stay what they are."""
    collect(lake, dict([told()]), "farm/v1", NOW)
    done = collect(lake, dict([told(latitude=35.0)]), "farm/v1", NOW)
    assert "lies elsewhere than where it was enrolled" in done.passed_over[0]
    assert farm(lake, HILL).site.latitude == pytest.approx(37.5714)


def test_a_farm_that_walks_is_stopped_where_it_was_enrolled(lake: Lake) -> None:
    """Six steps of 0.95 km, each with other values: one is near enough, the rest change nothing."""
    collect(lake, dict([told()]), "farm/v1", NOW)
    for step in range(1, 7):
        values = {schema.AIR_TEMPERATURE: [float(step)] * 5}
        message = told(latitude=37.5714 + 0.00854 * step, values=values)
        done = collect(lake, dict([message]), "farm/v1", NOW)
        assert len(done.passed_over) == (step > 1)
    assert set(lake.observations(HILL)[schema.AIR_TEMPERATURE]) == {1.0}
    assert farm(lake, HILL).site.latitude == pytest.approx(37.5714 + 0.00854)


def test_extent_counts_what_is_missing(lake: Lake) -> None:
    """Hours from the first to the last, and the share of them without a value, per target."""
    place = Farm(HILL, schema.Site(37.5714, 126.9658, 86.0))
    assert extent(lake, place) == Extent(
        0, None, None, {schema.AIR_TEMPERATURE: 1.0, schema.RELATIVE_HUMIDITY: 1.0}
    )
    collect(lake, dict([told()]), "farm/v1", NOW)
    found = extent(lake, place)
    assert (found.hours, found.first, found.last) == (5, HOURS["time"][0], HOURS["time"][-1])
    assert found.missing[schema.AIR_TEMPERATURE] == pytest.approx(0.4)
    assert found.missing[schema.RELATIVE_HUMIDITY] == pytest.approx(0.6)
