"""The REST interface: answers, pages, exports, tags, requests."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import polars as pl
import pytest

from edge_agent.alerts.evidence import Evidence
from edge_agent.contract.errors import ConfigError
from edge_agent.core.events import LoopBusy
from edge_agent.core.runtime import DATABASE
from edge_agent.web.api import serialize
from edge_agent.web.api.openapi import document
from edge_agent.web.api.routes import ROUTES
from edge_agent.web.app import Application
from edge_agent.web.snapshot import SnapshotCache
from tests.fakes.shown_farm import NOON, ShownFarm
from tests.fakes.tuned import tuning_of
from tests.fakes.web_client import WebClient

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[4] / "docs"
TOKEN = "a long and secret token"
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShownFarm]:
    """A farm after 27 hours of work."""
    made = ShownFarm(tmp_path_factory.mktemp("farm"))
    made.work()
    yield made
    made.close()


@pytest.fixture
def client(farm: ShownFarm) -> WebClient:
    """A client on this machine; no token is configured."""
    return WebClient(_application(farm, None))


@pytest.fixture
def trusted(farm: ShownFarm) -> WebClient:
    """A client that sends the configured token."""
    made = WebClient(_application(farm, TOKEN))
    made.headers |= WITH_TOKEN
    return made


def _application(farm: ShownFarm, token: str | None) -> Application:
    database = farm.runtime.state / DATABASE
    return Application(farm.snapshots, farm.clock, database, lambda: token, farm.ask)


def test_latest_is_the_forecast_of_the_last_cycle(client: WebClient, farm: ShownFarm) -> None:
    """48 hours of both targets with their interval, the raised alerts and the advice."""
    latest = client.get("/api/latest").json
    assert farm.decision is not None
    assert latest["issued_at"] == "2026-07-18T03:10:00Z"
    hours = latest["forecast"]["temperature"]["hours"]
    assert [hour["lead_h"] for hour in hours] == list(range(1, 49))
    assert all(hour["p10"] < hour["value"] < hour["p90"] for hour in hours)
    assert latest["forecast"]["humidity"]["unit"] == "%"
    assert latest["alerts_raised"] == ["heat", "vpd-high"]
    assert latest["advice"]["crop"] == "tomato"
    assert latest["model_release"] == 7


@pytest.mark.parametrize("route", [r for r in ROUTES if r.answer], ids=lambda route: route.path)
def test_answers_are_what_the_document_says(client: WebClient, route: object) -> None:
    """Every JSON answer fits its schema in docs/openapi.json."""
    path = route.path  # type: ignore[attr-defined]
    whole = json.loads(document())
    content = whole["paths"][path]["get"]["responses"]["200"]["content"]
    schema = content["application/json"]["schema"] | {"components": whole["components"]}
    jsonschema.validate(client.get(path).json, schema)


def test_document_in_docs_is_the_one_that_is_made() -> None:
    """docs/openapi.json says what the program does (`python -m tools.openapi` writes it)."""
    assert (DOCS / "openapi.json").read_bytes() == document()


def test_the_release_says_what_is_fitted_to_the_farm(client: WebClient, farm: ShownFarm) -> None:
    """Targets, newest hour of the history and figures; null where the release has nothing."""
    assert client.get("/api/release").json["tuned"] is None
    assert farm.snapshots.newest is not None
    tuned = replace(farm.snapshots.newest, tuning=tuning_of(farm.models.manifest))
    snapshots = SnapshotCache()
    snapshots.set_snapshot(tuned)
    own = WebClient(Application(snapshots, farm.clock, farm.runtime.state, lambda: None, farm.ask))
    assert own.get("/api/release").json["tuned"] == {
        "targets": ["air_temperature_c", "relative_humidity_pct"],
        "trained_to": "2026-05-31T23:00:00Z",
        "scores": {name: {"rmse_ratio_24h": 0.93} for name in farm.models.manifest.models},
    }


def test_alerts_say_why(client: WebClient) -> None:
    """A raised alert names its chance, its hour, its inputs and the model; others say where."""
    alerts = {alert["rule"]: alert for alert in client.get("/api/alerts").json["alerts"]}
    heat = alerts["heat"]
    assert (heat["level"], heat["known"]) == ("raised", True)
    assert "가능성" in heat["text"]
    why = heat["why"]
    assert 1 >= why["probability"] >= why["needed"] > 0
    assert why["inputs"] == "station:108"
    assert why["origin"] == "2026-07-18T03:00:00Z"
    assert why["model_release"] == 7
    assert (alerts["frost"]["level"], alerts["frost"]["text"]) == ("clear", None)
    assert (alerts["house-hot"]["level"], alerts["house-hot"]["text"]) == ("clear", None)
    assert alerts["house-hot"]["why"]["inputs"] == "sensor:indoor"
    assert alerts["house-hot"]["why"]["value"] == 29.4


def test_what_is_unknown_is_not_raised(farm: ShownFarm) -> None:
    """An alert whose data stopped is in one list alone, and has no text."""
    view = farm.snapshots.newest
    assert view is not None
    view = replace(view, rules=tuple(replace(one, evidence=Evidence()) for one in view.rules))
    health = serialize.health(view, None, NOON)
    assert "heat" in health.rules_unknown
    assert serialize.latest(view).alerts_raised == ()
    assert {alert.text for alert in serialize.alerts(view).alerts} == {None}


def test_earlier_forecasts_come_in_pages(client: WebClient) -> None:
    """Pages of five give every forecast once, newest first, and end."""
    issued, target = [], "/api/forecasts?limit=5"
    while True:
        page = client.get(target).json
        issued += [kept["issued_at"] for kept in page["forecasts"]]
        if page["next"] is None:
            break
        target = f"/api/forecasts?limit=5&before={page['next']}"
    assert len(issued) == len(set(issued)) == 27
    assert issued == sorted(issued, reverse=True)


def test_edges_come_in_pages(client: WebClient) -> None:
    """Pages of one give every edge once, newest first, and end."""
    numbers, target = [], "/api/alerts/history?limit=1"
    while True:
        page = client.get(target).json
        numbers += [edge["number"] for edge in page["edges"]]
        if page["next"] is None:
            break
        target = f"/api/alerts/history?limit=1&before={page['next']}"
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) >= 2


def test_observations_come_in_pages(client: WebClient) -> None:
    """Pages over two sources give every hour of each once, in order, and end."""
    start = f"{NOON - timedelta(hours=30):%Y-%m-%dT%H:%M:%SZ}"
    whole = client.get(f"/api/observations?from={start}&limit=2000").json
    assert set(whole["sources"]) == {"sensor:indoor", "station:108"}
    found, target = [], f"/api/observations?from={start}&limit=7"
    while True:
        page = client.get(target).json
        found += page["hours"]
        if page["next"] is None:
            break
        target = f"/api/observations?from={page['next']}&limit=7"
    assert found == whole["hours"]
    assert len(found) == 60


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_observations_as_a_file(client: WebClient, farm: ShownFarm, form: str) -> None:
    """A file holds the hours of the store, nulls as nulls."""
    heard = client.get(f"/api/observations.{form}?source=station:108")
    read = pl.read_csv if form == "csv" else pl.read_parquet
    frame = read(io.BytesIO(heard.content))
    kept = farm.runtime.store.hourly("station:108", NOON - timedelta(days=31), NOON)
    assert frame["air_temperature_c"].to_list() == kept["air_temperature_c"].to_list()
    assert frame["wind_speed_ms"].null_count() == kept.height
    assert heard.headers["Content-Type"].startswith(("text/csv", "application/vnd.apache.parquet"))


def test_forecast_as_a_file(client: WebClient) -> None:
    """The file has every quantile of both targets."""
    frame = pl.read_parquet(io.BytesIO(client.get("/api/forecast.parquet").content))
    assert frame.height == 96
    assert {"valid_at", "quantity", "unit", "value", "p10", "p90"} <= set(frame.columns)
    assert client.get("/api/forecast.csv").content.startswith(b"valid_at,quantity,unit,value,")


@pytest.mark.parametrize(
    "target",
    [
        "/api/forecasts?limit=0",
        "/api/forecasts?limit=many",
        "/api/forecasts?before=yesterday",
        "/api/forecasts?before=2026-07-18T03:00:00",
        "/api/forecasts?limit=1&limit=2",
        "/api/latest?what=else",
        "/api/observations?source=../../etc/passwd",
        "/api/alerts/history?before=99999999999999999999",
        "/api/alerts/history?%00",
        "/?lang=fr",
        "/api/observations.csv?days=401",
        "/api/forecasts?before=1752807600",
        "/api/forecasts?before=null",
    ],
)
def test_a_wrong_query_is_refused(client: WebClient, target: str) -> None:
    """What is not understood is answered with 400 and a reason, never with a guess."""
    heard = client.get(target)
    assert heard.status == 400
    assert heard.json["error"].startswith("query: ")


def test_unchanged_answers_are_not_sent_again(client: WebClient, farm: ShownFarm) -> None:
    """An ETag sent back gives 304 without a body, until another cycle was worked."""
    first = client.get("/api/latest")
    again = client.get("/api/latest", if_none_match=first.headers["ETag"])
    assert (again.status, again.content) == (304, b"")
    farm.clock.advance(60)
    farm.decision = farm.runtime.run_cycle()[0]
    farm.snapshots.update(farm.runtime, farm.decision)
    after = client.get("/api/latest", if_none_match=first.headers["ETag"])
    assert after.status == 200


def test_commands_are_worked_with_the_token(trusted: WebClient, farm: ShownFarm) -> None:
    """A request reaches the loop with its body, and its outcome comes back."""
    body = b'{"rule": "heat"}'
    json_type = {"content-type": "application/json"}
    done = trusted.ask("POST", "/api/commands/ack", body, json_type)
    assert (done.status, done.json["ok"]) == (200, True)
    assert farm.asked[-1] == ("ack", {"rule": "heat"})
    alerts = trusted.get("/api/alerts").json["alerts"]
    assert [alert["rule"] for alert in alerts if alert["seen"]] == ["heat"]
    refused = trusted.ask("POST", "/api/commands/ack", b'{"rule": "no"}', json_type)
    assert (refused.status, refused.json["ok"]) == (409, False)


def test_a_body_that_is_no_json_type_is_refused(trusted: WebClient) -> None:
    """A form of another site cannot be taken for a request."""
    body, kind = b'{"rule": "heat"}', {"content-type": "text/plain"}
    assert trusted.ask("POST", "/api/commands/ack", body, kind).status == 415


def test_a_busy_loop_answers_202(farm: ShownFarm) -> None:
    """Where the loop does not come in time the request is taken, and that is said."""

    def ask(_: str, __: bytes) -> None:
        raise LoopBusy

    application = Application(
        farm.snapshots, farm.clock, farm.runtime.state / DATABASE, lambda: TOKEN, ask
    )
    heard = WebClient(application).ask("POST", "/api/commands/predict", headers=WITH_TOKEN)
    assert (heard.status, heard.json["ok"]) == (202, True)


def test_too_many_commands_answer_429(farm: ShownFarm) -> None:
    """The desk's pace holds for HTTP too."""
    application = Application(
        farm.snapshots, farm.clock, farm.runtime.state / DATABASE, lambda: TOKEN, lambda _, __: None
    )
    heard = WebClient(application).ask("POST", "/api/commands/predict", headers=WITH_TOKEN)
    assert heard.status == 429
    assert heard.headers["Retry-After"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client: WebClient, method: str) -> None:
    """What is read is only read."""
    heard = client.ask(method, "/api/latest")
    assert (heard.status, heard.headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_no_body(client: WebClient) -> None:
    """HEAD gives the headers of GET alone."""
    heard, full = client.ask("HEAD", "/api/release"), client.get("/api/release")
    assert heard.content == b""
    assert heard.headers["Content-Length"] == str(len(full.content))


def test_before_the_first_cycle(farm: ShownFarm) -> None:
    """Nothing is known yet: 503 with a time to come back, alive but not ok, a page that waits."""
    database = farm.runtime.state / DATABASE
    client = WebClient(Application(SnapshotCache(), farm.clock, database, lambda: None, farm.ask))
    heard = client.get("/api/latest")
    assert (heard.status, "Retry-After" in heard.headers) == (503, True)
    assert client.get("/health").json == {"ok": False}
    assert client.get("/").status == 200
    assert client.get("/metrics").status == 200


def test_a_token_that_cannot_be_read_locks_the_door(farm: ShownFarm) -> None:
    """A token file that is gone refuses everything, and tells no path."""

    def gone() -> str:
        raise ConfigError("/etc/edge-agent/token: cannot be read")

    database = farm.runtime.state / DATABASE
    client = WebClient(Application(farm.snapshots, farm.clock, database, gone, farm.ask))
    heard = client.get("/api/latest")
    assert heard.status == 503
    assert b"token" not in heard.content


def test_no_answer_holds_a_secret(trusted: WebClient) -> None:
    """The token is in no page, answer or header."""
    for route in ROUTES:
        heard = trusted.get(route.path)
        assert TOKEN not in repr((heard.headers, heard.content)), route.path


def test_times_are_utc(client: WebClient) -> None:
    """Times of an answer parse as UTC."""
    at = datetime.fromisoformat(client.get("/api/health").json["at"])
    assert at.utcoffset() == timedelta(0)


def test_health_tells_the_age_of_a_reading_now(farm: ShownFarm) -> None:
    """Between two snapshots, and where no new one comes, a reading grows older (O1)."""
    view = farm.snapshots.newest
    assert view is not None
    soon, late = (
        serialize.health(view, None, NOON + timedelta(seconds=s)).sensors[0] for s in (30, 901)
    )
    assert (soon.age_s, soon.fresh) == (30, True)
    assert (late.age_s, late.fresh) == (901, False)
