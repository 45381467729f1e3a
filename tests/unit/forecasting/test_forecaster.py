"""Methods F1 to F4 of `forecaster.make`, and the normals of a place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from edge_agent.contract import features
from edge_agent.contract.climatology import COEFFICIENTS
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.contract.manifest import SiteNormals
from edge_agent.contract.schema import (
    AIR_TEMPERATURE,
    LEADS,
    OBSERVED,
    RELATIVE_HUMIDITY,
    TIME,
    WIND_FROM_DIRECTION,
    WIND_SPEED,
    Site,
    empty_frame,
)
from edge_agent.forecasting import forecaster
from tests.fakes.loaded import FakeRelease, Says, manifest
from tests.fakes.weather import SITE, Damage, record, spoil, values_only

HOURS = 400
FRAME = values_only(record()[3000 : 3000 + HOURS])
NEWEST: datetime = FRAME[TIME][-1]
LEAD = features.FEATURES.index("lead")
TEMPERATURE = features.FEATURES.index("temperature")


def make(
    frame: pl.DataFrame = FRAME,
    *,
    now: datetime = NEWEST + timedelta(minutes=5),
    release: FakeRelease | None = None,
    source: Source = Source.MODEL,
) -> Forecast:
    """Forecast that must be one."""
    made = forecaster.make(frame, SITE, release or FakeRelease(), now, source=source)
    assert isinstance(made, Forecast)
    return made


def test_f1_uses_the_models_on_current_observations() -> None:
    """48 hours from the newest one, with value, spread, source and release, and no notes."""
    made = make()
    assert (made.source, made.release, made.origin) == (Source.MODEL, 7, NEWEST)
    assert list(made.valid_at) == [NEWEST + timedelta(hours=lead) for lead in LEADS]
    assert made.notes == []
    temperature = made.targets[AIR_TEMPERATURE]
    assert (temperature.values == 20.0).all()
    assert temperature.quantile(0.9) == pytest.approx([21.6] * 48)
    assert make(source=Source.MODEL_RELAYED).source == Source.MODEL_RELAYED


def test_f1_gives_the_models_the_row_of_the_newest_hour() -> None:
    """The matrix has one row a lead, in order, read at the origin."""
    seen: list[np.ndarray] = []

    def look(matrix: np.ndarray) -> np.ndarray:
        seen.append(matrix)
        return matrix[:, LEAD]

    made = make(release=FakeRelease(predictors={t: Says(look) for t in _targets()}))
    assert seen[0][:, LEAD].tolist() == list(LEADS)
    assert set(seen[0][:, TEMPERATURE].tolist()) == {np.float32(round(_last() * 1024) / 1024)}
    assert made.targets[AIR_TEMPERATURE].values.tolist() == [min(lead, 45.0) for lead in LEADS]


def test_f1_is_wider_where_a_group_of_inputs_is_missing() -> None:
    """A farm without a wind gauge gets the spread of farms without one, at each lead."""
    release = FakeRelease()
    knots = len(release.manifest.residuals[AIR_TEMPERATURE].leads)
    factors = {AIR_TEMPERATURE: {"wind": (1.5,) * knots}}
    release.manifest = msgspec.structs.replace(release.manifest, widening=factors)
    assert make(release=release).targets[AIR_TEMPERATURE].quantile(0.9) == pytest.approx(
        [21.6] * 48
    )
    blind = FRAME.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in (WIND_SPEED, WIND_FROM_DIRECTION)
    )
    made = make(blind, release=release)
    assert made.targets[AIR_TEMPERATURE].quantile(0.9) == pytest.approx([22.4] * 48)
    assert made.targets[RELATIVE_HUMIDITY].quantile(0.9) == pytest.approx([68.0] * 48)


def _targets() -> tuple[str, str]:
    return AIR_TEMPERATURE, RELATIVE_HUMIDITY


def _last() -> float:
    return float(FRAME[AIR_TEMPERATURE][-1])


@pytest.mark.parametrize(
    ("minutes", "first", "note"),
    [
        (0, 1, None),
        (59, 1, None),
        (60, 2, None),
        (119, 2, None),
        (120, 3, "2 h old"),
        (12 * 60, 13, "12 h old"),
    ],
)
def test_f1_bridges_old_observations_by_longer_leads(
    minutes: int, first: int, note: str | None
) -> None:
    """Passed hours are left out, the rest has longer leads; from 2 h on a note says so."""
    echo = {t: Says(lambda m: m[:, LEAD]) for t in _targets()}
    made = make(now=NEWEST + timedelta(minutes=minutes), release=FakeRelease(predictors=echo))
    assert made.valid_at[0] == NEWEST + timedelta(hours=first)
    assert made.targets[AIR_TEMPERATURE].values[0] == first
    assert len(made.valid_at) == 49 - first
    assert [note in text for text in made.notes if note] == ([True] if note else [])


def test_f2_when_observations_are_old() -> None:
    """A minute beyond 12 h what was seen last fades into the normals, and the interval widens."""
    made = make(now=NEWEST + timedelta(hours=12, minutes=30))
    assert made.source == Source.PERSISTENCE
    assert "more than 12 h" in made.notes[0]
    assert made.origin == NEWEST
    assert made.valid_at[0] == NEWEST + timedelta(hours=13)
    assert len(made.valid_at) == 48
    warm = made.targets[AIR_TEMPERATURE]
    normal = 12.0 - 0.0065 * (SITE.elevation_m - 86.0)
    assert abs(warm.values[-1] - normal) < 0.3 * abs(warm.values[0] - normal)
    widths = warm.quantile(0.9) - warm.quantile(0.1)
    # The fake's climatology errors spread to 8: 80 % lie within 6.4 to either side.
    assert widths[0] == pytest.approx(12.8 * 0.72, rel=0.02)
    assert widths[-1] == pytest.approx(12.8, rel=0.03)
    assert (np.diff(widths) >= -1e-9).all()


def test_f2_is_the_normal_plus_shares_of_what_was_seen() -> None:
    """At 24 h: 0.56 of the newest anomaly, which is that of the same hour."""
    release = FakeRelease()
    release.predictors[AIR_TEMPERATURE].value = np.nan
    made = make(now=NEWEST, release=release)
    normal = 12.0 - 0.0065 * (SITE.elevation_m - 86.0)
    expected = normal + 0.56 * (_last() - normal)
    assert made.targets[AIR_TEMPERATURE].values[23] == pytest.approx(expected, abs=0.01)
    assert made.targets[AIR_TEMPERATURE].values[0] == pytest.approx(
        normal + 0.99 * (_last() - normal), abs=0.01
    )


def test_f3_when_observations_are_too_old() -> None:
    """A minute beyond a day the site's normals speak, wider, for 48 hours from now."""
    now = NEWEST + timedelta(hours=24, minutes=30)
    made = make(now=now)
    assert made.source == Source.CLIMATOLOGY
    assert "more than 12 h" in made.notes[0]
    assert made.valid_at[0] == NEWEST + timedelta(hours=25)
    assert len(made.valid_at) == 48
    # The fake's normals are flat, 12 C at 86 m; its climatology errors spread to 8.
    assert made.targets[AIR_TEMPERATURE].values == pytest.approx(
        [12.0 - 0.0065 * (SITE.elevation_m - 86.0)] * 48
    )
    spread = made.targets[AIR_TEMPERATURE]
    assert spread.quantile(0.9) - spread.values == pytest.approx([6.4] * 48)


