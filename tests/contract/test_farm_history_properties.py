"""A farm's hours keep every value on the way to the lake, and damage to them is told plainly."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_agent.contract.errors import FarmError
from edge_agent.contract.schema import OBSERVED, QUANTITIES, TIME, TIME_DTYPE
from edge_agent.messages import status
from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.topics import Topics
from edge_agent.observations import export
from edge_agent.observations.store import Store
from edge_agent.settings import Device
from tests.fakes.examples import examples
from tests.fakes.mutation import mutated
from trainer.fleet import farm_histories
from trainer.ingest import farm_files

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=20)
WHOSE = export.identity(Device(site="hill", id="edge-1"))
CONTEXT = MessageContext(
    Topics.of("hill", "edge-1"), Locale("ko", ZoneInfo("Asia/Seoul")), END, "trusted", "model", 1
)


@st.composite
def stored(draw: st.DrawFn) -> pl.DataFrame:
    """Hours as a store has them, any of its numbers, with gaps of either kind."""
    names = draw(st.lists(st.sampled_from(OBSERVED), min_size=1, unique=True))
    hours = sorted(draw(st.sets(st.integers(0, 400), min_size=1, max_size=8)))
    columns = {
        name: draw(
            st.lists(
                st.none() | st.floats(QUANTITIES[name].low, QUANTITIES[name].high, allow_nan=False),
                min_size=len(hours),
                max_size=len(hours),
            )
        )
        for name in names
    }
    return pl.DataFrame(
        {TIME: [START + timedelta(hours=hour) for hour in hours]} | columns,
        schema={TIME: TIME_DTYPE} | dict.fromkeys(names, pl.Float64),
    )


def handed_on(frame: pl.DataFrame) -> pl.DataFrame:
    """What the agent tells of such hours."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        store = Store(db)
        store.put_hourly(export.SOURCE, frame)
        return export.hours(store, START, END)


def whole_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Time and every quantity of the schema; what is not there is null."""
    return frame.select(
        TIME,
        *(
            pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64).alias(name)
            for name in OBSERVED
        ),
    )


@settings(max_examples=examples(40))
@given(stored())
def test_files_return_every_value_that_went_out(frame: pl.DataFrame) -> None:
    """Both kinds of file and back: the same hours, the same numbers, the same gaps."""
    told = handed_on(frame)
    assume(told.height > 0)
    for name, content in (
        ("a.parquet", export.to_parquet(told, WHOSE)),
        ("a.csv", export.to_csv(told, WHOSE)),
    ):
        whose, got, _ = farm_files.read(name, content)
        assert whose == WHOSE
        assert got.select(TIME, *OBSERVED).equals(whole_columns(told))


@settings(max_examples=examples(40))
@given(stored())
def test_a_message_returns_every_value_of_a_file(frame: pl.DataFrame) -> None:
    """An hour told both ways is the same number, so that neither revises the other."""
    told = handed_on(frame)
    assume(told.height > 0)
    made = status.history_message(CONTEXT, WHOSE, told)
    whose, got = farm_histories.read(made.topic, made.payload, "farm/v1")
    assert whose == WHOSE
    assert got.join(told, on=TIME, how="semi").select(TIME, *OBSERVED).equals(whole_columns(told))


@pytest.mark.parametrize("seed", range(150))
def test_damage_is_told_in_a_line(seed: int) -> None:
    """Whatever happens to the bytes, they are read or refused with a fault of this project."""
    hours = [START + timedelta(hours=hour) for hour in range(5)]
    frame = pl.DataFrame(
        {TIME: hours, OBSERVED[0]: [1.5, None, 2.25, -3.0, 20.0], OBSERVED[1]: [50.0] * 5},
        schema_overrides={TIME: TIME_DTYPE},
    )
    dice = random.Random(seed)
    made = status.history_message(CONTEXT, WHOSE, frame)
    body, table = mutated(made.payload, dice), mutated(export.to_csv(frame, WHOSE), dice)
    for read in (
        lambda: farm_histories.read(made.topic, body, "farm/v1"),
        lambda: farm_files.read("a.csv", table),
    ):
        try:
            read()
        except FarmError as fault:
            _one_line(fault)


def _one_line(fault: FarmError) -> None:
    assert str(fault)
    assert "\n" not in str(fault)
