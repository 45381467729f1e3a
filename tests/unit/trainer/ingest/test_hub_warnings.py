"""Warnings in force from the API hub: a recorded row, bytes of EUC-KR, and what ended since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.contract.errors import ProtocolFault, Refused
from edge_agent.contract.official_warnings import WarningBundle
from trainer.ingest.sources.http import Truncated
from trainer.ingest.sources.hub_warnings import parse
from trainer.ingest.warning_archive import carried_on

ROW = (
    "L1130100, 광주광역시 , L1130120, 광주동부 , 202608021600, 202608031100, 폭염 , 중대경보, "
    "변경, ,="
)
"""As it was received on 2 August 2026."""
ISSUED = datetime(2026, 8, 2, 7, 0, tzinfo=UTC)


def body(*rows: str, encoding: str = "cp949") -> bytes:
    """An answer of the hub."""
    head = "#START7777\n# REG_UP, REG_UP_KO, REG_ID, REG_KO, TM_FC, TM_EF, WRN, LVL, CMD, ED_TM\n"
    return (head + "".join(f"{row}\n" for row in rows) + "#7777END\n").encode(encoding)


@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_a_recorded_row_is_read_to_the_byte(encoding: str) -> None:
    """N1, N3: in both encodings."""
    (warning,) = parse(body(ROW, encoding=encoding), 200)
    assert (warning.zone, warning.kind, warning.name) == ("L1130120", "heat", "폭염")
    assert (warning.level, warning.level_name) == ("severe", "중대경보")
    assert (warning.announced_at, warning.since) == (ISSUED, ISSUED)
    assert warning.effective_at == datetime(2026, 8, 3, 2, 0, tzinfo=UTC)
    assert warning.ended_at is None


def test_no_row_is_no_warning() -> None:
    """N1: header lines alone."""
    assert parse(body(), 200) == ()
    assert parse(b"#START7777\n# REG_UP\n", 200) == ()


def test_preliminary_warnings_and_the_sea_are_left_out() -> None:
    """N4."""
    assert parse(body(ROW.replace("중대경보", "예비")), 200) == ()
    assert parse(body(ROW.replace("L1130120", "S1130120")), 200) == ()


def test_unknown_words_are_kept() -> None:
    """N5: a kind without a name here, and a level."""
    (warning,) = parse(body(ROW.replace("폭염", "우박").replace("중대경보", "특급")), 200)
    assert (warning.kind, warning.name) == ("other", "우박")
    assert (warning.level, warning.level_name) == ("unknown", "특급")
    (usual,) = parse(body(ROW.replace("중대경보", "주의")), 200)
    assert (usual.level, usual.level_name) == ("advisory", "주의보")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (body(ROW[:-1]), Truncated, "cut off"),
        (body(ROW.replace("202608021600", "soon")), ProtocolFault, "unreadable row: L1130100"),
        (body(ROW.replace("L1130120", "L11")), ProtocolFault, "unreadable row"),
        (body(ROW.replace("변경,", "변경, 1, 2, 3,")), ProtocolFault, "unreadable row"),
        (body("L1130100, x,="), ProtocolFault, "unreadable row"),
        (b"<html>", ProtocolFault, "unexpected answer"),
        (
            '{"result":{"status":403,"message":"활용신청이 필요한 API 입니다."}}'.encode(),
            Refused,
            "활용신청",
        ),
    ],
)
def test_an_answer_that_is_none_is_refused_whole(
    answer: bytes, kind: type[Exception], said: str
) -> None:
    """N2: what is left out would count as lifted."""
    with pytest.raises(kind, match=said):
        parse(answer, 200)


def test_what_is_listed_no_more_has_ended() -> None:
    """S5: once, at the time of the first list without it; a change of level is no end."""
    first = carried_on(parse(body(ROW), 200), None, ISSUED)
    lower = ROW.replace("중대경보", "경보").replace("202608021600", "202608022200")
    (changed,) = carried_on(parse(body(lower), 200), first, ISSUED + timedelta(hours=6)).warnings
    assert (changed.level, changed.since) == ("warning", ISSUED)
    gone = carried_on((), first, ISSUED + timedelta(hours=7))
    assert gone.warnings[0].ended_at == ISSUED + timedelta(hours=7)
    again = carried_on((), gone, ISSUED + timedelta(hours=8))
    assert again.warnings == gone.warnings
    late = ISSUED + timedelta(days=3)
    assert carried_on((), gone, late) == WarningBundle(as_of=late, warnings=())
