"""The generated climate: shaped like KMA's record, and like Korea's weather."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from demo import normals
from demo.climate import generate
from demo.places import SEOUL, Place
from demo.reported import _SECTORS

START, END = datetime(2019, 1, 1, 1), datetime(2022, 1, 1)  # noqa: DTZ001 - KMA's bytes are KST
BUSAN = Place(159, 35.10468, 129.03203, 69.56)
INCHEON = Place(112, 37.47772, 126.6249, 68.99)


@pytest.fixture(scope="module")
def seoul() -> pl.DataFrame:
    """Three years of Seoul."""
    return generate([SEOUL], START, END, seed=4)


def _rmse(frame: pl.DataFrame, column: str, hours: int) -> float:
    whole = frame.upsample("tm", every="1h")[column]
    change = (whole - whole.shift(hours)).drop_nulls().to_numpy()
    return float(np.sqrt(np.mean(change**2)))


def test_same_seed_same_weather_other_seed_other_weather() -> None:
    """The seed alone decides."""
    first = generate([SEOUL], START, datetime(2019, 2, 1), seed=1)  # noqa: DTZ001 - KST
    assert first.equals(generate([SEOUL], START, datetime(2019, 2, 1), seed=1))  # noqa: DTZ001 - KST
    assert not first.equals(generate([SEOUL], START, datetime(2019, 2, 1), seed=2))  # noqa: DTZ001 - KST


def test_station_does_not_depend_on_the_others() -> None:
    """Asking for more stations changes none."""
    end = datetime(2019, 2, 1)  # noqa: DTZ001 - KST
    both = generate([BUSAN, SEOUL], START, end, seed=1)
    assert both["station"].is_sorted()
    assert both.filter(pl.col("station") == 108).equals(generate([SEOUL], START, end, seed=1))


def test_columns_and_types_are_those_of_the_record(seoul: pl.DataFrame) -> None:
    """Names and types of KMA's hourly record, time ascending and unique."""
    assert seoul.columns == (
        "station tm ta hm ws wd ps pa td pv rn ss icsr vs ts dc10Tca".split()  # noqa: SIM905 - a table row
    )
    assert seoul.schema["station"] == pl.Int32
    assert seoul.schema["tm"] == pl.Datetime("us")
    assert set(seoul.dtypes[2:]) == {pl.Float64}
    assert seoul["tm"].is_sorted()
    assert seoul["tm"].is_unique().all()
    assert not seoul.select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)


def test_values_are_rounded_and_coded_as_kma_does(seoul: pl.DataFrame) -> None:
    """Tenths, whole percents, 16 sectors, calm exactly up to 0.4 m/s."""
    for name in ("ta", "td", "ws", "pa", "ps", "pv", "rn", "ss", "ts"):
        assert (seoul[name] - seoul[name].round(1)).abs().max() == 0.0, name
    assert (seoul["hm"] == seoul["hm"].round(0)).all()
    assert set(seoul["wd"].drop_nulls()) == {0.0, *_SECTORS}
    wind = seoul.drop_nulls(["ws", "wd"])
    assert ((wind["ws"] <= 0.4) == (wind["wd"] == 0.0)).all()
    assert (seoul["td"] <= seoul["ta"]).all()


def test_night_has_no_sun_and_winter_rain_comes_every_three_hours(seoul: pl.DataFrame) -> None:
    """Null at night; November to March amounts stand on 00, 03, ... 21 only."""
    hour, month = pl.col("tm").dt.hour(), pl.col("tm").dt.month()
    night = seoul.filter(hour.is_in([22, 23, 0, 1, 2, 3, 4]))
    assert night["ss"].null_count() == night["icsr"].null_count() == night.height
    assert seoul.filter(hour.is_between(8, 17))["icsr"].null_count() == 0
    winter = seoul.filter((month >= 11) | (month <= 3), pl.col("rn").is_not_null())
    assert winter.height > 100
    assert set(winter["tm"].dt.hour() % 3) == {0}
    summer = seoul.filter(month.is_between(4, 10), pl.col("rn").is_not_null())
    assert set(summer["tm"].dt.hour() % 3) == {0, 1, 2}


