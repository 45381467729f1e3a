"""Paths of an installation, below a root folder: `/` except for images and tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_agent.system.locations import CONFIG_FILE, NAME

PACKAGED: Final = f"/usr/lib/{NAME}/{NAME}"
"""Program of the Debian package, and the name that the unit files in the repository carry."""
UNIT: Final = f"{NAME}.service"
UPDATE_UNITS: Final = (f"{NAME}-update.service", f"{NAME}-update.timer")
ACCOUNT: Final = f"{NAME}.sysusers"
USER: Final = NAME


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one installation.

    Attributes:
        root: What stands for `/`.
    """

    root: Path = Path("/")

    @property
    def versions(self) -> Path:
        """Folder with one folder for each version, and the links `current` and `previous`."""
        return self.root / "opt" / NAME

    @property
    def current(self) -> Path:
        """Link to the version that runs."""
        return self.versions / "current"

    @property
    def previous(self) -> Path:
        """Link to the version before it."""
        return self.versions / "previous"

    @property
    def units(self) -> Path:
        """Folder of the administrator's units."""
        return self.root / "etc" / "systemd" / "system"

    @property
    def account(self) -> Path:
        """Declares the service's account."""
        return self.root / "etc" / "sysusers.d" / f"{NAME}.conf"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "etc" / NAME / CONFIG_FILE

    @property
    def command(self) -> Path:
        """Link for people's shells."""
        return self.root / "usr" / "local" / "bin" / NAME

    @property
    def program(self) -> str:
        """Program as units name it: a path on the device, whatever the root is here."""
        return f"/opt/{NAME}/current/{NAME}"

    @property
    def package(self) -> Path:
        """Program of the Debian package, where that is installed."""
        return self.root / PACKAGED.lstrip("/")

    @property
    def data(self) -> tuple[Path, ...]:
        """Everything that only `--purge` removes."""
        folders = (f"etc/{NAME}", f"var/lib/{NAME}", f"var/cache/{NAME}", f"run/{NAME}")
        return tuple(self.root / folder for folder in folders)
