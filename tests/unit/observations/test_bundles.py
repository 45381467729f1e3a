"""Bundles of relayed observations."""

from __future__ import annotations

import io
from datetime import timedelta

import polars as pl
import pytest

from edge_agent.contract import schema
from edge_agent.contract.bundles import GUIDANCE, GUIDANCE_RANGES, GUIDED, ISSUED, VALID
from edge_agent.contract.errors import BadData
from edge_agent.contract.schema import TIME, TIME_DTYPE, Flag
from edge_agent.observations import bundles
from tests.fakes.forecasts import NOW
from tests.fakes.guidance import forecasts
from trainer import relay
from trainer.ingest.sources import village_table

HOUR = timedelta(hours=1)


def parquet(frame: pl.DataFrame) -> bytes:
    """Frame as bytes."""
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def bundle() -> pl.DataFrame:
    """Three hours in the wrong order, one of them flagged, one not a number."""
    return pl.DataFrame(
        {
            TIME: [NOW + 2 * HOUR, NOW, NOW + HOUR],
            "air_temperature_c": [22.0, 20.0, 99.0],
            "air_temperature_c_flag": [Flag.GOOD, None, Flag.SOURCE],
            "rain_mm": [0.0, float("nan"), 1.5],
            "rain_mm_flag": [0, 0, Flag.ACCUMULATED],
            "note": ["a", "b", "c"],
        },
        schema_overrides={TIME: TIME_DTYPE, "air_temperature_c_flag": pl.UInt8},
    )


def test_reads_sorted_hours_and_drops_what_the_sender_distrusts() -> None:
    """Flagged values and NaN are null; every quantity has a column."""
    frame = bundles.read(parquet(bundle()), "bundle")
    assert frame.columns == [TIME, *schema.OBSERVED]
    assert frame[TIME].to_list() == [NOW, NOW + HOUR, NOW + 2 * HOUR]
    assert frame["air_temperature_c"].to_list() == [20.0, None, 22.0]
    assert frame["rain_mm"].to_list() == [None, 1.5, 0.0]


def test_size_is_judged_before_the_content() -> None:
    """A bundle that is too long is not even opened, good as it may be."""
    with pytest.raises(BadData, match="more than the limit"):
        bundles.read(parquet(bundle()) + bytes(bundles.MAX_BYTES), "bundle")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1 nonsense PAR1",
        parquet(bundle())[:-20],
        parquet(bundle().drop(TIME)),
        parquet(bundle().with_columns(pl.lit("warm").alias("air_temperature_c"))),
        parquet(bundle().with_columns(pl.col(TIME) + timedelta(minutes=1))),
        parquet(bundle().with_columns(pl.lit(None, TIME_DTYPE).alias(TIME))),
        parquet(pl.concat([bundle()] * 4000)),
    ],
    ids=["empty", "noise", "cut", "no time", "text", "minutes", "no times", "long"],
)
def test_what_was_not_agreed_is_bad_data(content: bytes) -> None:
    """Anything else is refused with the bundle's name."""
    with pytest.raises(BadData, match=r"^bundle: "):
        bundles.read(content, "bundle")


def guidance() -> pl.DataFrame:
    """Two issues in the wrong order, one value that is no number, one row doubled."""
    return pl.DataFrame(
        {
            "issued": [NOW + 3 * HOUR, NOW, NOW, NOW],
            "valid": [NOW + 4 * HOUR, NOW + HOUR, NOW + 2 * HOUR, NOW + 2 * HOUR],
            "air_temperature_c": [4, 1, 2, 3],
            "relative_humidity_pct": [50.0, float("nan"), None, 60.0],
            "sky_code": [1, 3, 4, 4],
        },
        schema_overrides=dict.fromkeys(("issued", "valid"), TIME_DTYPE),
    )


