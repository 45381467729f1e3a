"""A farm's own correction: its terms, its numbers between knots, its shard, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from edge_agent.contract import site_correction
from edge_agent.contract.errors import BadData
from edge_agent.contract.feature_table import NAMES
from edge_agent.contract.manifest import FileRef
from edge_agent.contract.schema import AIR_TEMPERATURE, TARGETS
from edge_agent.contract.site_correction import KNOTS, TERMS, Correction, Shard
from tests.fakes.loaded import manifest
from tests.fakes.tuned import correction, tuning_of, with_tunings

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASE = manifest()
MODEL = RELEASE.models[AIR_TEMPERATURE].file.sha256
DEVICE = "farm/edge-1"


def matrix(**columns: float) -> np.ndarray:
    """One row, NaN where nothing is given."""
    row = np.full((1, len(NAMES)), np.nan, np.float32)
    for name, value in columns.items():
        row[0, NAMES.index(name)] = value
    return row


def at_three_in_may(**anomalies: float) -> np.ndarray:
    """A row whose target hour has the angles 40 (hour) and 130 degrees (season)."""
    hour, season = np.radians([40.0, 130.0])
    return matrix(
        target_hour_sin=np.sin(hour),
        target_hour_cos=np.cos(hour),
        target_season_sin=np.sin(season),
        target_season_cos=np.cos(season),
        **anomalies,
    )


ANOMALIES = {
    "temperature_anomaly": 1.5,
    "humidity_anomaly": -2.0,
    "same_hour_temperature_anomaly_0d": 0.5,
    "same_hour_humidity_anomaly_0d": 7.0,
}


def test_terms_stand_in_their_order() -> None:
    """Each column is what its name says, of the target hour."""
    hour, season = np.radians([40.0, 130.0])
    expected = {
        "one": 1.0,
        "hour_sin": np.sin(hour),
        "hour_cos": np.cos(hour),
        "half_day_sin": np.sin(2 * hour),
        "half_day_cos": np.cos(2 * hour),
        "season_sin": np.sin(season),
        "season_cos": np.cos(season),
        "season_sin_hour_sin": np.sin(season) * np.sin(hour),
        "season_sin_hour_cos": np.sin(season) * np.cos(hour),
        "season_cos_hour_sin": np.cos(season) * np.sin(hour),
        "season_cos_hour_cos": np.cos(season) * np.cos(hour),
        **ANOMALIES,
    }
    made = site_correction.terms(at_three_in_may(**ANOMALIES))
    assert made.dtype == np.float64
    assert dict(zip(TERMS, made[0], strict=True)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ANOMALIES)
def test_an_anomaly_that_is_not_known_counts_as_none(name: str) -> None:
    """It adds nothing, and leaves the other terms as they are."""
    known = site_correction.terms(at_three_in_may(**ANOMALIES))
    less = site_correction.terms(
        at_three_in_may(**{k: v for k, v in ANOMALIES.items() if k != name})
    )
    expected = known.copy()
    expected[0, TERMS.index(name)] = 0.0
    assert (less == expected).all()


def _sloped() -> Correction:
    """Weight of the offset = spread = the knot's own lead."""
    rest = (0.0,) * (len(TERMS) - 1)
    knots = tuple(float(knot) for knot in KNOTS)
    return Correction(MODEL, tuple((knot, *rest) for knot in knots), knots)


def test_numbers_are_linear_between_knots_and_hold_beyond() -> None:
    """At every lead of a forecast, and at none that lies outside the knots."""
    leads = np.array([0, *range(1, 49), 60])
    expected = np.clip(leads, KNOTS[0], KNOTS[-1])
    rows = np.repeat(at_three_in_may(), len(leads), axis=0)
    assert site_correction.change(_sloped(), rows, leads) == pytest.approx(expected)
    assert site_correction.spread(_sloped(), leads) == pytest.approx(expected)


def test_a_change_is_the_sum_of_weighted_terms() -> None:
    """Every term takes part with its own weight."""
    weights = tuple(float(w) for w in np.linspace(-1, 1, len(TERMS)))
    made = Correction(MODEL, (weights,) * len(KNOTS), (1.0,) * len(KNOTS))
    row = at_three_in_may(**ANOMALIES)
    assert site_correction.change(made, row, np.array([5])) == pytest.approx(
        [float(site_correction.terms(row)[0] @ weights)]
    )


