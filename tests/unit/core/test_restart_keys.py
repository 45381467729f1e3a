"""Each key of the schema is taken by a reload, or named where it changes."""

from __future__ import annotations

import ast
import gc
import inspect
import sys
import types
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from edge_agent import settings
from edge_agent.commands import common, run
from edge_agent.core import restart_keys
from edge_agent.core.command_handlers import command_handler
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.system import value_words
from tests.fakes.clock import FakeClock
from tests.fakes.config_keys import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 7, 1, tzinfo=UTC)
BEFORE = settings.Config(
    sensors=(settings.Sensor(topic="a", quantity="rain_mm", unit="mm"),),
    rules=(
        settings.Rule(
            name="a",
            quantity="air_temperature_c",
            operator=">",
            threshold=30.0,
            all=(settings.Condition(quantity="rain_mm", operator=">", threshold=0.0),),
            action=settings.Action(command="vent"),
        ),
    ),
    mqtt=settings.Mqtt(tls=settings.Tls(ca="a")),
)
"""One table of each kind."""
VALUES: dict[str, object] = {
    "device.timezone": "UTC",
    "irrigation.crop": "apple",
    "rules.0.quantity": "relative_humidity_pct",
    "sensors.0.quantity": "air_temperature_c",
    "sensors.0.unit": "C",
}
TYPES = {".".join(path): annotation for path, annotation in keys_of(settings.Config)}
KEYS = list(TYPES)


def changed(config: Any, path: str) -> Any:  # noqa: ANN401 - a table of any kind
    """The same with another value of one key."""
    key, _, inner = path.partition(".")
    now = getattr(config, key)
    if isinstance(now, tuple) and inner:
        new: object = (changed(now[0], inner.partition(".")[2]), *now[1:])
    elif inner:
        new = changed(now, inner)
    elif isinstance(now, bool):
        new = not now
    elif isinstance(now, int | float):
        new = now + 1
    elif isinstance(now, tuple):
        new = now[1:] or ("x",)
    else:
        new = f"{now}x" if isinstance(now, str) else 5.0
    return msgspec.structs.replace(config, **{key: new})


def other(path: str) -> settings.Config:
    """The configuration with another value of one key."""
    made: settings.Config = changed(BEFORE, path)
    listed = value_words.literals(TYPES[path])
    if path in VALUES or listed:
        *tables, key = path.split(".")
        table: Any = made
        for name in tables:
            table = table[0] if name == "0" else getattr(table, name)
        msgspec.structs.force_setattr(table, key, VALUES.get(path) or listed[-1])
    return made


def reachable(*roots: object) -> Iterator[object]:
    """Every object that these hold; programs themselves are left out."""
    programs = {id(vars(module)) for module in list(sys.modules.values())}
    seen, waiting = set(programs), list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | types.ModuleType | types.FrameType):
            continue
        seen.add(id(found))
        yield found
        waiting.extend(gc.get_referents(found))


@pytest.mark.parametrize("key", KEYS)
def test_each_key_that_a_reload_does_not_take_is_named(key: str) -> None:
    """By itself; every other key is taken, as the next test shows."""
    assert other(key) != BEFORE
    fixed = key == "storage.path" or key.startswith("web.")
    named = (f"{key} changed: it is taken at the next restart",) if fixed else ()
    assert restart_keys.changes(BEFORE, other(key)) == named


def test_nothing_that_outlives_a_reload_holds_a_table_of_before(tmp_path: Path) -> None:
    """Every table is changed at once: each key is taken, but for those that are named."""
    after = BEFORE
    for key in KEYS:
        section = key.partition(".")[0]
        if getattr(after, section) is getattr(BEFORE, section):
            after = msgspec.structs.replace(after, **{section: getattr(other(key), section)})
    after = msgspec.structs.replace(
        after,
        storage=settings.Storage(path="x"),
        quiet_hours=settings.QuietHours(start="22:00", end="06:00"),
    )
    files, clock = [after, BEFORE], FakeClock(NOW)
    worker = Worker(
        lambda: Runtime(files.pop(), tmp_path, clock, lambda: True), lambda _: None, str
    )
    with closing(worker):
        delivery = worker.delivery()
        fresh = worker.reload()
        if fresh.take_over(delivery):
            delivery = fresh
        worker.close_replaced()
        runtime = worker._runtime
        assert runtime.config == after
        named = [text for text in runtime.settings_problems(NOW) if "next restart" in text]
        assert [text.partition(" ")[0] for text in named] == ["storage.path", "web.host"]
        runtime.started_with = runtime.config
        old = {id(BEFORE), *(id(getattr(BEFORE, name)) for name in BEFORE.__struct_fields__)}
        assert not [held for held in reachable(worker, fresh) if id(held) in old]


def test_what_the_service_opens_once_is_what_is_named() -> None:
    """Of its first configuration `run` uses the state folder and the page's table, and no more."""
    tree = ast.parse(inspect.getsource(run.run_service.callback or run.run_service))
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "settings" in map(ast.unparse, node.args)
    }
    parts = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert calls == {"open_state_folder"}
    assert {part for part in parts if part.startswith("settings.")} == {"settings.web"}
    alone = SimpleNamespace(storage=SimpleNamespace(path="/srv/state"))
    assert str(common.state_folder(cast("settings.Config", alone))) == "/srv/state"
    fixed = {"storage.path", *(f"web.{name}" for name in settings.Web.__struct_fields__)}
    assert set(restart_keys.RESTART_KEYS) == fixed


def test_the_answer_to_a_reload_names_them(tmp_path: Path) -> None:
    """Whoever asks over MQTT reads it in the answer."""
    with closing(Runtime(BEFORE, tmp_path, FakeClock(NOW), lambda: True)) as runtime:
        for key, more in (
            ("web.port", "; web.port changed: it is taken at the next restart"),
            ("mqtt.port", ""),
        ):
            handler = command_handler(runtime, lambda _: None, lambda key=key: other(key))  # type: ignore[misc] # bound per round
            assert handler.ask("reload", b"") == (True, f"the configuration is read anew{more}")
