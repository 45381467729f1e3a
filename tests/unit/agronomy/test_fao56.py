"""FAO-56's worked examples, to their printed digits, and own values where it has none."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.agronomy import evapotranspiration as et
from edge_agent.agronomy import psychrometrics as air
from edge_agent.agronomy import radiation as sun
from edge_agent.agronomy import water_balance as water


def test_example_2_pressure_and_psychrometric_constant() -> None:
    """1800 m: 81.8 kPa, 0.054 kPa/C."""
    assert float(et.pressure_kpa(1800.0)) == pytest.approx(81.8, abs=0.05)
    assert float(et.gamma_kpa_per_c(et.pressure_kpa(1800.0))) == pytest.approx(0.054, abs=5e-4)


def test_example_3_saturation() -> None:
    """24.5 and 15 C: 3.075 and 1.705, mean 2.39 kPa."""
    high, low = air.saturation_kpa([24.5, 15.0])
    assert (high, low) == (pytest.approx(3.075, abs=5e-4), pytest.approx(1.705, abs=5e-4))
    assert (high + low) / 2 == pytest.approx(2.39, abs=5e-3)


def test_example_4_vapour_pressure_from_a_wet_bulb() -> None:
    """25.6 dry and 19.5 wet at 1200 m: 1.91 kPa; and back to the wet bulb."""
    pressure = et.pressure_kpa(1200.0)
    humidity = 100.0 * 1.91 / air.saturation_kpa(25.6)
    assert float(air.wet_bulb_c(25.6, humidity, pressure)) == pytest.approx(19.5, abs=0.05)


@pytest.mark.parametrize(
    ("celsius", "saturation", "slope"),
    [(10.0, 1.228, 0.082), (20.0, 2.338, 0.145), (25.0, 3.168, 0.189), (30.0, 4.243, 0.243)],
)
def test_tables_2_3_and_2_4_of_annex_2(celsius: float, saturation: float, slope: float) -> None:
    """Saturation vapour pressure and its slope, to the printed digits."""
    assert float(air.saturation_kpa(celsius)) == pytest.approx(saturation, abs=5e-4)
    assert float(et.slope_kpa_per_c(celsius)) == pytest.approx(slope, abs=5e-4)


@pytest.mark.parametrize(("metres", "gamma"), [(0, 0.067), (1000, 0.060), (2000, 0.053)])
def test_table_2_2_of_annex_2(metres: float, gamma: float) -> None:
    """Psychrometric constant by altitude, to the printed digits."""
    assert float(et.gamma_kpa_per_c(et.pressure_kpa(metres))) == pytest.approx(gamma, abs=5e-4)


def test_example_5_vapour_pressure_from_humidity() -> None:
    """25 and 18 C at 54 and 82 %: 1.70 kPa."""
    mean = (air.vapour_pressure_kpa(18.0, 82.0) + air.vapour_pressure_kpa(25.0, 54.0)) / 2
    assert float(mean) == pytest.approx(1.70, abs=5e-3)


def test_examples_8_and_9_sun_of_a_day() -> None:
    """20 S, 3 September: 32.2 MJ, sunset angle 1.527, 11.7 h."""
    assert float(sun.extraterrestrial_day(-20.0, 246)) == pytest.approx(32.2, abs=0.05)
    assert float(sun.sunset_angle(-20.0, 246)) == pytest.approx(1.527, abs=5e-4)
    assert float(sun.daylight_h(-20.0, 246)) == pytest.approx(11.7, abs=0.05)


def test_example_10_radiation_from_sunshine() -> None:
    """Rio de Janeiro, 15 May, 7.1 h: 14.5 MJ."""
    latitude = -(22 + 54 / 60)
    ra = sun.extraterrestrial_day(latitude, 135)
    solar = sun.from_sunshine(ra, 7.1, sun.daylight_h(latitude, 135))
    assert float(solar) == pytest.approx(14.5, abs=0.05)


def test_example_14_wind() -> None:
    """3.2 m/s at 10 m: 2.4 m/s at 2 m."""
    assert float(et.wind_at_2m(3.2, 10.0)) == pytest.approx(2.4, abs=0.05)


def test_example_17_bangkok_month() -> None:
    """April: 5.72 mm a day."""
    solar = sun.from_sunshine(
        sun.extraterrestrial_day(13 + 44 / 60, 105), 8.5, sun.daylight_h(13 + 44 / 60, 105)
    )
    value = et.daily(
        34.8, 25.6, 2.85, 2.0, solar,
        latitude_deg=13 + 44 / 60, elevation_m=2.0, day_of_year=105, soil_heat=0.14,
    )  # fmt: skip
    assert float(value) == pytest.approx(5.72, abs=5e-3)


def test_example_18_brussels_day() -> None:
    """6 July: u2 2.078, ea 1.409, Ra 41.09, Rs 22.07, Rso 30.90, ET0 3.9 (3.88)."""
    latitude = 50 + 48 / 60
    wind = et.wind_at_2m(10 / 3.6, 10.0)
    ea = (air.vapour_pressure_kpa(12.3, 84.0) + air.vapour_pressure_kpa(21.5, 63.0)) / 2
    ra = sun.extraterrestrial_day(latitude, 187)
    solar = sun.from_sunshine(ra, 9.25, sun.daylight_h(latitude, 187))
    assert float(wind) == pytest.approx(2.078, abs=5e-4)
    assert float(ea) == pytest.approx(1.409, abs=5e-4)
    assert float(ra) == pytest.approx(41.09, abs=5e-3)
    assert float(solar) == pytest.approx(22.07, abs=5e-3)
    assert float(sun.clear_sky(ra, 100.0)) == pytest.approx(30.90, abs=5e-3)
    value = et.daily(
        21.5, 12.3, ea, wind, solar, latitude_deg=latitude, elevation_m=100.0, day_of_year=187
    )
    assert float(value) == pytest.approx(3.88, abs=5e-3)


NDIAYE = {"latitude_deg": 16 + 13 / 60, "longitude_deg": -16.25, "elevation_m": 8.0}


def test_example_19_hour_by_day() -> None:
    """N'Diaye, 1 October, 14 to 15 h: every printed term, 0.63 mm."""
    # Local time there is that of 15 W, an hour behind UTC.
    made = et.hourly(38.0, 52.0, 3.3, 2.450, day_of_year=274, utc_hour=15.5, **NDIAYE)
    printed = {
        "es_kpa": (6.625, 5e-4),
        "ea_kpa": (3.445, 5e-4),
        "slope_kpa_per_c": (0.358, 5e-4),
        "gamma_kpa_per_c": (0.0673, 5e-5),
        "ra": (3.543, 5e-4),
        "rso": (2.658, 5e-4),
        "rn": (1.749, 1e-3),
        "g": (0.175, 5e-4),
        "et0": (0.63, 5e-3),
    }
    for name, (value, tolerance) in printed.items():
        assert float(getattr(made, name)) == pytest.approx(value, abs=tolerance), name
    assert float(made.et0) == pytest.approx(0.6269, abs=1e-4)


