"""Access to KMA as the settings say: keys, addresses, pace and the day's quota.

A key comes from the environment, from systemd's credentials or from a file, never from
trainer.toml.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import ConfigError
from trainer.ingest.quota import Quota
from trainer.ingest.sources.http import Endpoint, Pace, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from edge_agent.system.ports import Clock
    from trainer.workspace.kma_sources import KmaSource, ServiceKey
    from trainer.workspace.workspace import Workspace

_ANSWER_S: Final = 2.0
"""Mean time of an answer, as KMA's guide states it."""


@dataclass(frozen=True, slots=True)
class KmaClient:
    """What every request to KMA needs.

    Attributes:
        workspace: Settings, lake, and where requests are counted.
        clock: Tells the day and paces requests.
        env: Environment with the keys.
        sleep: Waits for so many seconds, between requests and repeats.
        transport: Stand-in for the network (tests).
    """

    workspace: Workspace
    clock: Clock
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    sleep: Callable[[float], None] = time.sleep
    transport: httpx.BaseTransport | None = None

    def has_key(self, key: ServiceKey) -> bool:
        """Whether somebody set this key, or named a file for it."""
        return bool(
            self.env.get(key.variable) or self._file(key) or self._credential(key).is_file()
        )

    def key(self, key: ServiceKey) -> str:
        """A key, in whichever form the portal shows it.

        Raises:
            ConfigError: There is none, or its file cannot be read.
        """
        value = self.env.get(key.variable, "").strip()
        if value:
            return value
        paths = [self.workspace.root / self._file(key)] if self._file(key) else []
        if self.env.get("CREDENTIALS_DIRECTORY"):
            paths.append(self._credential(key))
        for path in paths:
            try:
                value = path.read_text("utf-8").strip()
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as fault:
                raise ConfigError(f"{path}: the key cannot be read") from fault
            if value:
                return value
        raise ConfigError(
            f"no key for KMA: set {key.variable} (free at data.go.kr or apihub.kma.go.kr; "
            "docs/ingest.md)"
        )

    def quota(self, source: KmaSource) -> Quota:
        """The day's count of requests to a source.

        Raises:
            ConfigError: See `key`.
        """
        return Quota(
            self.workspace.state / "requests.json",
            source.name,
            self.key(source.key),
            self.workspace.config.kma.requests_per_day,
            self.clock,
        )

    @contextmanager
    def connect(self, source: KmaSource, quota: Quota | None = None) -> Iterator[Service]:
        """Connection to a source; its requests are counted on disk when it closes.

        Args:
            source: Whose address and key.
            quota: What `quota` returned, where the caller reads the count too.

        Raises:
            ConfigError: See `key`.
        """
        kma = self.workspace.config.kma
        url: str = getattr(kma, f"{source.name}_url")
        counted = quota or self.quota(source)
        pace = Pace(kma.requests_per_second, self.clock.monotonic, self.sleep)

        def admit() -> None:
            counted.spend()
            pace.wait()

        service = Service(
            Endpoint(url, source.key.query_field, self.key(source.key)),
            kma,
            admit=admit,
            sleep=self.sleep,
            transport=self.transport,
        )
        try:
            yield service
        finally:
            service.close()
            counted.close()

    def minutes(self, requests: int) -> float:
        """How long so many requests take, by the agreed rate and KMA's usual answering time."""
        kma = self.workspace.config.kma
        return requests * max(1.0 / kma.requests_per_second, _ANSWER_S / kma.parallel) / 60.0

    def _file(self, key: ServiceKey) -> str:
        name: str = getattr(self.workspace.config.kma, key.file_setting)
        return name

    def _credential(self, key: ServiceKey) -> Path:
        return Path(self.env.get("CREDENTIALS_DIRECTORY", "")) / key.variable.lower()
