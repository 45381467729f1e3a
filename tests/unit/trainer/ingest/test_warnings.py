"""KMA's bulletins about warnings: recorded answers, the warnings that stand, and the archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_agent.contract.errors import NothingNew, ProtocolFault, Refused
from tests.fakes.clock import FakeClock
from tests.fakes.kma_warnings import BAD_KEY, ISSUE, LIFT, NO_DATA, TOO_FAR, WarningService, body
from trainer.ingest import warnings
from trainer.ingest.kma_client import KmaClient
from trainer.ingest.rebuild import rebuild
from trainer.ingest.source import Selection
from trainer.ingest.sources.http import Truncated
from trainer.ingest.sources.warnings import BULLETINS, parse
from trainer.ingest.warning_archive import WarningArchive, bundle
from trainer.workspace.config import Config
from trainer.workspace.kma_sources import Kma
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.official_warnings import OfficialWarning

ISSUED = datetime(2026, 9, 26, 2, 0, tzinfo=UTC)
NOON = datetime(2026, 9, 26, 3, 0, tzinfo=UTC)
ENV = {"KMA_SERVICE_KEY": "demo-key"}


def _standing(*rows: dict[str, Any], as_of: datetime = NOON) -> tuple[OfficialWarning, ...]:
    return bundle(parse(body(*rows), 200), as_of).warnings


def test_a_recorded_row_is_read_to_the_minute() -> None:
    """W3: times of Korea; numbers and texts as KMA sends them."""
    assert parse(body(ISSUE, LIFT), 200).rows() == [
        ("L1091340", 2, 1, "2", False, ISSUED, 127, None, NOON),
        ("L1091340", 2, 1, "7", False, ISSUED, 127, ISSUED, None),
    ]


def test_no_bulletin_is_an_answer() -> None:
    """W1: code 03, header only."""
    assert parse(NO_DATA, 200).equals(BULLETINS.to_frame())


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (BAD_KEY, Refused, "the key is not registered"),
        (TOO_FAR, ProtocolFault, "최대 조회 기간"),
        (body(ISSUE, total=2), Truncated, "1 of 2 rows"),
        (body(ISSUE | {"tmFc": 0}), ProtocolFault, "without tmFc"),
        (body(ISSUE | {"tmFc": 202613261100}), ProtocolFault, "tmFc is '202613261100'"),
        (body(ISSUE | {"endTime": "soon"}), ProtocolFault, "endTime is 'soon'"),
        (body(ISSUE | {"areaCode": "Jeju"}), ProtocolFault, "areaCode"),
        (body(ISSUE | {"warnVar": None}), ProtocolFault, "warnVar"),
        (body(ISSUE)[:-20], Truncated, "cut off"),
        (b"<html>", ProtocolFault, "a web page"),
        (
            b"<response><header><resultCode>00</resultCode></header></response>",
            ProtocolFault,
            "XML",
        ),
    ],
)
def test_an_answer_that_is_none_is_refused_whole(
    answer: bytes, kind: type[Exception], said: str
) -> None:
    """W2, W5: it says what is wrong."""
    with pytest.raises(kind, match=said):
        parse(answer, 200)


def test_issue_change_of_level_and_lift() -> None:
    """S2, S3: the level changes without an end, `since` stays, the end is KMA's."""
    first = ISSUE | {"command": "1", "warnStress": 0, "tmFc": 202609260800, "tmSeq": 120,
                     "startTime": 202609261000}  # fmt: skip
    (warning,) = _standing(first)
    assert (warning.kind, warning.name) == ("rain", "호우")
    assert (warning.level, warning.level_name) == ("advisory", "주의보")
    assert warning.effective_at - warning.since == timedelta(hours=2)
    (raised,) = _standing(first, ISSUE)
    assert (raised.level, raised.level_name, raised.since) == ("warning", "경보", warning.since)
    assert raised.ended_at is None
    end = LIFT | {"tmFc": 202609261130, "tmSeq": 128}
    (ended,) = _standing(first, ISSUE, end)
    assert (ended.ended_at, ended.since) == (NOON, warning.since)
    assert _standing(first, ISSUE, end, as_of=NOON + timedelta(days=3)) == ()


def test_an_end_and_a_start_in_one_bulletin_is_a_change() -> None:
    """S2: whatever the order of the rows, the end comes first."""
    start, end = ISSUE, LIFT | {"endTime": 202609261100}
    before = ISSUE | {"command": "1", "warnStress": 0, "tmFc": 202609260800, "tmSeq": 120}
    for rows in ((before, start, end), (before, end, start)):
        (warning,) = _standing(*rows)
        assert (warning.level, warning.ended_at) == ("warning", None)
        assert warning.since == ISSUED - timedelta(hours=3)


