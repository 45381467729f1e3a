"""Bytes from outside about official warnings end in a documented error, whatever they are."""

from __future__ import annotations

import gzip
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.contract import official_warnings
from edge_agent.contract.errors import FarmError
from tests.fakes.forecasts import NOW
from tests.fakes.kma_warnings import ISSUE, LIFT, body
from trainer.ingest.sources import hub_warnings
from trainer.ingest.sources.warnings import parse
from trainer.ingest.warning_archive import bundle

if TYPE_CHECKING:
    from collections.abc import Callable

HUB = (
    "#START7777\nL1130100, 광주광역시 , L1130120, 광주동부 , 202608021600, 202608031100, 폭염 , "
    "중대경보, 변경, ,=\n#7777END\n"
).encode("cp949")


def _portal(content: bytes) -> None:
    made = bundle(parse(content, 200), NOW)
    official_warnings.decode(official_warnings.encode(made), "file")


def _hub(content: bytes) -> None:
    made = official_warnings.WarningBundle(as_of=NOW, warnings=hub_warnings.parse(content, 200))
    official_warnings.decode(official_warnings.encode(made), "file")


def _file(content: bytes) -> None:
    official_warnings.decode(content, "file")
    with suppress(OSError, EOFError):
        official_warnings.decode(gzip.compress(gzip.decompress(content)), "file")


WHOLE: dict[str, tuple[Callable[[bytes], None], bytes]] = {
    "portal": (_portal, body(ISSUE, LIFT)),
    "hub": (_hub, HUB),
    "file": (_file, official_warnings.encode(bundle(parse(body(ISSUE), 200), NOW))),
}


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
def test_damaged_bytes(name: str, data: st.DataObject) -> None:
    """Any bytes, and good ones of which some are replaced, cut or doubled."""
    check, whole = WHOLE[name]
    at = data.draw(st.integers(0, len(whole)))
    put = data.draw(st.binary(max_size=4) | st.just(whole[at:] * 2))
    skip = data.draw(st.integers(0, 8))
    for content in (data.draw(st.binary(max_size=200)), whole[:at] + put + whole[at + skip :]):
        with suppress(FarmError):
            check(content)


_VALUES = st.none() | st.integers() | st.text(max_size=14) | st.sampled_from(
    [0, 202609261100, "202609261100", "202699999999", 10**18, "L1091340", "2", 1.5, [], {}]
)  # fmt: skip


@given(changes=st.lists(st.dictionaries(st.sampled_from(sorted(ISSUE)), _VALUES), max_size=4))
def test_any_values_in_rows(changes: list[dict[str, Any]]) -> None:
    """Whatever is not refused can be published and read again."""
    with suppress(FarmError):
        _portal(body(*(ISSUE | change for change in changes)))


@given(fields=st.lists(st.text("L0123456789SQ폭염경보예비 ", max_size=13), min_size=8, max_size=12))
def test_any_fields_in_rows_of_the_hub(fields: list[str]) -> None:
    """The same for the hub."""
    with suppress(FarmError):
        _hub(f"#START7777\n{','.join(fields)}=\n#7777END\n".encode())


def test_good_bytes_are_read() -> None:
    """Else the tests above could not fail."""
    for check, whole in WHOLE.values():
        check(whole)
    assert msgspec.json.decode(gzip.decompress(WHOLE["file"][1]))["warnings"]
