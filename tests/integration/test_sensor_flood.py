"""A thousand sensor messages a second through a real broker into the running service."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from edge_agent import config
from edge_agent.alerts.state_machine import Level
from edge_agent.core.events import EventQueue, Signal
from edge_agent.core.interfaces import Host
from edge_agent.core.loop import ServiceLoop
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.system.clock import SystemClock
from edge_agent.system.sd_notify import Notifier
from tests.fakes.farm import fill_weather, install_release, no_update
from tests.fakes.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

SENSORS, RATE = 100, 1_000
RULE = (
    '[[rules]]\nname = "{name}"\nquantity = "air_temperature_c"\noperator = ">="\n'
    "threshold = {threshold}\nnow = true"
)
MEMORY_KB = 60_000
"""Most that the process may grow by while it listens: one cycle's frames, and no message kept."""


class Watched(Worker):
    """Remembers how many readings had been taken when a cycle was over."""

    taken_at_cycles: list[int]
    raised_at_cycles: list[set[str]]

    def cycle(self, now: datetime, problems: Sequence[str] = ()) -> str:
        """See `Worker`."""
        line = super().cycle(now, problems)
        self.taken_at_cycles.append(self._runtime.intake.accepted)
        self.raised_at_cycles.append(raised(self._runtime))
        return line


def raised(runtime: Runtime) -> set[str]:
    """Live rules that stand."""
    latches = runtime.latches.all()
    return {name for name in ("reached", "never") if latches[name].level is Level.RAISED}


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_flood_of_readings(tmp_path: Path, seconds: int) -> None:
    """Every message is taken, a cycle is worked in the midst of them, memory stays where it was."""
    with Mosquitto(tmp_path / "broker") as broker:
        lines = [f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}']
        lines.extend(
            f'[[sensors]]\ntopic = "flood/{number}"\nfield = "t"\n'
            'quantity = "air_temperature_c"\nunit = "C"'
            for number in range(SENSORS)
        )
        # The readings are 20 to 26 C.
        lines.append(RULE.format(name="reached", threshold=20.0))
        lines.append(RULE.format(name="never", threshold=26.5))
        (tmp_path / "c.toml").write_text("\n".join(lines))
        install_release(tmp_path / "state")
        fill_weather(tmp_path / "state")
        clock, inbox = SystemClock(), EventQueue()
        settings = config.load(tmp_path / "c.toml", {})
        runtime = Runtime(settings, tmp_path / "state", clock, lambda: True)
        with closing(Watched(lambda: runtime, inbox.put, no_update)) as agent:
            agent.taken_at_cycles, agent.raised_at_cycles = [], []
            service = ServiceLoop(
                agent,
                agent.delivery(),
                inbox,
                Host(Notifier({}), clock, Random(1).random),
            )
            sent: list[int] = []
            memory: list[int] = []

            def play() -> None:
                listen = threading.Event()
                while not service._delivery.state.connected and not listen.wait(0.1):
                    pass
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
                middle = threading.Timer(seconds / 2, inbox.put, [Signal.CYCLE])
                middle.start()
                arguments = map(str, (broker.port, SENSORS, RATE, seconds))
                made = subprocess.run(
                    [sys.executable, "-m", "tests.fakes.sensor_flood", *arguments],
                    check=True,
                    capture_output=True,
                    cwd=Path(__file__).parents[2],
                )
                sent.append(int(made.stdout))
                for _ in range(300):
                    if runtime.intake.accepted >= sent[0] or listen.wait(0.1):
                        break
                inbox.put(Signal.STOP)

            player = threading.Thread(target=play)
            player.start()
            service.run()
            player.join()
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory[0]
            assert sent == [RATE * seconds]
            assert runtime.intake.accepted == sent[0]
            assert inbox.dropped == 0
            assert any(0 < taken < sent[0] for taken in agent.taken_at_cycles)
            agent.watch(clock.now())
            assert raised(runtime) == {"reached"}
            listened = zip(agent.taken_at_cycles, agent.raised_at_cycles, strict=True)
            assert all(stood == {"reached"} for taken, stood in listened if taken)
            hour = timedelta(hours=1)
            key = "flood/0|t|air_temperature_c"
            kept = len(runtime.store.samples(key, clock.now() - hour, clock.now()))
            assert kept <= seconds // 60 + 2
            assert grown < MEMORY_KB
