"""Names of the agent's MQTT topics: `<base>/<site>/<device>/...`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge_agent.contract.errors import ConfigError

BASE: Final = "farm/v1"
_LEVEL: Final = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one device. Levels are `[a-z0-9_-]`, no leading slash, no secret.

    Attributes:
        root: `<base>/<site>/<device>`; build it with `of`, which checks it.
    """

    root: str

    @classmethod
    def of(cls, site: str, device: str, base: str = BASE) -> Topics:
        """Topics of a device.

        Raises:
            ConfigError: A level has characters that a topic of this project may not have.
        """
        for key, value in (("mqtt.base_topic", base), ("device.site", site), ("device.id", device)):
            levels = value.split("/") if key == "mqtt.base_topic" else [value]
            if not all(_LEVEL.fullmatch(level) for level in levels):
                raise ConfigError(
                    f"{key}: {value!r} cannot be part of a topic: use a-z, 0-9, _ and -"
                )
        return cls(f"{base}/{site}/{device}")

    @property
    def availability(self) -> str:
        """`online` or `offline`, retained; the last will."""
        return f"{self.root}/availability"

    @property
    def model(self) -> str:
        """Release that runs, retained."""
        return f"{self.root}/model"

    @property
    def health(self) -> str:
        """Counters and states of the agent, retained."""
        return f"{self.root}/health"

    @property
    def irrigation(self) -> str:
        """Watering advice, retained with expiry."""
        return f"{self.root}/advice/irrigation"

    @property
    def history(self) -> str:
        """Hours of the farm's own sensors, retained with expiry."""
        return f"{self.root}/history"

    @property
    def ping(self) -> str:
        """From the agent to itself, to check that messages come back; not retained."""
        return f"{self.root}/ping"

    @property
    def fresh(self) -> str:
        """`online` while the forecast rests on new data, else `offline`; retained with expiry."""
        return f"{self.root}/fresh"

    def forecast(self, target: str) -> str:
        """Forecast of one target, retained with expiry."""
        return self._of("forecast", target)

    def backfill(self, target: str) -> str:
        """Hours of a forecast that passed before it was delivered, not retained."""
        return self._of("history", target)

    def alert_state(self, rule: str) -> str:
        """Level of a rule now, retained with expiry."""
        return self._of("alert", rule, "state")

    def alert_event(self, rule: str) -> str:
        """Edges of a rule, never retained."""
        return self._of("alert", rule, "event")

    def official(self, kind: str) -> str:
        """KMA's warning of a kind now, retained with expiry."""
        return self._of("warning", kind)

    def command(self, name: str) -> str:
        """Requests to the agent; those that the broker had kept are ignored."""
        return self._of("cmd", name)

    def command_result(self, name: str) -> str:
        """Where the result of a command goes unless the request names another topic."""
        return self._of("cmd", name, "result")

    def _of(self, *levels: str) -> str:
        for level in levels:
            if not _LEVEL.fullmatch(level):
                raise ValueError(f"{level!r} is not a topic level: use a-z, 0-9, _ and -")
        return "/".join((self.root, *levels))
