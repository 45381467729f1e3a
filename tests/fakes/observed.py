"""An oracle for the lake: the source's own rows, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from edge_agent.contract import kma_fields
from edge_agent.contract.hours import KST

if TYPE_CHECKING:
    from datetime import date

    from trainer.workspace.lake import Lake


def assert_equals_source(lake: Lake, frame: pl.DataFrame, first: date, last: date) -> None:
    """Every hour and field of the source is in the lake, and nothing else."""
    source = frame.filter(pl.col("tm").dt.date().is_between(first, last)).sort("tm")
    rows = lake.observations(108)
    assert rows["time"].to_list() == [naive.replace(tzinfo=KST) for naive in source["tm"].to_list()]
    for field, name in kma_fields.NAMES.items():
        sent = source[field].cast(pl.Float64)
        if field == "hm":
            sent = sent.round(0)  # the service sends whole percents
        if field == "vs":
            sent *= 10.0
        got = rows[name]
        if field in {"rn", "ss", "icsr"}:
            # A blank of these may mean zero (K4, K7), never any other number.
            invented = got.filter(sent.is_null() & got.is_not_null())
            assert set(invented.unique()) <= {0.0}, field
            got = got.filter(sent.is_not_null())
            sent = sent.drop_nulls()
        assert got.is_null().equals(sent.is_null()), field
        # Shortest decimal text and back is exact; the stand-in's rounding may not be.
        assert ((got - sent).abs().fill_null(0.0) < 1e-9).all(), field
