"""Builds the updater and its depot client from the configuration."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.contract import features, golden_windows, guidance_features, guided_golden
from edge_agent.contract.errors import ConfigError, UsageError
from edge_agent.forecasting import optional_models
from edge_agent.system import addresses
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.system.memory_limit import FOR_MODELS, limited_memory
from edge_agent.updates.depot import DepotClient
from edge_agent.updates.policy import DeviceState
from edge_agent.updates.slots import Slots
from edge_agent.updates.source import FolderSource
from edge_agent.updates.updater import Updater

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_agent.contract.manifest import FileRef, Manifest
    from edge_agent.settings import Config
    from edge_agent.system.ports import Clock
    from edge_agent.updates.source import DepotSource


@contextlib.contextmanager
def open_updater(
    config: Config, state: Path, clock: Clock, *, place: str | None = None
) -> Iterator[Updater]:
    """Updater on the configured depot, or on another place with the same checks.

    Args:
        config: `[depot]` and `[device]` are read.
        state: The agent's state folder.
        clock: Judges expiry, measures speed.
        place: Address (http, https) or folder to pull from instead of the configured one.

    Raises:
        ConfigError: Neither a depot nor a place, or no readable root_file.
        UsageError: The place is no address that a request can be sent to.
    """
    with open_depot(config, state / "tuf", clock, place=place) as depot:
        yield Updater(
            depot,
            Slots(state),
            DeviceState(
                channel=config.depot.channel,
                agent_version=__version__,
                digest=features.digest(),
                guidance_digest=guidance_features.digest(),
                id=config.device.full_id,
                pinned=config.depot.pinned_release,
            ),
            self_check=golden_check,
            timekeeper=Timekeeper(state, clock),
            lock=state / "sync.lock",
        )


@contextlib.contextmanager
def open_depot(
    config: Config, trust: Path, clock: Clock, *, place: str | None = None
) -> Iterator[DepotClient]:
    """The configured depot, or another place.

    Args:
        config: `[depot]` is read.
        trust: Folder of the verified metadata.
        clock: Measures speed.
        place: As for `open_updater`.

    Raises:
        ConfigError: Neither a depot nor a place, or no readable root_file.
        UsageError: The place is no address that a request can be sent to.
    """
    root = _root(config.depot.root_file)
    with _source(place or config.depot.url or config.depot.path, clock) as source:
        yield DepotClient(source, trust, root)


def golden_check(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Load all models and replay their golden windows on this processor, within a limit of memory.

    Raises:
        BadData: A model does not load, takes too much memory, or computes other values than where
            it was trained.
    """
    from edge_agent.forecasting.inference import release_predictors

    def read(file: FileRef) -> bytes:
        return files[file.path]

    with limited_memory(FOR_MODELS, "golden windows"):
        predictors = release_predictors(manifest, read)
        golden_windows.replay(
            read(manifest.golden),
            {target: predictor.predict for target, predictor in predictors.items()},
        )
        optional = optional_models.load(manifest, read)
        optional_models.replay(manifest, optional, read)
        if manifest.guidance:
            guided = release_predictors(manifest.guidance, read)
            guided_golden.replay(
                read(manifest.guidance.golden),
                {target: predictor.predict for target, predictor in guided.items()},
            )


def _root(root_file: str) -> bytes:
    if not root_file:
        raise ConfigError(
            "[depot] root_file is not set: copy root.json from the trainer's workspace by hand "
            "and name it there; without it no release can be trusted"
        )
    try:
        return Path(root_file).read_bytes()
    except OSError as fault:
        raise ConfigError(f"[depot] root_file {root_file}: {fault.strerror}") from fault


@contextlib.contextmanager
def _source(place: str, clock: Clock) -> Iterator[DepotSource]:
    if not place:
        raise ConfigError(
            "[depot] has neither url nor path: set one, or name a place with `sync --from`"
        )
    if not place.startswith(("http://", "https://")):
        yield FolderSource(Path(place))
        return
    if not addresses.is_web_address(place):
        raise UsageError("the depot's address is no web address such as https://depot.example/")
    from edge_agent.updates.http_source import HttpSource

    with HttpSource(place, clock) as source:
        yield source
