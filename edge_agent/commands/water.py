"""`edge-agent water`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_agent.commands.common import opened, standard_options, utc_time
from edge_agent.contract.errors import BadData, UsageError
from edge_agent.system.console import print_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option("--mm", type=float, help="Water given over the area, in mm (litres per m2).")
@click.option("--litres", "volume_l", type=float, help="The same in litres; needs area_m2.")
@click.option("--at", metavar="TIME", help="When (ISO 8601, UTC unless it says else); now.")
@click.option("--zone", default="", help="Where; there is one zone now, `field`.")
@standard_options
def water(  # noqa: PLR0917 - click passes them by name
    mm: float | None,
    volume_l: float | None,
    at: str | None,
    zone: str,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Report water that was given to the field: it is taken off what is missing in the soil.

    The agent assumes nothing: water that it advised counts when it is reported. The next hour's
    advice has it. Over MQTT: cmd/irrigated.

    Example: edge-agent water --mm 12 --at 2026-07-01T21:00+09:00
    """
    from edge_agent.core import soil_water

    if (mm is None) == (volume_l is None):
        raise UsageError("give --mm or --litres, one of them")
    moment = utc_time(at, "--at", example="2026-07-01T21:00+09:00") if at else None
    with opened(config_path) as runtime:
        try:
            text = soil_water.report(
                runtime.config.irrigation,
                runtime.soil_water,
                runtime.clock.now(),
                mm=mm,
                volume_l=volume_l,
                at=moment,
                zone=zone,
            )
        except BadData as fault:
            raise UsageError(str(fault)) from fault
    if as_json:
        print_json({"ok": True, "text": text})
    else:
        click.echo(text)