def test_example_19_hour_by_night() -> None:
    """The same place, 2 to 3 h: Rn -0.100, G -0.050, 0.00 mm."""
    made = et.hourly(28.0, 90.0, 1.9, 0.0, day_of_year=274, utc_hour=3.5, **NDIAYE)
    assert float(made.rn) == pytest.approx(-0.100, abs=5e-4)
    assert float(made.g) == pytest.approx(-0.050, abs=5e-4)
    assert float(made.et0) == pytest.approx(0.00, abs=5e-3)
    assert float(made.et0) == pytest.approx(0.0043, abs=1e-4)


def test_example_20_lyon_from_temperatures() -> None:
    """July, 26.6 and 14.8 C alone: ea 1.68, Ra 40.6, Rs 22.3, ET0 4.56; Hargreaves 5.0."""
    latitude = 45 + 43 / 60
    ea = air.saturation_kpa(14.8)
    ra = sun.extraterrestrial_day(latitude, 196)
    solar = sun.from_temperature_range(ra, 26.6, 14.8, coast=False)
    assert float(ea) == pytest.approx(1.68, abs=5e-3)
    assert float(ra) == pytest.approx(40.6, abs=0.05)
    assert float(solar) == pytest.approx(22.3, abs=0.05)
    value = et.daily(
        26.6, 14.8, ea, et.FALLBACK_WIND_MS, solar,
        latitude_deg=latitude, elevation_m=200.0, day_of_year=196,
    )  # fmt: skip
    assert float(value) == pytest.approx(4.56, abs=5e-3)
    rough = et.hargreaves(26.6, 14.8, latitude_deg=latitude, day_of_year=196)
    assert float(rough) == pytest.approx(5.03, abs=5e-3)


def test_example_37_tomato_drying_out() -> None:
    """TAW 160, p 0.40, ET0 5, Kc 1.2, from 55 mm: ten days of stress and depletion as printed."""
    depletion, stresses, depletions = 55.0, [], []
    for _ in range(10):
        stresses.append(round(water.stress(depletion, 160.0, 0.40), 2))
        depletion = water.step(depletion, total_mm=160.0, fraction=0.40, demand_mm=6.0, rain_mm=0.0)
        depletions.append(round(depletion, 1))
    assert stresses == [1.0, 1.0, 0.97, 0.91, 0.85, 0.80, 0.75, 0.70, 0.66, 0.62]
    assert depletions == [61.0, 67.0, 72.8, 78.3, 83.4, 88.2, 92.6, 96.9, 100.8, 104.5]


