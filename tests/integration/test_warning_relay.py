"""`trainer warnings`: from KMA's answers to the signed file in the depot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import FarmError, ProtocolFault, Refused
from edge_agent.contract.official_warnings import PATH, decode
from tests.fakes.clock import FakeClock
from tests.fakes.kma_warnings import BAD_KEY, ISSUE, LIFT, WarningService, body
from trainer.ingest.kma_client import KmaClient
from trainer.relay import relay_warnings
from trainer.setup import create
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.official_warnings import WarningBundle

NOON = datetime(2026, 9, 26, 3, 0, tzinfo=UTC)
ENV = {"KMA_SERVICE_KEY": "demo-key"}


@pytest.fixture
def service() -> WarningService:
    """KMA with a warning of an hour ago."""
    return WarningService(ISSUE)


@pytest.fixture
def client(tmp_path: Path, service: WarningService) -> KmaClient:
    """A trainer with keys at noon in Korea."""
    create(tmp_path / "work")
    env = {"TRAINER__KMA__RETRIES": "0", "TRAINER__KMA__REQUESTS_PER_SECOND": "10000"}
    workspace = Workspace.open(tmp_path / "work" / "trainer.toml", env)
    return KmaClient(workspace, FakeClock(NOON), ENV, lambda _s: None, transport=service)


def _published(client: KmaClient) -> WarningBundle:
    folder = client.workspace.depot / "targets" / PATH
    files = sorted(folder.parent.glob("*.latest.json.gz"), key=lambda path: path.stat().st_mtime_ns)
    return decode(files[-1].read_bytes(), PATH)


def _later(client: KmaClient, minutes: int) -> None:
    assert isinstance(client.clock, FakeClock)
    client.clock.advance(60 * minutes)


def test_a_change_is_published_at_once_and_silence_after_half_an_hour(
    client: KmaClient, service: WarningService
) -> None:
    """Farms see a new warning at the next poll, and otherwise that KMA is still asked."""
    first = relay_warnings(client)
    assert (first.published, first.added, first.fault) == (True, 1, None)
    assert [warning.level_name for warning in _published(client).warnings] == ["경보"]
    _later(client, 10)
    assert not relay_warnings(client).published
    assert _published(client).as_of == NOON
    service.rows.append(LIFT | {"tmFc": 202609261210, "tmSeq": 128, "endTime": 202609261230})
    _later(client, 10)
    assert relay_warnings(client).published
    (ended,) = _published(client).warnings
    assert ended.ended_at == datetime(2026, 9, 26, 3, 30, tzinfo=UTC)
    _later(client, 30)
    assert relay_warnings(client).published
    assert _published(client).as_of == client.clock.now()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(BAD_KEY, Refused), (body(ISSUE | {"warnVar": "rain"}), ProtocolFault)],
)
def test_a_service_that_fails_leaves_what_the_farms_have(
    client: KmaClient, service: WarningService, answer: bytes, kind: type[FarmError]
) -> None:
    """The fault is told, and the file keeps the time of the last full answer."""
    relay_warnings(client)
    service.instead = answer
    _later(client, 60)
    done = relay_warnings(client)
    assert (done.published, type(done.fault)) == (False, kind)
    assert _published(client).as_of == NOON


def test_the_hub_takes_over_where_the_portal_fails(
    client: KmaClient, service: WarningService
) -> None:
    """A key of the API hub: what it lists is published, and the fault of the other is told."""
    relay_warnings(client)
    both = replace(client, env=ENV | {"KMA_HUB_KEY": "k"})
    service.instead = BAD_KEY
    service.in_force = (
        "#START7777\nL1090000, 제주도 , L1091340, 제주시중산간, 202609261100, 202609261100, "
        "호우 , 경보, 변경, ,=\n#7777END\n"
    ).encode("cp949")
    _later(client, 10)
    done = relay_warnings(both)
    assert (done.published, type(done.fault)) == (False, Refused)
    service.in_force = b"#START7777\n#7777END\n"
    _later(client, 10)
    done = relay_warnings(replace(both, env={"KMA_HUB_KEY": "k"}))
    assert (done.published, done.fault) == (True, None)
    (ended,) = _published(client).warnings
    assert ended.ended_at == client.clock.now()
    service.in_force = b"?"
    _later(client, 10)
    again = relay_warnings(both)
    assert (again.published, type(again.fault)) == (False, Refused)
    assert again.bundle.warnings == (ended,)


def test_before_the_first_full_answer_nothing_is_published(
    client: KmaClient, service: WarningService
) -> None:
    """An empty file would say that there is no warning."""
    service.instead = BAD_KEY
    with pytest.raises(Refused, match="not registered"):
        relay_warnings(client)
    assert not (client.workspace.depot / "targets" / PATH).parent.exists()
