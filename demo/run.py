"""All steps of the demo, by the commands that a user types; each is shown and timed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import agent, show
from demo.broker import EmbeddedBroker
from demo.kma import KmaStandIn
from demo.listener import Listener
from edge_agent.contract.errors import FarmError, TryLater
from edge_agent.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.source import Weather

DEMO_KEY: Final = "demo-key"
BASE: Final = "farm/v1/demo/edge-1"
STEPS: Final = 7
WAIT_S: Final = 30.0


class DemoFailed(FarmError):  # noqa: N818 - named by treatment
    """A command of the demo failed; the text has its output."""


@dataclass(slots=True)
class Stage:
    """Bar, times and folder of one demo."""

    console: Console
    bar: Progress
    folder: Path
    env: dict[str, str]
    times: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """One step: named on the bar, timed."""
        clock = SystemClock()
        began = clock.monotonic()
        self.bar.update(self.bar.task_ids[0], description=words, note="")
        yield
        self.times.append((words, clock.monotonic() - began))
        self.bar.advance(self.bar.task_ids[0])

    def call(self, program: str, *arguments: str) -> str:
        """Run a command as a user would; its output moves the progress bar.

        Raises:
            DemoFailed: It did not exit 0.
        """
        shown = " ".join([program, *arguments])
        self.bar.console.print(f"[bold]$[/bold] {shown}", highlight=False, soft_wrap=True)
        executable = str(Path(sys.executable).with_name(program))
        with subprocess.Popen(  # noqa: S603 - the project's own commands
            [executable, *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            said = []
            for line in process.stderr:
                said.append(line)
                self.bar.update(self.bar.task_ids[0], note=line.strip()[:70])
            out = process.stdout.read()
        if process.returncode:
            raise DemoFailed(f"{shown}: exit {process.returncode}: {''.join(said[-5:]).strip()}")
        return out


def run(weather: Weather, folder: Path) -> None:
    """Run the demo in an empty folder.

    Raises:
        FarmError: A step failed; the text says which command and what it said.
    """
    console = Console(width=None if sys.stdout.isatty() else 118)
    console.rule("farm-edge: from KMA's answers to an alert on a broker")
    console.print(f"Weather: {weather.words}; {weather.place.name_ko} {weather.place.number}, ")
    console.print(f"played as if it were half past midnight of {weather.today} in Korea.")
    bar = Progress(
        BarColumn(30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        TextColumn("[dim]{task.fields[note]}[/dim]"),
        console=console,
        disable=not sys.stdout.isatty(),
    )
    stage = Stage(console, bar, folder, _environment(weather))
    with ExitStack() as stack:
        stack.enter_context(bar)
        bar.add_task("", total=STEPS, note="")
        scores, listener = _play(weather, stage, stack)
        _report(stage, scores, listener)


def _play(
    weather: Weather, stage: Stage, stack: ExitStack
) -> tuple[dict[str, dict[str, float]], Listener]:
    with stage.step("start a broker and a stand-in for KMA's service"):
        broker = stack.enter_context(EmbeddedBroker())
        kma = None
        if weather.frame is not None:
            kma = stack.enter_context(KmaStandIn(weather.frame, key=DEMO_KEY))
        listener = stack.enter_context(Listener(broker.port, BASE))
    with stage.step("make a trainer workspace with signing keys"):
        stage.call("trainer", "init", "central", "--single-key")
        _settings(stage.folder / "central" / "trainer.toml", weather, kma)
    central = ("--config", "central/trainer.toml")
    with stage.step("ingest, train, gate, export, sign, publish"):
        stage.call("trainer", "daily", "--date", str(weather.today), *central)
        runs = msgspec.json.decode(stage.call("trainer", "runs", "--json", *central))
    with stage.step("serve the depot"):
        url = stack.enter_context(_served(stage, central))
        (stage.folder / "farm").mkdir()
        (stage.folder / "farm" / "config.toml").write_text(
            _agent_config(weather, broker.port, url), "utf-8"
        )
    farm = ("--config", "farm/config.toml")
    with stage.step("the farm's agent pulls and verifies the release"):
        stage.call("edge-agent", "sync", *farm)
    with stage.step("the agent forecasts, decides and publishes"):
        # An agent whose clock shows the hour of the weather: a past hour is not published.
        now = f"{weather.now:%Y-%m-%dT%H:%M:%SZ}"
        stage.call("python", str(Path(agent.__file__)), now, "once", *farm)
    with stage.step("a controller hears of it"):
        _wait(listener)
    return runs[-1]["scores"], listener


def _report(stage: Stage, scores: dict[str, dict[str, float]], listener: Listener) -> None:
    console = stage.bar.console
    console.print(show.scores(scores))
    for name in ("temperature", "humidity"):
        console.print(show.chart(name, listener.heard.of(f"forecast/{name}")[-1]), markup=False)
    events = listener.heard.of("/event")
    if events:
        console.print(show.alerts(events))
    else:
        console.print("No rule fired: nothing to fear in the next 48 hours.")
    times = Table(title="Where the time went")
    times.add_column("step")
    times.add_column("seconds", justify="right")
    for words, seconds in stage.times:
        times.add_row(words, f"{seconds:.1f}")
    times.add_row("all", f"{sum(seconds for _, seconds in stage.times):.1f}")
    console.print(times)
    console.print(f"Look around in {stage.folder}: central/ is the trainer, farm/ is the device.")


def _environment(weather: Weather) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_AGENT")}
    if weather.frame is not None:
        env |= {"KMA_SERVICE_KEY": DEMO_KEY}
        env.pop("KMA_HUB_KEY", None)
    return env


def _settings(path: Path, weather: Weather, kma: KmaStandIn | None) -> None:
    """Open the comments of the keys that differ, as a user with an editor would."""
    text = path.read_text("utf-8")
    changes = {
        "# stations = [108]": f"stations = [{weather.place.number}]",
        '# start = "2014-01-01"': f'start = "{weather.first}"',
    }
    if kma is not None:
        changes |= {
            "# requests_per_second = 5.0": "requests_per_second = 100.0",
            _line(text, "# asos_url"): f'asos_url = "{kma.asos_url}"',
        }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, "utf-8")


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


@contextmanager
def _served(stage: Stage, central: tuple[str, ...]) -> Iterator[str]:
    """`trainer serve` as a process of its own; yields its address."""
    executable = str(Path(sys.executable).with_name("trainer"))
    stage.bar.console.print("[bold]$[/bold] trainer serve --port 0 --config central/trainer.toml &")
    with subprocess.Popen(  # noqa: S603 - the project's own command
        [executable, "serve", "--port", "0", *central],
        cwd=stage.folder,
        env=stage.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            words = process.stdout.readline().split()
            url = next((word for word in words if word.startswith("http://")), None)
            if url is None:
                raise DemoFailed(f"trainer serve did not say its address: {' '.join(words)}")
            yield url.rstrip(",;")
        finally:
            process.terminate()


def _agent_config(weather: Weather, port: int, url: str) -> str:
    site = weather.place.site
    return f"""[device]
site = "demo"
id = "edge-1"
latitude = {site.latitude}
longitude = {site.longitude}
elevation_m = {site.elevation_m}
station = {weather.place.number}
language = "ko"

[depot]
url = "{url}"
root_file = "../central/root.json"

[mqtt]
host = "127.0.0.1"
port = {port}
# The embedded broker speaks 3.1.1 only; "auto" would find that out by itself within seconds.
protocol = "3.1.1"

[storage]
path = "state"
"""


def _wait(listener: Listener) -> None:
    """Wait until both forecasts are here and nothing more has come for a second."""
    clock = SystemClock()
    end = clock.monotonic() + WAIT_S
    quiet_since, count = clock.monotonic(), -1
    while clock.monotonic() < end:
        if len(listener.heard.messages) != count:
            quiet_since, count = clock.monotonic(), len(listener.heard.messages)
        complete = all(listener.heard.of(f"forecast/{n}") for n in ("temperature", "humidity"))
        if complete and clock.monotonic() - quiet_since > 1.0:
            return
        time.sleep(0.1)
    raise TryLater(f"no forecast reached the subscriber within {WAIT_S:.0f} s")
