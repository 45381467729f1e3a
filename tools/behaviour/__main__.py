"""Record what the programs do, or compare two recordings.

python -m tools.behaviour record OUT
python -m tools.behaviour compare OLD NEW
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from tools.behaviour import calls, helps, old_state, replayed, static, web
from tools.behaviour.central import HOURS, SUMMER, WINTER, Central
from tools.behaviour.compare import differences
from tools.behaviour.device import HILL, HOUSE, Device
from tools.behaviour.folder import Folder
from tools.behaviour.programs import Programs


@click.group()
def main() -> None:
    """Behaviour of both programs, as files."""


@main.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def record(out: Path) -> None:
    """Write a recording into the new folder OUT."""
    if out.exists() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="behaviour-") as scratch:
        programs = Programs.below(Path(scratch))
        _record(programs, Folder(out, programs))
    click.echo(f"recorded in {time.monotonic() - began:.0f} s")


def _record(programs: Programs, out: Folder) -> None:
    central = Central(programs, out)
    central.make()
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(central.train)
        static.record(out)
        helps.record(programs, out)
        calls.record(programs, out)
        run = training.result()
        _step("trained")
        central.publish()
        hill = Device(programs, out, "hill", HILL, WINTER, HOURS)
        house = Device(programs, out, "house", HOUSE, SUMMER, HOURS, as_json=True)
        for device in (hill, house):
            # A device reads no hour that lies ahead of its clock, so that once is enough.
            central.relay(device.name, device.end)
        devices = [pool.submit(_play, one) for one in (hill, house)]
        for one in devices:
            one.result()
        _step("devices")
        looks = pool.submit(central.look)
        replayed.record(hill, out)
        web.record(house)
        looks.result()
    central.write(run)
    hill.write()
    house.write()


def _play(device: Device) -> None:
    device.work()
    device.look()


def _step(name: str) -> None:
    click.echo(f"{threading.active_count()} threads: {name}", err=True)


@main.command("old-state")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def write_old_state(out: Path) -> None:
    """Write a workspace and a device's state of this code, packed, into the folder OUT."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="behaviour-") as scratch:
        programs = Programs.below(Path(scratch))
        old_state.make(programs, Folder(Path(scratch), programs))
        shutil.copy(Path(scratch) / old_state.ARCHIVE, out)


@main.command()
@click.argument("old", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, file_okay=False))
def compare(old: Path, new: Path) -> None:
    """Show every difference between two recordings; exit 1 when there is any."""
    lines, summary = differences(old, new)
    for line in lines:
        click.echo(line)
    click.echo(summary)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
