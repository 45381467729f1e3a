"""A trainer workspace: one folder with its settings, and the places of everything else.

trainer.toml, keys/, root.json     on each machine that works; never in a bucket
lake_path, depot_path, runs_path   folders here, or s3:// and then all machines'
releases.jsonl, attempts.jsonl, state/daily/, state/canary/
                                   the records: here, or below runs_path where that is s3://
state/requests.json, state/lake/   this machine's own: KMA's requests of the day, a lock
runs/                              where runs_path is s3://, copies, which may be removed
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import ConfigError, InputMissing
from trainer.workspace import config as settings
from trainer.workspace.lake import Lake
from trainer.workspace.raw import RawStore
from trainer.workspace.runs import BucketRuns, FolderRuns
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from trainer.workspace.config import Config
    from trainer.workspace.runs import RunStore
    from trainer.workspace.store import Store

CONFIG_VARIABLE: Final = "TRAINER_CONFIG"
BUCKETS: Final = {"s3": "trainer.workspace.s3"}
"""Scheme of an address -> module with its `open_bucket`, imported when it is needed."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folder `root` and its settings."""

    root: Path
    config: Config

    @classmethod
    def open(cls, config_path: Path | None, env: Mapping[str, str] | None = None) -> Workspace:
        """The workspace of --config, else of TRAINER_CONFIG, else of the current folder.

        Args:
            config_path: trainer.toml, or the folder it is in.
            env: Environment; the process's own where None.

        Raises:
            InputMissing: There is no such file.
            ConfigError: See `config.decode`.
        """
        env = os.environ if env is None else env
        path = config_path or Path(env.get(CONFIG_VARIABLE) or settings.FILE_NAME)
        if path.is_dir():
            path /= settings.FILE_NAME
        try:
            content = path.read_bytes()
        except FileNotFoundError as fault:
            raise InputMissing(
                f"{path}: no such file; make a workspace with `trainer init DIR` and run there, "
                "or name the file with --config"
            ) from fault
        except OSError as fault:
            raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from fault
        return cls(path.absolute().parent, settings.decode(content, str(path), env))

    @property
    def store(self) -> Store:
        """Files of the lake."""
        return self._store("lake_path", self.config.lake_path)

    @property
    def depot_store(self) -> Store:
        """Files of the depot, wherever they lie."""
        return self._store("depot_path", self.config.depot_path)

    @property
    def lake(self) -> Lake:
        """Tidy observations."""
        return Lake(self.store)

    @property
    def raw(self) -> RawStore:
        """Answers as received."""
        return RawStore(self.store)

    def lake_lock(self) -> AbstractContextManager[None]:
        """Lock the lake against every other writer; in a bucket, on any machine.

        Raises:
            TryLater: Another one is at work.
        """
        if _is_bucket(self.config.lake_path):
            return self.store.lock()
        return FolderStore(self.state / "lake").lock()

    def warnings_lock(self) -> AbstractContextManager[None]:
        """Lock the bulletins of warnings alone: they do not wait for hours of other work.

        Raises:
            TryLater: Another one is at work.
        """
        if _is_bucket(self.config.lake_path):
            return self.store.lock("warnings")
        return FolderStore(self.state / "warnings").lock()

    def day_lock(self) -> AbstractContextManager[None]:
        """Lock the depot against every other process that does the day's work.

        Raises:
            TryLater: Another one is at work.
        """
        return self.depot_store.lock("daily")

    @property
    def runs(self) -> Path:
        """Folder of training runs; with a bucket, copies of those that were needed here."""
        return self.root / ("runs" if _is_bucket(self.config.runs_path) else self.config.runs_path)

    @property
    def run_store(self) -> RunStore:
        """All training runs, wherever they lie."""
        address = self.config.runs_path
        if _is_bucket(address):
            return BucketRuns(self._store("runs_path", address), address.rstrip("/"), self.runs)
        return FolderRuns(self.runs)

    @property
    def depot(self) -> Path:
        """Folder that the web server serves."""
        return self._folder("depot_path", self.config.depot_path)

    @property
    def keys(self) -> Path:
        """Folder of the signing keys."""
        return self.root / "keys"

    @property
    def records(self) -> Store:
        """Logs of releases and of attempts, journals of dates and of canaries."""
        if _is_bucket(self.config.runs_path):
            return self._store("runs_path", self.config.runs_path)
        return FolderStore(self.root)

    @property
    def state(self) -> Path:
        """Folder of counts and locks that are this machine's own."""
        return self.root / "state"

    def _store(self, key: str, value: str) -> Store:
        if not _is_bucket(value):
            return FolderStore(self._folder(key, value))
        scheme = value.partition("://")[0]
        try:
            module = import_module(BUCKETS.get(scheme, BUCKETS["s3"]))
        except ModuleNotFoundError as fault:
            raise ConfigError(
                f"{key}: {scheme}:// needs one more package: pip install {fault.name}"
            ) from fault
        store: Store = module.open_bucket(value)
        return store

    def _folder(self, key: str, value: str) -> Path:
        if _is_bucket(value):
            raise ConfigError(f"{key}: {value!r} is not supported here: give a folder")
        return self.root / value


def _is_bucket(value: str) -> bool:
    return "://" in value
