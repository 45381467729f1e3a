"""Hours that passed untold: which they are, and by which forecast."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.messages import backfill
from edge_agent.messages.message import Kind
from edge_agent.messages.status import forecast_messages
from tests.fakes.forecasts import NOW, forecast
from tests.fakes.message_context import CONTEXT

if TYPE_CHECKING:
    from edge_agent.contract.forecast import Forecast

HOUR = timedelta(hours=1)


def _told(hours: int, *kept: Forecast, begin: datetime = NOW) -> Any:  # noqa: ANN401 - JSON
    context = replace(CONTEXT, now=NOW + hours * HOUR + timedelta(minutes=5))
    made = backfill.message_of(context, AIR_TEMPERATURE, begin, kept)
    return made and json.loads(made.payload)


def _values(told: Any) -> list[tuple[str, int, float]]:  # noqa: ANN401 - JSON
    return [(hour["valid_at"][11:16], hour["lead_h"], hour["value"]) for hour in told["hours"]]


def test_each_hour_is_told_by_the_newest_forecast_made_before_it() -> None:
    """Three hours, the second forecast came between the first and the second of them."""
    first = forecast([20.0, 21.0, 22.0, 23.0])
    second = forecast([31.0, 32.0, 33.0], now=NOW + HOUR)
    told = _told(3, first, second)
    assert _values(told) == [("06:00", 1, 20.0), ("07:00", 1, 31.0), ("08:00", 2, 32.0)]


def test_an_hour_that_was_over_when_it_was_forecast_is_not_foresight() -> None:
    """Observations were two hours old: what was made of those hours afterwards is left out."""
    late = replace(forecast([20.0, 21.0, 22.0]), issued_at=NOW + timedelta(hours=1, minutes=5))
    assert _values(_told(3, late)) == [("07:00", 2, 21.0), ("08:00", 3, 22.0)]


def test_nothing_is_told_where_no_hour_has_passed_or_none_was_foreseen() -> None:
    """The hour under way is the live topic's."""
    assert _told(0, forecast([20.0])) is None
    assert _told(3) is None
    assert _told(3, replace(forecast([20.0]), targets={})) is None


def test_it_cannot_be_taken_for_a_value_of_now() -> None:
    """A topic of its own, historical, its own times, no release's word, not retained."""
    context = replace(CONTEXT, now=NOW + 2 * HOUR)
    made = backfill.message_of(context, AIR_TEMPERATURE, NOW, [forecast([20.0, 21.0])])
    assert made is not None
    told = json.loads(made.payload)
    assert made.topic == "farm/v1/farm/edge-1/history/temperature"
    assert (made.retain, made.kind, made.collapse) == (False, Kind.TELEMETRY, made.topic)
    assert (told["historical"], told["source"], told["model_release"]) == (True, "agent", None)
    assert told["valid_from"] == "2026-07-01T05:00:00Z"
    assert told["valid_until"] == "2026-07-08T07:00:00Z"


def test_the_same_hours_have_the_same_id_and_more_hours_another() -> None:
    """An hour worked twice says nothing twice."""
    kept = forecast([20.0, 21.0])
    ids = [_told(hours, kept)["id"] for hours in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_untold_is_everything_since_the_first_that_waits() -> None:
    """Hours that wait already reach further back than the forecast that waits now."""
    warm = forecast([20.0])
    later = replace(CONTEXT, now=NOW + 3 * HOUR)
    (waiting, _) = forecast_messages(later, warm, warm.targets)
    before = json.dumps({"valid_from": "2026-07-01T05:00:00Z"}).encode()
    assert backfill.since(b"", b"") is None
    assert backfill.since(waiting.payload, b"") == NOW + 3 * HOUR
    assert backfill.since(waiting.payload, before) == NOW
    assert backfill.since(b"", before) == NOW
