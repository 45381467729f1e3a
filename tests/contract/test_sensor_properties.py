"""What holds for every stream of sensor messages."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random  # noqa: TC003 - hypothesis reads the annotation

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import schema
from edge_agent.observations.intake import Intake
from edge_agent.observations.source_choice import aggregate
from edge_agent.observations.store import Store
from edge_agent.settings import Sensor
from edge_agent.system.database import connect
from tests.fakes.forecasts import NOW

SENSORS = tuple(
    Sensor(
        topic=topic,
        field="t",
        time_field="at",
        quantity=schema.AIR_TEMPERATURE,
        unit="C",
        max_age_s=7200,
    )
    for topic in "ab"
)
# Few minutes, so that samples meet in one of them; long gaps are allowed, so that hours come out.
messages = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30).map(lambda n: 20 * n), st.floats(-60, 60)),
    max_size=40,
)


def hours(stream: list[tuple[str, int, float]], flush_each: int) -> list[tuple[object, ...]]:
    """Hours that a stream of messages comes to."""
    with closing(connect(Path(":memory:"))) as db:
        store, intake = Store(db), Intake(SENSORS)
        for count, (topic, seconds, value) in enumerate(stream):
            at = NOW + timedelta(seconds=seconds)
            payload = msgspec.json.encode({"t": value, "at": at})
            intake.take(topic, payload, NOW + timedelta(hours=4))
            if count % flush_each == 0:
                intake.flush(store)
        intake.flush(store)
        aggregate(store, SENSORS, NOW, NOW + timedelta(hours=4))
        return store.hourly("sensor:outdoor", NOW, NOW + timedelta(hours=5)).rows()


@given(messages, st.randoms(), st.integers(1, 9), st.integers(1, 9))
def test_order_duplication_and_batching_change_nothing(
    stream: list[tuple[str, int, float]], random: Random, one: int, other: int
) -> None:
    """The hours depend on what was measured, not on how the messages travelled."""
    shuffled = [*stream, *stream[::2]]
    random.shuffle(shuffled)
    assert hours(stream, one) == hours(shuffled, other)


@given(st.binary(max_size=200))
def test_no_payload_raises(payload: bytes) -> None:
    """Anything a sensor may send is taken or counted."""
    intake = Intake(SENSORS)
    given_samples = intake.take("a", payload, NOW)
    assert given_samples + sum(intake.refused.values()) == 1


def test_event_times_are_datetimes() -> None:
    """The strategy above really produces hours."""
    stream = [("a", 60 * m, 20.0) for m in range(0, 120, 5)]
    rows = hours(stream, 1)
    assert len(rows) == 2
    assert isinstance(rows[0][0], datetime)
