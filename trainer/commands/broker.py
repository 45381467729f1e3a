"""Options of the commands that listen to a fleet's broker."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.contract.decoder_words import in_words
from edge_agent.contract.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trainer.fleet.retained_messages import RetainedMessages

_file = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Broker:
    """Address of the broker, login, and how long to listen."""

    address: str
    base: str
    password_file: Path | None
    ca: Path | None
    wait_s: float

    def hear(self, kinds: Iterable[str]) -> RetainedMessages:
        """What it retains of all devices; raises as `retained_messages.retained`."""
        from trainer.fleet.retained_messages import BrokerAddress, retained

        return retained(
            BrokerAddress.of(self.address),
            self.base,
            kinds,
            password=self._password(),
            ca=self.ca,
            wait_s=self.wait_s,
        )

    def _password(self) -> str | None:
        if self.password_file is None:
            return os.environ.get("MQTT_PASSWORD")
        try:
            return self.password_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else in_words(fault)
            raise ConfigError(f"{self.password_file}: cannot be read: {why}") from fault


def broker_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --mqtt and its companions; the command gets them as `broker`."""

    @click.option("--mqtt", "address", required=True, help="mqtt://host or mqtts://user@host:port.")
    @click.option("--base", default="farm/v1", show_default=True, help="What topics begin with.")
    @click.option("--password-file", type=_file, help="One line; or MQTT_PASSWORD.")
    @click.option("--ca", type=_file, help="The broker's certificate authority, for mqtts://.")
    @click.option(
        "--wait",
        default=1.0,
        show_default=True,
        type=click.FloatRange(0.1, 60.0),
        help="Seconds to listen after the last message.",
    )
    @wraps(command)
    def packed(
        *,
        address: str,
        base: str,
        password_file: Path | None,
        ca: Path | None,
        wait: float,
        **others: Any,  # noqa: ANN401 - the command's own
    ) -> None:
        command(broker=Broker(address, base, password_file, ca, wait), **others)

    return packed