@pytest.mark.parametrize("target", _targets())
def test_f2_when_a_target_was_not_observed(target: str) -> None:
    """The newest hour with temperature and humidity counts; without any there is climatology."""
    made = make(FRAME.with_columns(pl.lit(None, pl.Float64).alias(target)))
    assert (made.source, made.notes) == (Source.CLIMATOLOGY, ["no usable observation at hand"])
    partly = make(spoil(FRAME, [Damage("gap", target, 4, 5, 0)]))
    assert (partly.source, partly.origin) == (Source.MODEL, NEWEST - timedelta(hours=5))


def test_f3_when_nothing_was_observed() -> None:
    """An empty store gives climatology."""
    assert make(empty_frame()).notes == ["no usable observation at hand"]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_f2_when_a_model_gives_no_number(number: float) -> None:
    """A NaN never reaches a farm: persistence, with the target's name."""
    release = FakeRelease()
    release.predictors[RELATIVE_HUMIDITY].value = number
    made = make(release=release)
    assert made.source == Source.PERSISTENCE
    assert np.isfinite(made.targets[RELATIVE_HUMIDITY].quantiles).all()
    assert made.notes == ["the model of relative_humidity_pct gave no number"]


def test_f4_without_a_release() -> None:
    """Nothing installed: no forecast, and what to do about it."""
    made = forecaster.make(FRAME, SITE, None, NEWEST)
    assert isinstance(made, NoForecast)
    assert made.reason == "no approved release is installed; run `edge-agent sync`"


