"""Results of all farms in one file, and their summary: one packed line a farm.

    runs/<run>/farms.jsonl.gz   `one_farm.FarmResult`: what the gate decided, and from which sums

The daily sums themselves are not stored: 0.9 MB a farm and day. A farm's hours are final in the
lake, so `all_farms.recompute` makes the sums again, to compare their SHA-256 with the decision's.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import BadData
from trainer.site_corrections.one_farm import FarmResult

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "farms.jsonl.gz"
_NAMED: Final = 10
_GZIP: Final = 31
"""`wbits` of a gzip file; its header names no time, so the same farms make the same bytes."""


class CorrectionSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many farms were tried, and what became of them.

    Attributes:
        tried: Farms.
        better: Farms of which at least one target is corrected now.
        refused: Farms for which the shared models are as good.
        left_out: Farm -> why it could not be judged.
        lost: Farms that the live release corrects and this one does not.
    """

    tried: int
    better: int
    refused: int
    left_out: dict[str, str]
    lost: tuple[str, ...]

    def counts(self) -> str:
        """How many of each."""
        return (
            f"{self.tried} tried, {self.better} better, {self.refused} as good without, "
            f"{len(self.left_out)} not judged"
        )

    def text(self) -> str:
        """One line that names whoever loses a correction."""
        if not self.lost:
            return self.counts()
        more = f" and {len(self.lost) - _NAMED} more" if len(self.lost) > _NAMED else ""
        return f"{self.counts()}; corrected no more: {', '.join(self.lost[:_NAMED])}{more}"


class Record:
    """Collects results and packs them at once: a thousand decisions are 20 MB."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._lines = zlib.compressobj(9, wbits=_GZIP)
        self._tried = self._better = self._refused = 0
        self._left_out: dict[str, str] = {}

    def add(self, result: FarmResult) -> None:
        """Add one farm."""
        line = msgspec.json.encode(result, order="deterministic") + b"\n"
        self._packed += self._lines.compress(line)
        self._tried += 1
        if result.decision is None:
            self._left_out[result.farm] = result.fault
        elif result.tuning is None:
            self._refused += 1
        else:
            self._better += 1

    def outcome(self, lost: tuple[str, ...]) -> CorrectionSummary:
        """The sums so far.

        Args:
            lost: Farms that are corrected in what is live and will not be any more.
        """
        return CorrectionSummary(self._tried, self._better, self._refused, self._left_out, lost)

    def content(self) -> bytes:
        """The whole file; nothing can be added afterwards."""
        return bytes(self._packed) + self._lines.flush()


def read(content: bytes) -> Iterator[FarmResult]:
    """Lines of a record.

    Raises:
        BadData: It is damaged.
    """
    try:
        for line in gzip.decompress(content).splitlines():
            yield msgspec.json.decode(line, type=FarmResult)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as fault:
        raise BadData(f"{NAME}: damaged: {in_words(fault)}") from fault