def _release_of(shards: int) -> Any:  # noqa: ANN401 - Manifest
    refs = tuple(FileRef(f"models/tuning/{n}/farms.json", "0" * 64, 1) for n in range(shards))
    return msgspec.structs.replace(RELEASE, tuned=refs)


def test_a_name_always_falls_into_the_same_shard() -> None:
    """Known ahead for good: a device and the trainer must agree, whatever their versions."""
    release = _release_of(8)
    names = ("farm/edge-1", "farm/edge-2", "서울/온실-1", "")
    found = [site_correction.shard_of(release, name) for name in names]
    places = [release.tuned.index(one) for one in found]
    assert places == [4, 1, 6, 4]
    assert site_correction.shard_of(RELEASE, DEVICE) is None


def test_names_spread_evenly_over_shards() -> None:
    """1,000 farms in 32 shards: none holds more than twice its share."""
    release = _release_of(32)
    held = [site_correction.shard_of(release, f"farm-{n}/edge-1") for n in range(1000)]
    counts = [held.count(one) for one in release.tuned]
    assert min(counts) > 0
    assert max(counts) <= 2 * 1000 / 32


def test_a_device_takes_what_all_need_and_its_own_shard() -> None:
    """Nothing of the other shards; without tunings just the models and golden windows."""
    release = _release_of(4)
    own = site_correction.shard_of(release, DEVICE)
    assert site_correction.files_of(release, DEVICE) == (*release.files(), own)
    assert site_correction.files_of(RELEASE, DEVICE) == RELEASE.files()


def test_round_trip_and_canonical_bytes() -> None:
    """Bytes give the shard back to the last bit, equal shards give equal bytes."""
    one, two = (tuning_of(RELEASE, offset=offset) for offset in (0.1 + 0.2, 1e-17))
    shard = Shard(site_correction.FORMAT, {DEVICE: one, "farm/edge-2": two})
    turned = Shard(site_correction.FORMAT, {"farm/edge-2": two, DEVICE: one})
    assert site_correction.encode(shard) == site_correction.encode(turned)
    assert site_correction.decode(site_correction.encode(shard), RELEASE) == shard


def test_the_shard_of_a_device_holds_its_tuning() -> None:
    """Whoever splits tunings by `shard_of` finds each again where a device looks."""
    tunings = {f"farm/edge-{n}": tuning_of(RELEASE, offset=n / 10) for n in range(30)}
    release, files = with_tunings(RELEASE, tunings, 8)
    for device, made in tunings.items():
        ref = site_correction.shard_of(release, device)
        assert ref is not None
        assert site_correction.decode(files[ref.path], release).tunings[device] == made


def _with(**changes: object) -> Callable[[Correction], Correction]:
    return lambda made: msgspec.structs.replace(made, **changes)