def test_seoul_summer_hour() -> None:
    """15 July, 13 to 14 KST: Ra 4.4744, Rso 3.3635, Rn 1.7935, ET0 0.5261 (own values)."""
    made = et.hourly(
        30.0, 60.0, 1.5, 2.5,
        latitude_deg=37.5714, longitude_deg=126.9658, elevation_m=86.0,
        day_of_year=196, utc_hour=4.5,
    )  # fmt: skip
    found = [float(getattr(made, name)) for name in ("ra", "rso", "rn", "et0")]
    assert found == pytest.approx([4.4744, 3.3635, 1.7935, 0.5261], abs=2e-4)


@pytest.mark.parametrize(("day", "energy"), [(15, 16.50), (172, 41.78), (196, 40.82), (355, 15.02)])
def test_seoul_days(day: int, energy: float) -> None:
    """Extraterrestrial radiation through the year (own values)."""
    assert float(sun.extraterrestrial_day(37.5714, day)) == pytest.approx(energy, abs=0.01)


def test_hours_of_a_day_add_up_to_the_day() -> None:
    """The hourly sun is the daily sun cut in pieces, wherever on earth and whenever."""
    for latitude in (-60.0, 0.0, 37.57, 70.0):
        for day in (1, 80, 172, 300):
            angle = sun.hour_angle(126.97, day, np.arange(24) + 0.5)
            hours = sun.extraterrestrial_hour(latitude, day, angle).sum()
            assert hours == pytest.approx(
                float(sun.extraterrestrial_day(latitude, day)), rel=0.01, abs=0.05
            )


@pytest.mark.parametrize(
    ("t", "rh", "vpd", "wet"),
    [
        (20, 50, 1.1691, 13.84),
        (30, 50, 2.1215, 22.06),
        (25, 60, 1.2671, 19.51),
        (5, 80, 0.1745, 3.61),
        (0, 90, 0.0611, -0.55),
        (35, 30, 3.9359, 21.62),
        (-5, 70, 0.1264, -6.29),
    ],
)
def test_moist_air(t: float, rh: float, vpd: float, wet: float) -> None:
    """Deficit and wet bulb (psychrometer equation) at sea level."""
    assert float(air.deficit_kpa(t, rh)) == pytest.approx(vpd, abs=1e-4)
    assert float(air.wet_bulb_c(t, rh)) == pytest.approx(wet, abs=0.01)


def test_saturated_air_has_one_temperature() -> None:
    """At 100 % the wet bulb is the air's own, and there is no deficit."""
    t = np.linspace(-30, 45, 16)
    np.testing.assert_allclose(air.wet_bulb_c(t, 100.0), t, atol=1e-9)
    np.testing.assert_array_equal(air.deficit_kpa(t, 100.0), 0.0)


def test_missing_stays_missing() -> None:
    """A NaN is never turned into a number."""
    assert np.isnan(air.wet_bulb_c(np.nan, 50.0))
    assert np.isnan(air.deficit_kpa(20.0, np.nan))
    made = et.hourly(20.0, 50.0, np.nan, 1.0, day_of_year=1, utc_hour=4.5, **NDIAYE)
    assert np.isnan(made.et0)


@pytest.mark.parametrize(
    ("soil", "capacity", "wilting"),
    [
        ("sand", (0.07, 0.17), (0.02, 0.07)),
        ("loamy_sand", (0.11, 0.19), (0.03, 0.10)),
        ("sandy_loam", (0.18, 0.28), (0.06, 0.16)),
        ("loam", (0.20, 0.30), (0.07, 0.17)),
        ("silt_loam", (0.22, 0.36), (0.09, 0.21)),
        ("clay_loam", (0.30, 0.37), (0.17, 0.24)),
        ("clay", (0.32, 0.40), (0.20, 0.24)),
    ],
)
def test_soils_of_table_19(
    soil: str, capacity: tuple[float, float], wilting: tuple[float, float]
) -> None:
    """Midpoints of the printed ranges; for clay loam those of silty clay loam."""
    assert water.SOILS[soil].field_capacity == pytest.approx(sum(capacity) / 2)
    assert water.SOILS[soil].wilting_point == pytest.approx(sum(wilting) / 2)


def test_soil_holds_and_drains() -> None:
    """Rain beyond field capacity drains; depletion never passes the wilting point."""
    full = water.step(10.0, total_mm=100.0, fraction=0.5, demand_mm=4.0, rain_mm=80.0)
    dry = water.step(100.0, total_mm=100.0, fraction=0.5, demand_mm=9.0, rain_mm=0.0)
    assert (full, dry) == (0.0, 100.0)
    assert water.total_available_mm(water.SOILS["loam"], 0.5) == pytest.approx(65.0)
    assert water.depletion_fraction(0.4, 5.0) == pytest.approx(0.4)
    assert water.depletion_fraction(0.4, 20.0) == pytest.approx(0.1)