def test_rows_from_the_future_are_ignored() -> None:
    """A sensor whose clock runs ahead changes nothing."""
    ahead = FRAME[-5:].with_columns(pl.col(TIME) + pl.duration(days=2))
    early = make(pl.concat([FRAME, ahead]))
    assert (early.source, early.origin) == (Source.MODEL, NEWEST)
    assert early.targets[AIR_TEMPERATURE].values.tolist() == [20.0] * 48


def test_history_beyond_the_lookback_changes_nothing() -> None:
    """HISTORY_HOURS are enough: more of the past gives the same matrix."""
    seen: list[bytes] = []

    def look(matrix: np.ndarray) -> np.ndarray:
        seen.append(matrix.tobytes())
        return matrix[:, LEAD]

    release = FakeRelease(predictors={t: Says(look) for t in _targets()})
    for frame in (FRAME, FRAME[-forecaster.HISTORY_HOURS :]):
        make(frame, release=release)
    assert len(set(seen)) == 1


def test_a_spike_is_judged_before_the_models_see_it() -> None:
    """Raw values go through the quality rules: a spike in the newest hour is no origin."""
    made = make(spoil(FRAME, [Damage("spike", AIR_TEMPERATURE, 0, 1, 25.0)]))
    assert made.origin == NEWEST - timedelta(hours=1)


def test_observations_may_lack_columns_and_order() -> None:
    """A farm with two sensors and rows in any order gets the models too."""
    two = FRAME.select(TIME, *_targets()).sample(fraction=1.0, shuffle=True, seed=1)
    assert make(two).source == Source.MODEL
    assert set(OBSERVED) > set(two.columns) - {TIME}


def _normals(latitude: float, longitude: float, elevation: float, mean: float) -> SiteNormals:
    flat = (0.0,) * (COEFFICIENTS - 1)
    return SiteNormals(
        latitude,
        longitude,
        elevation,
        {AIR_TEMPERATURE: (mean, *flat), RELATIVE_HUMIDITY: (60.0, *flat)},
    )


def test_place_takes_the_nearest_station_by_distance_not_degrees() -> None:
    """A degree of longitude is shorter than one of latitude: 1.1 E is nearer than 1.0 N here."""
    stations = {"north": _normals(38.0, 127.0, 0, 1.0), "east": _normals(37.0, 128.1, 0, 2.0)}
    found = forecaster.place_of(Site(37.0, 127.0, 0.0), stations)
    assert found.normals[AIR_TEMPERATURE][0] == 2.0


@pytest.mark.parametrize(("elevation", "mean"), [(100.0, 12.0), (1100.0, 5.5), (0.0, 12.65)])
def test_place_moves_temperature_by_the_lapse_rate(elevation: float, mean: float) -> None:
    """6.5 degrees colder a kilometre up; humidity and the other coefficients stay."""
    stations = {"108": _normals(37.0, 127.0, 100.0, 12.0)}
    found = forecaster.place_of(Site(37.1, 127.1, elevation), stations)
    assert found.normals[AIR_TEMPERATURE][0] == pytest.approx(mean)
    assert found.normals[AIR_TEMPERATURE][1:] == (0.0,) * (COEFFICIENTS - 1)
    assert found.normals[RELATIVE_HUMIDITY] == stations["108"].coefficients[RELATIVE_HUMIDITY]
    assert found.site.elevation_m == elevation


def test_a_release_without_stations_is_an_error() -> None:
    """No station, no normals: said plainly."""
    nowhere = FakeRelease(manifest=msgspec.structs.replace(manifest(), sites={}))
    with pytest.raises(ValueError, match="names no station"):
        forecaster.make(FRAME, SITE, nowhere, datetime(2026, 1, 1, tzinfo=UTC))
