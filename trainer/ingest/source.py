"""What a KMA source must be able to do: plan, fetch, and be read again from raw answers.

A module of `trainer.ingest` is a source when it has the three functions of `SourceModule`. The
registry names these modules.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.contract.errors import NothingNew

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import date

    from edge_agent.contract.errors import FarmError
    from trainer.ingest.kma_client import KmaClient
    from trainer.workspace.lake import Lake, Merge
    from trainer.workspace.raw import RawStore


@dataclass(frozen=True, slots=True)
class Selection:
    """What the caller named of stations and Korean days, both ends included.

    Attributes:
        stations: KMA's numbers; empty = those of the settings.
        first: First day, or None.
        last: Last day, or None.
    """

    stations: tuple[int, ...] = ()
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """What a run would ask for.

    Attributes:
        requests: Number of requests.
        hours: Hours that the lake lacks; None where a source does not count them.
        stations: Requests by station, likewise.
    """

    requests: int
    hours: int | None = None
    stations: Mapping[str, int] | None = None


class FetchResult(Protocol):
    """What a run brought."""

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        ...

    def lines(self) -> Iterator[str]:
        """For people."""
        ...

    def check(self) -> None:
        """Raise the result of the run; return where everything was answered.

        Raises:
            NothingNew: The lake had all of it.
            FarmError: Something is left; what was answered is kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A `FetchResult` of a source that only merges hours.

    Attributes:
        name: Of the source.
        merge: What the hours did to the lake.
        nothing_new: What to say where they changed nothing.
        fault: The first fault, beside which the rest was kept, or None.
    """

    name: str
    merge: Merge
    nothing_new: str
    fault: FarmError | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        merge = self.merge
        return {"added": merge.added, "changed": merge.changed, "revised": merge.revised}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.name}: {self.merge.added} hours new, {self.merge.changed} changed"

    def check(self) -> None:
        """Return where everything was answered and the lake changed.

        Raises:
            NothingNew: It did not change.
            FarmError: The first fault.
        """
        if self.fault is not None:
            raise self.fault
        if not (self.merge.added or self.merge.changed):
            raise NothingNew(self.nothing_new)


class Progress(Protocol):
    """Is called after each step."""

    def advance(self, note: str = "") -> None:
        """One step is done; `note` says what matters now."""
        ...


class ShowProgress(Protocol):
    """Shows the steps of one piece of work while it runs."""

    def __call__(self, title: str, total: int, /) -> AbstractContextManager[Progress]:
        """Progress of `total` steps."""
        ...


class SourceModule(Protocol):
    """A module that is a KMA source."""

    def plan(self, client: KmaClient, selection: Selection) -> RequestPlan:
        """What `fetch` would ask for. Needs no key and asks nothing.

        Raises:
            UsageError: Not a station, or days that this source does not have.
            StorageError: The lake cannot be read.
        """
        ...

    def fetch(self, client: KmaClient, selection: Selection, show: ShowProgress) -> FetchResult:
        """Ask for what the lake lacks, keep each answer raw, and merge its rows.

        Raises:
            UsageError: See `plan`.
            ConfigError: There is no key.
            TryLater: Another process works on the lake.
            StorageError: The lake cannot be read or written.
        """
        ...

    def rebuild(self, raw: RawStore, lake: Lake) -> int:
        """Merge the raw answers into an empty lake, in the order in which they came.

        Returns:
            Raw files read.
        """
        ...


class NearRealTime(Protocol):
    """A module that `trainer relay` asks for the newest hours."""

    def bring_up(
        self, client: KmaClient, stations: tuple[int, ...], farms: tuple[tuple[float, float], ...]
    ) -> tuple[int, FarmError | None]:
        """Bring the lake up to the running hour; does nothing where there is no key.

        Args:
            client: Access to KMA.
            stations: KMA's numbers.
            farms: Latitude and longitude of farms, degrees.

        Returns:
            Hours added, and the fault after which others were kept.
        """
        ...


class _Silent:
    def advance(self, note: str = "") -> None:
        """Nothing is shown."""


@contextmanager
def silent(_title: str, _total: int, /) -> Iterator[Progress]:
    """A `ShowProgress` that shows nothing."""
    yield _Silent()
