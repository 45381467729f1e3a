"""One pull from the depot: the release, then what is relayed to this farm."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from edge_agent.contract import official_warnings
from edge_agent.contract.bundles import guidance_path
from edge_agent.contract.errors import BadData, FarmError, NothingNew, Refused, TryLater
from edge_agent.core.update_setup import open_updater
from edge_agent.observations import bundles as relayed_bundles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_agent.alerts.official_store import OfficialStore
    from edge_agent.observations.store import Store
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock
    from edge_agent.updates.installed_release import InstalledRelease
    from edge_agent.updates.updater import Updater

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullResult:
    """What is new after a pull.

    Attributes:
        release: The release that went live, or None.
        hours: New hours of observations.
        guidance: New rows of KMA's forecasts.
        warnings: Whether KMA's official warnings are others than before.
        none_because: Why no release went live, for people; empty where one did.
    """

    release: InstalledRelease | None
    hours: int
    guidance: int
    none_because: str = ""
    warnings: bool = False

    def __bool__(self) -> bool:
        return self.release is not None or self.hours > 0 or self.guidance > 0 or self.warnings


def pull(
    config: Config,
    state: Path,
    clock: Clock,
    stores: tuple[Store, OfficialStore],
    *,
    place: str | None = None,
) -> Callable[[], PullResult]:
    """Pull release and relayed bundles.

    A release that is refused or missing does not keep the weather away, nor a bundle that cannot
    be read the others. Such an error is raised by the function that is returned, once everything
    good is stored. It is only logged where a release has just gone live.

    Args:
        config: `[depot]` and `[device]` are read.
        state: The agent's state folder.
        clock: Judges expiry.
        stores: Take hours and forecasts, and KMA's warnings, in the function that is returned.
        place: Address or folder instead of the configured depot.

    Returns:
        A function that stores the bundles; to be called on the thread that owns the store.

    Raises:
        ConfigError: There is no depot.
        Refused: Something is forged or damaged; what runs is untouched.
        TryLater: The depot cannot be reached.
    """
    faults: list[FarmError] = []
    with open_updater(config, state, clock, place=place) as updater:
        installed, none_because = _sync(updater, faults)
        contents = _bundles(updater, config, installed, faults)
    reader = _Reader(state, contents, faults)
    observed = {
        source: reader.read(relayed_bundles.read, path)
        for source, path in relayed_bundles.sources(config.device).items()
    }
    cell = relayed_bundles.cell(config.device)
    issues = reader.read(relayed_bundles.read_guidance, guidance_path(cell)) if cell else None
    warnings = reader.read(official_warnings.decode, official_warnings.PATH)
    store, official = stores

    def finish() -> PullResult:
        frames = ((source, frame) for source, frame in observed.items() if frame is not None)
        hours = sum(store.put_hourly(source, frame) for source, frame in frames)
        guidance = 0 if issues is None else store.put_guidance(issues)
        changed = warnings is not None and official.put(warnings)
        if faults and installed is None:
            raise faults[0]
        for fault in faults:
            _log.warning("%s", fault)
        return PullResult(installed, hours, guidance, none_because, warnings=changed)

    return finish


def _sync(updater: Updater, faults: list[FarmError]) -> tuple[InstalledRelease | None, str]:
    """The release that has just gone live, or None and why; an error is added to `faults`."""
    try:
        return updater.sync(), ""
    except NothingNew as nothing:
        return None, str(nothing)
    except (Refused, TryLater) as fault:
        faults.append(fault)
        return None, str(fault)


def _bundles(
    updater: Updater,
    config: Config,
    installed: InstalledRelease | None,
    faults: list[FarmError],
) -> dict[str, bytes]:
    """Bundles for this farm that the depot has, by target path.

    Where a release has just gone live, an error is added to `faults` instead of raised.
    """
    paths = list(relayed_bundles.sources(config.device).values())
    cell = relayed_bundles.cell(config.device)
    if cell is not None:
        paths.append(guidance_path(cell))
    paths.append(official_warnings.PATH)
    try:
        contents = {path: updater.fetch_relayed(path) for path in paths}
    except (Refused, TryLater) as fault:
        if installed is None:
            raise (faults or [fault])[0] from fault
        faults.append(fault)
        return {}
    return {path: content for path, content in contents.items() if content is not None}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads bundles; one that ends the process is not read a second time.

    A Parquet file can be made so that its decoder aborts the process, which no `except` catches.
    So a mark is written before a bundle is read and removed after it. A bundle whose mark is found
    ended the update before.

    Attributes:
        state: The agent's state folder.
        contents: Bundles by target path.
        faults: Takes what goes wrong.
    """

    state: Path
    contents: Mapping[str, bytes]
    faults: list[FarmError]

    def read(self, parse: Callable[[bytes, str], T], path: str) -> T | None:
        content = self.contents.get(path)
        if content is None:
            return None
        mark, digest = self.state / f"{path}.reading", sha256(content).hexdigest()
        with suppress(OSError):
            if mark.read_text() == digest:
                why = "reading it ended the update before: left aside until another comes"
                self.faults.append(BadData(f"{path}: {why}"))
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
