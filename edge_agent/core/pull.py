"""One pull from the depot: the release, then what is relayed to this farm."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from edge_agent.contract.bundles import guidance_path
from edge_agent.contract.errors import BadData, FarmError, NothingNew, Refused, TryLater
from edge_agent.core.update_setup import open_updater
from edge_agent.observations import bundles as relayed_bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import polars as pl

    from edge_agent.observations.store import Store
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock
    from edge_agent.updates.slots import InstalledRelease
    from edge_agent.updates.updater import Updater

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull brought: the release that went live, if any, and rows that were new.

    Attributes:
        release: The release, or None.
        hours: Hours of observations.
        guidance: Rows of KMA's forecasts.
    """

    release: InstalledRelease | None
    hours: int
    guidance: int

    def __bool__(self) -> bool:
        return self.release is not None or self.hours > 0 or self.guidance > 0


def pull(
    config: Config, state: Path, clock: Clock, store: Store, *, place: str | None = None
) -> Callable[[], PullResult]:
    """Pull release and relayed bundles.

    Args:
        config: `[depot]` and `[device]` are read.
        state: The agent's state folder.
        clock: Judges expiry.
        store: Takes what was relayed, in the function that is returned.
        place: Address or folder instead of the configured depot.

    Returns:
        What takes the bundles over into the store; to be called on the thread that owns it.

    Raises:
        ConfigError: There is no depot.
        Refused: Something is forged or damaged; what runs is untouched.
        TryLater: The depot cannot be reached.

    A release that is refused or not there yet does not keep the weather away, nor does a bundle
    that cannot be read keep the others away: the fault is raised by what is returned, once all
    that is good is stored. Where a release has just gone live, it is only logged.
    """
    faults: list[FarmError] = []
    with open_updater(config, state, clock, place=place) as updater:
        installed: InstalledRelease | None = None
        try:
            installed = updater.sync()
        except NothingNew:
            pass
        except (Refused, TryLater) as fault:
            faults.append(fault)
        try:
            contents = _relayed(updater, config)
        except (Refused, TryLater) as fault:
            if installed is None:
                raise (faults or [fault])[0] from fault
            faults.append(fault)
            contents = {}
    reader = _Reader(state, contents, faults)
    observed = {
        source: reader.read(relayed_bundles.read, path)
        for source, path in relayed_bundles.sources(config.device).items()
    }
    cell = relayed_bundles.cell(config.device)
    said = reader.read(relayed_bundles.read_guidance, guidance_path(cell)) if cell else None

    def finish() -> PullResult:
        hours = sum(
            store.put_hourly(source, frame)
            for source, frame in observed.items()
            if frame is not None
        )
        guidance = 0 if said is None else store.put_guidance(said)
        if faults and installed is None:
            raise faults[0]
        for fault in faults:
            _log.warning("%s", fault)
        return PullResult(installed, hours, guidance)

    return finish


def _relayed(updater: Updater, config: Config) -> dict[str, bytes]:
    """Bundles for this farm that the depot has, by target path."""
    paths = list(relayed_bundles.sources(config.device).values())
    cell = relayed_bundles.cell(config.device)
    if cell is not None:
        paths.append(guidance_path(cell))
    found = {path: updater.fetch_relayed(path) for path in paths}
    return {path: content for path, content in found.items() if content is not None}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads bundles, each at most once if it ends the process: the others still come.

    A Parquet file can be made so that its decoder aborts, which no `except` sees. So a mark lies
    beside a bundle while it is read: one whose mark is found was the end of an update.

    Attributes:
        state: The agent's state folder.
        contents: Bundles by target path.
        faults: Takes what goes wrong.
    """

    state: Path
    contents: Mapping[str, bytes]
    faults: list[FarmError]

    def read(self, parse: Callable[[bytes, str], pl.DataFrame], path: str) -> pl.DataFrame | None:
        content = self.contents.get(path)
        if content is None:
            return None
        mark, digest = self.state / f"{path}.reading", sha256(content).hexdigest()
        with suppress(OSError):
            if mark.read_text() == digest:
                told = "reading it ended the update before: left aside until another comes"
                self.faults.append(BadData(f"{path}: {told}"))
                return None
        with suppress(OSError):
            # Not flushed: what ends the process does not empty the page cache.
            mark.write_text(digest)
        try:
            return parse(content, path)
        except BadData as fault:
            self.faults.append(fault)
            return None
        finally:
            mark.unlink(missing_ok=True)