ROW = (0.0,) * len(TERMS)
FAULTS = {
    "another model": (_with(model="0" * 64), "made for another model"),
    "no weights": (_with(weights=()), "8 rows of 15 weights"),
    "a knot less": (_with(weights=(ROW,) * 7), "8 rows of 15 weights"),
    "a term more": (_with(weights=((*ROW, 0.0),) * 8), "8 rows of 15 weights"),
    "ragged": (_with(weights=(*(ROW,) * 7, ROW[1:])), "8 rows of 15 weights"),
    "huge": (_with(weights=(*(ROW,) * 7, (*ROW[1:], 100.1))), "a weight is beyond 100"),
    "huge below": (_with(weights=(*(ROW,) * 7, (*ROW[1:], -1e300))), "a weight is beyond 100"),
    "a factor less": (_with(spread=(1.0,) * 7), "8 factors"),
    "no spread": (_with(spread=(0.0, *(1.0,) * 7)), "not within 0.1 to 10"),
    "spread turned": (_with(spread=(-1.0, *(1.0,) * 7)), "not within 0.1 to 10"),
    "spread without end": (_with(spread=(10.1, *(1.0,) * 7)), "not within 0.1 to 10"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_correction_that_does_not_fit_is_refused(name: str) -> None:
    """The text names device, target and what is wrong."""
    change, says = FAULTS[name]
    corrections = {AIR_TEMPERATURE: change(correction(MODEL))}
    made = msgspec.structs.replace(tuning_of(RELEASE), corrections=corrections)
    content = site_correction.encode(Shard(site_correction.FORMAT, {DEVICE: made}))
    with pytest.raises(BadData, match=rf"tuning of {DEVICE}: {AIR_TEMPERATURE}: .*{says}"):
        site_correction.decode(content, RELEASE)


def test_the_limits_themselves_pass() -> None:
    """Largest weight, both ends of the spread."""
    weights = ((site_correction.LARGEST_WEIGHT, *ROW[1:]), *(ROW,) * 7)
    made = Correction(MODEL, weights, (*site_correction.SPREADS, *(1.0,) * 6))
    shard = Shard(
        site_correction.FORMAT,
        {DEVICE: msgspec.structs.replace(tuning_of(RELEASE), corrections={AIR_TEMPERATURE: made})},
    )
    assert site_correction.decode(site_correction.encode(shard), RELEASE) == shard


@pytest.mark.parametrize("target", ["soil_temperature_c", "rain_mm"])
def test_a_correction_of_no_model_is_refused(target: str) -> None:
    """A release has models of its targets only."""
    made = msgspec.structs.replace(tuning_of(RELEASE), corrections={target: correction(MODEL)})
    with pytest.raises(BadData, match=f"{target}: the release has no such model"):
        site_correction.decode(
            site_correction.encode(Shard(site_correction.FORMAT, {DEVICE: made})), RELEASE
        )
    less = msgspec.structs.replace(RELEASE, models={})
    whole = site_correction.encode(Shard(site_correction.FORMAT, {DEVICE: tuning_of(RELEASE)}))
    with pytest.raises(BadData, match="the release has no such model"):
        site_correction.decode(whole, less)


def _document() -> dict[str, Any]:
    shard = Shard(site_correction.FORMAT, {DEVICE: tuning_of(RELEASE)})
    document: dict[str, Any] = json.loads(site_correction.encode(shard))
    return document


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "null", '"1"'])
def test_what_is_no_number_is_refused(number: str) -> None:
    """JSON has no such number, and none is made of another word."""
    document = _document()
    document["tunings"][DEVICE]["corrections"][TARGETS[0]]["weights"][0][0] = "HERE"
    content = json.dumps(document).replace('"HERE"', number).encode()
    with pytest.raises(BadData, match=r"^tuning: "):
        site_correction.decode(content, RELEASE)


@pytest.mark.parametrize("text", ["", "June", "2026-05-31T23:00:00", "2026-05-31T23:00:00+09:00"])
def test_the_end_of_the_history_is_a_time_in_utc(text: str) -> None:
    """People are told of it in their own time."""
    document = _document()
    document["tunings"][DEVICE]["trained_to"] = text
    with pytest.raises(BadData, match=f"tuning of {DEVICE}: trained_to .* is no time in UTC"):
        site_correction.decode(json.dumps(document).encode(), RELEASE)


@pytest.mark.parametrize("place", ["", "tunings/{}", "tunings/{}/corrections/{}"])
def test_unknown_fields_are_refused_everywhere(place: str) -> None:
    """A field this agent does not know may change what the others mean."""
    document = part = _document()
    names = iter((DEVICE, TARGETS[0]))
    for key in filter(None, place.split("/")):
        part = part[next(names) if key == "{}" else key]
    part["surprise"] = 1
    with pytest.raises(BadData, match="surprise"):
        site_correction.decode(json.dumps(document).encode(), RELEASE)


def test_another_format_asks_for_another_agent() -> None:
    """A shard of the future is not guessed at."""
    content = json.dumps(_document() | {"schema": "farm-edge/tuning/2"}).encode()
    with pytest.raises(BadData, match="this agent reads 'farm-edge/tuning/1': update the agent"):
        site_correction.decode(content, RELEASE)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema":"\xff"}', b"[" * 100_000]
)
def test_other_bytes_are_refused(content: bytes) -> None:
    """What is not a JSON object of this form is bad data, never another error."""
    with pytest.raises(BadData, match=r"^tuning: "):
        site_correction.decode(content, RELEASE)