def test_the_end_of_one_kind_leaves_the_others() -> None:
    """S3: `allEndTime` names the zone and does not end its wind."""
    wind = ISSUE | {"warnVar": 1, "warnStress": 0}
    rain, still = sorted(_standing(ISSUE, wind, LIFT | {"tmSeq": 128}), key=lambda w: w.kind)
    assert (rain.kind, rain.ended_at) == ("rain", NOON)
    assert (still.kind, still.ended_at) == ("wind", None)


def test_unknown_kinds_levels_and_commands_are_told() -> None:
    """W4, S4: under a general name, with KMA's numbers."""
    (warning,) = _standing(ISSUE | {"warnVar": 77, "warnStress": 9, "command": "4"})
    assert (warning.kind, warning.name) == ("other", "77번 특보")
    assert (warning.level, warning.level_name) == ("unknown", "9단계")
    end = {"command": "9", "startTime": 0, "endTime": 202609261200, "tmSeq": 128}
    (ended,) = _standing(ISSUE, ISSUE | end)
    assert ended.ended_at == NOON


def test_a_void_bulletin_counts_for_nothing_and_the_sea_is_left_out() -> None:
    """S1: it comes again with `cancel`."""
    assert _standing(ISSUE, ISSUE | {"cancel": "1"}) == ()
    assert _standing(ISSUE | {"areaCode": "S1132211"}) == ()


@pytest.fixture
def service() -> WarningService:
    """KMA with one bulletin of today."""
    return WarningService(ISSUE)


@pytest.fixture
def client(tmp_path: Path, service: WarningService) -> KmaClient:
    """Access to it, at noon in Korea."""
    config = Config(kma=Kma(requests_per_second=100_000.0, retries=0))
    return KmaClient(
        Workspace(tmp_path, config), FakeClock(NOON), ENV, lambda _s: None, transport=service
    )


def test_sixty_days_are_asked_for_and_then_today(
    client: KmaClient, service: WarningService
) -> None:
    """An answer that says nothing new is not kept a second time."""
    assert warnings.plan(client, Selection()).requests == 61
    done = warnings.fetch(client, Selection())
    assert (done.days, done.added, len(service.asked)) == (61, 1, 61)
    done.check()
    again = warnings.fetch(client, Selection())
    assert service.asked[61:] == ["20260926"]
    with pytest.raises(NothingNew):
        again.check()
    assert len(client.workspace.raw.names("warning", 0)) == 1


def test_a_later_answer_has_a_higher_number_whatever_was_removed(
    client: KmaClient, service: WarningService
) -> None:
    """A damaged answer may be removed; none of the others is overwritten."""
    for number in range(3):
        service.rows.append(ISSUE | {"tmSeq": 128 + number})
        warnings.fetch(client, Selection())
    raw, folder = client.workspace.raw, client.workspace.root / "lake"
    (_, first), *others = raw.names("warning", 0)
    (folder / first).unlink()
    kept = [raw.read(name) for _, name in others]
    service.rows.append(LIFT | {"tmSeq": 131})
    warnings.fetch(client, Selection())
    assert [number for number, _ in raw.names("warning", 0)] == [2, 3, 4]
    assert [raw.read(name) for _, name in others] == kept


def test_an_answer_that_is_none_leaves_what_is_known(
    client: KmaClient, service: WarningService
) -> None:
    """The time of the last full answer stays, and the next run asks for all since then."""
    warnings.fetch(client, Selection())
    archive = WarningArchive(client.workspace.store)
    before = archive.since(ISSUED)
    assert isinstance(client.clock, FakeClock)
    client.clock.advance(2 * 86_400)
    service.instead = body(ISSUE | {"tmFc": 202609281100, "endTime": "?"})
    done = warnings.fetch(client, Selection())
    assert (done.days, done.added) == (0, 0)
    with pytest.raises(ProtocolFault, match="endTime"):
        done.check()
    assert archive.since(ISSUED).equals(before)
    assert archive.asked_until() == NOON
    service.instead = None
    assert warnings.fetch(client, Selection()).days == 3
    assert archive.asked_until() == client.clock.now()


def test_the_archive_is_made_again_from_the_answers(
    client: KmaClient, service: WarningService
) -> None:
    """A file that was lost or damaged comes back byte for byte."""
    service.rows.append(LIFT | {"tmSeq": 128})
    warnings.fetch(client, Selection())
    store = client.workspace.store
    name = "warnings/month=2026-09.parquet"
    content = store.read(name)
    store.write(name, b"rot")
    assert rebuild(client.workspace, NOON).replaced == (name,)
    assert store.read(name) == content
    assert WarningArchive(store).since(ISSUED).height == 2
    assert isinstance(pl.read_parquet(content or b""), pl.DataFrame)
