"""A release in memory: its models, and its corrections for this device."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.contract import guidance_features
from edge_agent.forecasting import optional_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_agent.contract.manifest import Manifest
    from edge_agent.contract.site_correction import Correction, Tuning
    from edge_agent.forecasting.optional_models import OptionalModel
    from edge_agent.system.ports import Predictor
    from edge_agent.updates.installed_release import InstalledRelease

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceRelease:
    """A `forecaster.LoadedRelease`.

    Attributes:
        manifest: The release's description.
        predictors: One per target.
        tuned: Corrections for this device with their figures, or None.
        guided: Models that correct KMA's forecasts, by target; empty where it has none whose inputs
            this program computes.
        optional: Models of optional targets; empty where it has none.
    """

    manifest: Manifest
    predictors: Mapping[str, Predictor]
    tuned: Tuning | None = None
    guided: Mapping[str, Predictor] = field(default_factory=dict)
    optional: Mapping[str, OptionalModel] = field(default_factory=dict)

    @property
    def tuning(self) -> Mapping[str, Correction]:
        """This device's corrections by target."""
        return {} if self.tuned is None else self.tuned.corrections


def load_release(installed: InstalledRelease, device: str) -> DeviceRelease:
    """Load an installed release.

    Args:
        installed: The release.
        device: "site/id", whose corrections are loaded.

    Raises:
        BadData: A model or the device's corrections cannot be loaded.
    """
    from edge_agent.forecasting.inference import release_predictors

    manifest = installed.manifest
    predictors = release_predictors(manifest, installed.read)
    guidance = guidance_features.computable(manifest.guidance)
    if manifest.guidance and guidance is None:
        _log.warning(
            "release %d corrects KMA's forecasts from other inputs than this program computes: "
            "their bias is taken off until the next release",
            manifest.release,
        )
    guided = release_predictors(guidance, installed.read) if guidance else {}
    optional = optional_models.load(manifest, installed.read)
    return DeviceRelease(manifest, predictors, installed.tuning(device), guided, optional)