def test_guidance_is_sorted_and_has_no_column_too_many() -> None:
    """Ascending by issue and hour, the last of doubled rows, null for what is no number."""
    frame = bundles.read_guidance(parquet(guidance()), "guidance")
    assert frame.schema == GUIDANCE
    assert frame["air_temperature_c"].to_list() == [1.0, 3.0, 4.0]
    assert frame["relative_humidity_pct"].to_list() == [None, 60.0, 50.0]
    assert frame["rain_mm"].null_count() == 3, "a depot of before knows nothing of rain"


def test_every_category_that_is_relayed_arrives() -> None:
    """From the archive's columns over the relay's bytes to the device's; sums of six hours stay."""
    issues = forecasts(NOW, 1)
    kept = issues.rename({ISSUED: village_table.ISSUED, VALID: village_table.VALID})
    archived = kept.with_columns(
        pl.lit(1.0).alias(name) for name in village_table.COLUMNS if name not in kept.columns
    )
    frame = bundles.read_guidance(relay.guidance(archived), "guidance")
    assert frame.equals(issues)
    assert set(GUIDED) < set(village_table.COLUMNS)
    assert all(frame[name].drop_nulls().len() > 0 for name in GUIDED)


def test_an_agent_of_before_takes_the_columns_that_it_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Temperature, humidity and rain, as they were the only ones."""
    content = parquet(forecasts(NOW, 1))
    former = ("air_temperature_c", "relative_humidity_pct", "rain_mm", "rain_probability_pct")
    columns = pl.Schema({name: GUIDANCE[name] for name in (ISSUED, VALID, *former)})
    monkeypatch.setattr(bundles, "GUIDANCE", columns)
    monkeypatch.setattr(bundles, "GUIDED", former)
    monkeypatch.setattr(
        bundles, "GUIDANCE_RANGES", {name: GUIDANCE_RANGES[name] for name in former}
    )
    frame = bundles.read_guidance(content, "guidance")
    assert frame.equals(forecasts(NOW, 1).select(columns.names()))


def test_a_bundle_of_before_has_null_for_the_other_columns() -> None:
    """An older relay, a newer agent."""
    former = forecasts(NOW, 1).select(GUIDANCE.names()[:6])
    frame = bundles.read_guidance(parquet(former), "guidance")
    assert frame.schema == GUIDANCE
    assert frame.select(former.columns).equals(former)
    assert all(frame[name].null_count() == frame.height for name in GUIDANCE.names()[6:])


def test_guidance_that_cannot_be_true_is_missing() -> None:
    """130 C, 140 % and a chance of 101 % are null; what stands beside them stays."""
    wrong = {
        "air_temperature_c": 130.0,
        "relative_humidity_pct": 140.0,
        "rain_probability_pct": 101.0,
        "wind_speed_ms": -1.0,
        "wind_from_direction_deg": 361.0,
        "sky_code": 0.0,
        "precipitation_code": 8.0,
        "new_snow_cm": -0.1,
        "air_temperature_min_c": -41.0,
        "air_temperature_max_c": 46.0,
    }
    assert {*wrong, "rain_mm"} == set(GUIDED)
    forged = guidance().with_columns(
        pl.lit(value).alias(name) for name, value in (wrong | {"rain_mm": 1.5}).items()
    )
    frame = bundles.read_guidance(parquet(forged), "guidance")
    assert frame["rain_mm"].to_list() == [1.5, 1.5, 1.5]
    assert set(frame.select(list(wrong)).null_count().row(0)) == {3}


@pytest.mark.parametrize(
    "change",
    [
        pl.lit("x").alias("air_temperature_c"),
        pl.lit(None, TIME_DTYPE).alias("issued"),
        (pl.col("valid") + timedelta(minutes=1)).alias("valid"),
    ],
)
def test_guidance_that_was_not_agreed_is_refused(change: pl.Expr) -> None:
    """A text for a number, no issue, half an hour: one line that names the bundle."""
    with pytest.raises(BadData, match=r"^guidance: "):
        bundles.read_guidance(parquet(guidance().with_columns(change)), "guidance")
    with pytest.raises(BadData, match=r"^guidance: "):
        bundles.read_guidance(parquet(guidance().drop("valid")), "guidance")
