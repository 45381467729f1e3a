"""KMA's keys: from the environment, systemd's credentials or a file; never from trainer.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.contract.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def has_key(variable: str, file: str, env: Mapping[str, str]) -> bool:
    """Whether somebody set a key, or named a file for it; arguments as for `kma_key`."""
    credential = Path(env.get("CREDENTIALS_DIRECTORY", "")) / variable.lower()
    return bool(env.get(variable) or file or credential.is_file())


def kma_key(variable: str, file: str, env: Mapping[str, str], root: Path) -> str:
    """A key, in whichever form the portal shows it.

    Args:
        variable: `config.SERVICE_KEY` or `config.HUB_KEY`; its lower case names the credential.
        file: `[kma] service_key_file` or `hub_key_file`, empty when not set.
        env: Environment.
        root: Folder that a relative `file` starts from.

    Raises:
        ConfigError: There is none, or its file cannot be read.
    """
    key = env.get(variable, "").strip()
    if key:
        return key
    places = [root / file] if file else []
    if env.get("CREDENTIALS_DIRECTORY"):
        places.append(Path(env["CREDENTIALS_DIRECTORY"]) / variable.lower())
    for place in places:
        try:
            key = place.read_text("utf-8").strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as fault:
            raise ConfigError(f"{place}: the key cannot be read") from fault
        if key:
            return key
    raise ConfigError(
        f"no key for KMA: set {variable} (free at data.go.kr or apihub.kma.go.kr; docs/ingest.md)"
    )