def test_some_hours_and_values_are_missing_but_few(seoul: pl.DataFrame) -> None:
    """Gaps exist, and stay rare."""
    expected = int((END - START).total_seconds() / 3600) + 1
    assert 0 < expected - seoul.height < expected / 500
    assert 0 < seoul["hm"].null_count() < expected / 200


def test_statistics_are_those_of_a_korean_city(seoul: pl.DataFrame) -> None:
    """Means, spreads and persistence near those of Seoul's real record 2013 to 2018."""
    monthly = seoul.group_by(pl.col("tm").dt.month().alias("m")).agg(pl.col("ta").mean()).sort("m")
    assert np.abs(monthly["ta"].to_numpy() - normals.TEMPERATURE_C).max() < 2.0
    assert 2.9 < _rmse(seoul, "ta", 24) < 3.6
    assert 17.0 < _rmse(seoul, "hm", 24) < 21.5
    assert 5.0 < _rmse(seoul, "ta", 12) < 6.3
    assert 3.6 < _rmse(seoul, "pa", 24) < 4.9
    yearly = seoul["rn"].sum() / 3
    assert 650 < yearly < 1600
    assert 0.01 < (seoul["ta"] >= 30).mean() < 0.06  # type: ignore[operator]
    assert 0.1 < (seoul["ta"] <= 0).mean() < 0.22  # type: ignore[operator]
    assert 0.03 < (seoul["hm"] <= 30).mean() < 0.12  # type: ignore[operator]
    swing = seoul.group_by_dynamic("tm", every="1d").agg(pl.col("ta").max() - pl.col("ta").min())
    assert 7.5 < swing["ta"].mean() < 10.0  # type: ignore[operator]


def test_cloud_damps_the_diurnal_cycle_and_lows_bring_rain(seoul: pl.DataFrame) -> None:
    """Clear days swing more than cloudy ones; pressure is low where it rains."""
    days = seoul.group_by_dynamic("tm", every="1d").agg(
        (pl.col("ta").max() - pl.col("ta").min()).alias("swing"), pl.col("dc10Tca").mean()
    )
    clear = days.filter(pl.col("dc10Tca") < 2)["swing"].mean()
    cloudy = days.filter(pl.col("dc10Tca") > 8)["swing"].mean()
    assert clear > 1.5 * cloudy  # type: ignore[operator]
    july = seoul.filter(pl.col("tm").dt.month() == 7)
    wet, dry = (july.filter(pl.col("rn").is_not_null() == x)["ps"].mean() for x in (True, False))
    assert wet < dry - 1.0  # type: ignore[operator]


def test_weather_travels_from_west_to_east() -> None:
    """Neighbours agree closely; a station in the east sees the pressure hours later."""
    east = Place(105, 37.47772, 128.99, 68.99)
    frame = generate([INCHEON, SEOUL, east, BUSAN], START, datetime(2020, 1, 1), seed=3)  # noqa: DTZ001 - KST
    tide = pl.col("ps").mean().over("station", pl.col("tm").dt.hour())
    frame = frame.with_columns(pl.col("ps") - tide)
    wide = frame.pivot(on="station", index="tm", values="ps").drop_nulls()

    def agreement(one: str, other: str, lag: int) -> float:
        pair = pl.DataFrame({"a": wide[one], "b": wide[other].shift(-lag)}).drop_nulls()
        return float(np.corrcoef(pair["a"], pair["b"])[0, 1])

    assert agreement("112", "108", 0) > 0.97
    assert agreement("112", "108", 0) > agreement("159", "108", 0)
    late = [agreement("112", "105", lag) for lag in range(10)]
    assert 3 <= int(np.argmax(late)) <= 6


def test_monthly_curve_passes_near_its_table() -> None:
    """Three harmonics keep each month within a small distance of its figure."""
    middle = (np.arange(12) + 0.5) / 12
    curve = normals.at(normals.TEMPERATURE_C, middle)
    assert np.abs(curve - normals.TEMPERATURE_C).max() < 0.6
    with pytest.raises(ValueError, match="12 values"):
        normals.at((1.0, 2.0), middle)


def test_hours_ascend_without_repeats(seoul: pl.DataFrame) -> None:
    """No label twice, none off the hour."""
    assert all(b > a for a, b in pairwise(seoul["tm"][:500]))
    assert (seoul["tm"].dt.minute() == 0).all()
