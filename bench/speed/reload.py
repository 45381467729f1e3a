"""What reloads of the configuration leave in the service's memory.

    python -m bench.speed.reload [FARM] [--reloads 40]

FARM is a device's folder with a release and observations (state/), such as the demo leaves. It
is copied, and its observations are moved to end at this hour.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
from pathlib import Path

from bench.load.fleet import rss_mb
from bench.speed.footprint import bring_up_to_now
from tests.fakes.farm import ServiceProcess, write_config

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Print the service's memory after the start and after every fifth reload."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed.reload")
    parser.add_argument("farm", type=Path, nargs="?", default=ROOT / "demo-output/farm")
    parser.add_argument("--reloads", type=int, default=40)
    options = parser.parse_args()
    if not options.farm.exists():
        print(f"left out: it needs {options.farm} (make demo leaves one)")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        shutil.copytree(options.farm / "state", folder / "state")
        bring_up_to_now(folder / "state" / "agent.db")
        with ServiceProcess(write_config(folder, 1), folder) as service:
            service.wait_for_line("READY=1")
            until_logged(service, "cycle: ", 1)
            for number in range(options.reloads + 1):
                if number:
                    service.signal(signal.SIGHUP)
                    until_logged(service, "configuration taken anew", number)
                    until_logged(service, "cycle: ", number + 1)
                if number % 5 == 0:
                    print(f"{number:3} reloads: {rss_mb(service.pid):.0f} MB", flush=True)


def until_logged(service: ServiceProcess, what: str, times: int) -> None:
    """Wait until the service has said something so many times."""
    service.wait_for(lambda _: service.log.count(what) == times)


if __name__ == "__main__":
    main()
