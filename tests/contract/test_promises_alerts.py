"""Promises about alerts, whatever happens: T2, S1 to S4, S6 and O3 of the promises.

The machine's steps are what the world does to a running device. Its model of the world is a list
of what holds and what was told; it knows nothing of latches. Every message that the device queues
is read as a controller reads it.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from edge_agent.contract.forecast import Forecast, Source
from edge_agent.core.rules import rules_of
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received
from tests.fakes.clock import FakeClock
from tests.fakes.farm import no_update
from tests.fakes.forecasts import forecast as forecast_of
from tests.fakes.promised_farm import (
    START,
    TOPIC,
    ZONE,
    Farm,
    RuleNotes,
    is_quiet,
    means_another,
    meets,
)
from tests.fakes.promises import EXAMPLES, STEPS, TIMEOUT_S, PromisedDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.core.runtime import Runtime
    from edge_agent.settings import Config, Rule

MINUTE: Final = timedelta(minutes=1)
LIMIT_S: Final = 900
SETTLED: Final = 20 * MINUTE
"""After this a clock that was set counts as right."""
YEARS_S: Final = 73 * 365 * 86_400.0
VALUES: Final = (-9.0, -2.0, 0.5, 2.5, 15.0, 27.0, 29.0, 31.0, 36.0, 40.0)


class AlertPromises(RuleBasedStateMachine):
    """A device with a sensor, a forecast, four rules of its own and the built-in ones."""

    @initialize()
    def begin(self) -> None:
        """A device that has just started."""
        self.folder = Path(mkdtemp(prefix="promises-"))
        self.clock = FakeClock(START)
        self.farm = Farm()
        self.reading: tuple[datetime, float] | None = None
        self.written: tuple[datetime, float] | None = None
        self.written_at = START
        self.set_right_at = START - SETTLED
        self.foreseen: float | None = None
        self.synchronised = True
        self.by_rule: dict[str, RuleNotes] = {}
        self.read_to = 0
        self.broker = True
        self.heard: dict[str, dict[str, Any]] = {}
        self.heard_in_time: set[str] = set()
        self._write()
        self.worker = Worker(self._open, lambda _: None, no_update)
        self.worker.delivery()
        self._cycle()

    def teardown(self) -> None:
        """Close the device."""
        if hasattr(self, "worker"):
            self.worker.close()
            shutil.rmtree(self.folder)

    # What the world does.

    @rule(value=st.sampled_from(VALUES))
    def measures(self, value: float) -> None:
        """A reading, alone in its five minutes, so that it is the value of now."""
        self.clock.advance(330)
        self._publish(value)
        self._watch()

    @rule(minutes=st.integers(1, 300))
    def time_passes(self, minutes: int) -> None:
        """The sensor goes on with its value, and the service with its minute watch."""
        end = self.clock.now() + minutes * MINUTE
        while self.clock.now() < end:
            step_s = min(600.0, (end - self.clock.now()).total_seconds())
            hour = self.clock.now().hour
            self.clock.advance(step_s)
            if self.reading is not None:
                self._publish(self.reading[1])
            if self.clock.now().hour != hour:
                self._cycle()
            self._watch()

    @rule()
    def falls_silent(self) -> None:
        """The sensor says nothing for longer than its limit."""
        self.clock.advance(1000)
        self.reading = None
        self._watch()

    @rule(value=st.sampled_from(VALUES))
    def forecast_comes(self, value: float) -> None:
        """A forecast of one temperature for all hours."""
        self.foreseen = value
        self.clock.advance(5)
        self._cycle()

    @rule(name=st.sampled_from(["warm", "vent", "cold", "tomorrow"]), minutes=st.integers(1, 300))
    def person_snoozes(self, name: str, minutes: int) -> None:
        """A person asks for silence."""
        known = self.by_rule.get(name)
        if known is not None and self._ask("snooze", rule=name, minutes=minutes):
            known.snoozed_until = self.clock.now() + minutes * MINUTE
            self._watch()

    @rule(name=st.sampled_from(["warm", "vent", "cold", "tomorrow"]))
    def person_acknowledges(self, name: str) -> None:
        """A person has seen the alert that stands."""
        known = self.by_rule.get(name)
        if known is not None and known.holds and known.told and self._ask("ack", rule=name):
            known.seen = True
            self._watch()

    @rule()
    def restarts(self) -> None:
        """The service is stopped and started."""
        self.worker.close()
        self._start()

    @rule()
    def is_killed(self) -> None:
        """The power goes: nothing is written that was not committed."""
        self.worker._runtime.db.close()
        self.reading = self.written
        self._start()

    @rule(threshold=st.sampled_from([26.0, 30.0, 33.0]))
    def threshold_is_edited(self, threshold: float) -> None:
        """A person edits the rule."""
        self._reload(replace(self.farm, warm=threshold))

    @rule(severity=st.sampled_from(["info", "warning", "critical"]))
    def severity_is_edited(self, severity: str) -> None:
        """A person says that it matters more, or less."""
        self._reload(replace(self.farm, warm_severity=severity))

    @rule(name=st.sampled_from(["warm", "hot"]))
    def rule_is_renamed(self, name: str) -> None:
        """A person gives the rule another name."""
        self._reload(replace(self.farm, warm_name=name))

    @rule()
    def rule_goes_or_comes_back(self) -> None:
        """A person takes a rule out, or puts it in again."""
        self._reload(replace(self.farm, cold=not self.farm.cold))

    @rule(command=st.sampled_from(["open", "spray"]))
    def action_is_edited(self, command: str) -> None:
        """The controller is to do something else."""
        self._reload(replace(self.farm, vent_command=command))

    @rule(quiet=st.booleans(), cap=st.sampled_from([1, 2, 24]))
    def limits_are_edited(self, quiet: bool, cap: int) -> None:
        """A person sets quiet hours and the most alerts a day."""
        self._reload(replace(self.farm, quiet=quiet, cap=cap))

    @rule(years=st.sampled_from([-1.0, 1.0]), snooze=st.booleans())
    def clock_is_wrong_for_a_minute(self, years: float, snooze: bool) -> None:
        """The wall clock is set to another year and back; nobody vouches for it meanwhile."""
        self.synchronised = False
        self.clock.jump(years * YEARS_S)
        self.clock.advance(30)
        self.worker.watch(self.clock.now())
        self._read()
        if snooze and "warm" in self.by_rule and self._ask("snooze", rule="warm", minutes=30):
            known = self.by_rule["warm"]
            known.snoozed_until = (
                self.clock.now() - timedelta(seconds=years * YEARS_S) + 31 * MINUTE
            )
        self.clock.advance(30)
        self.clock.jump(-years * YEARS_S)
        self.synchronised = True
        self.set_right_at = self.clock.now()
        for _, known in self._current():
            known.since = None
        if self.reading is not None:
            self.clock.advance(330)
            self._publish(self.reading[1])
        self._watch()

    @rule()
    def broker_comes_or_goes(self) -> None:
        """The link to the broker."""
        self.broker = not self.broker
        self._deliver()

    @precondition(lambda self: self.foreseen is not None)
    @rule()
    def somebody_looks_at_yesterday(self) -> None:
        """`once --at` for a past hour: decides and writes nothing."""
        self.worker._runtime.decide(self.clock.now() - timedelta(days=1))

    # What must hold.

    @invariant()
    def state_says_what_holds(self) -> None:
        """T2: never `clear` while it holds, `unknown` where nothing is known, and why it waits."""
        for name, known in self._current():
            assert known.state is not None, f"{name}: no state is published"
            level = "unknown" if not known.known else "raised" if known.holds else "clear"
            assert known.state["level"] == level, (name, known)
            held = known.state["held_back"]
            if known.known and known.holds and not known.told:
                assert held is not None, (name, known)
            if known.known and known.holds == known.told and not self._updates_held(known):
                assert held is None, (name, known)

    @invariant()
    def what_may_be_told_was_told(self) -> None:
        """S1, S2: what stands is told unless something that may forbids it."""
        for name, known in self._current():
            if not known.known or known.holds == known.told:
                continue
            reasons = list(self._forbidding(self._rule(name), known))
            assert reasons, f"{name} is not told, and nothing forbids it: {known}"
            if known.holds:
                assert known.state is not None
                assert known.state["held_back"]["why"] in reasons, (name, known.state, reasons)

    @invariant()
    def events_alternate(self) -> None:
        """A controller never hears two starts, or an end of what did not start."""
        for name, known in getattr(self, "by_rule", {}).items():
            told = False
            for kind, at in known.events:
                assert (kind == "raised") is not told, (name, at, known.events)
                told = kind != "cleared"

    @invariant()
    def gone_rules_leave_nothing(self) -> None:
        """S4: no state stays retained, and what was told is ended."""
        names = {rule.name for rule in self._configured()} if hasattr(self, "worker") else set()
        for name, known in getattr(self, "by_rule", {}).items():
            if name not in names:
                assert known.state is None, (name, known)
                assert not known.told, (name, known)

    @invariant()
    def action_that_stands_was_heard_in_time(self) -> None:
        """S6: with a broker, what the controller heard last of a standing action can be done."""
        if not hasattr(self, "worker") or not self.broker:
            return
        known = self.by_rule.get("vent")
        if known is not None and known.known and known.holds and known.told:
            assert self.heard["vent"]["id"] in self.heard_in_time, self.heard["vent"]

    # How the model keeps up.

    def _open(self) -> Runtime:
        return PromisedDevice(self.folder, self.clock, lambda: self.synchronised, self._forecast)

    def _forecast(self) -> Forecast | None:
        if self.foreseen is None:
            return None
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        made = forecast_of([self.foreseen] * 48, now=hour, source=Source.MODEL)
        targets = {
            name: replace(t, quantiles=t.values[:, None] + 0.0 * t.quantiles)
            for name, t in made.targets.items()
        }
        return replace(made, targets=targets)

    def _write(self) -> None:
        (self.folder / "config.toml").write_text(self.farm.text(), "utf-8")

    def _start(self) -> None:
        self.worker = Worker(self._open, lambda _: None, no_update)
        self.worker.delivery()
        self.clock.advance(20)
        self._measure_again()
        self._cycle()

    def _reload(self, farm: Farm) -> None:
        before = {r.name: r for r in self._configured()}
        self.farm = farm
        self._write()
        self.clock.advance(5)
        self.worker.reload()
        self.worker.close_replaced()
        self._measure_again()
        after = {r.name: r for r in self._configured()}
        for name, known in self.by_rule.items():
            if name not in after or (name in before and means_another(before[name], after[name])):
                known.holds, known.since, known.seen = False, None, False
                known.snoozed_until = START if name not in after else known.snoozed_until
        self._cycle()

    def _configured(self) -> tuple[Rule, ...]:
        return rules_of(self._settings())

    def _settings(self) -> Config:
        return self.worker._runtime.config

    def _rule(self, name: str) -> Rule:
        return next(r for r in self._configured() if r.name == name)

    def _current(self) -> Iterator[tuple[str, RuleNotes]]:
        """Rules in force on hours of air temperature: others have no value here, or no change."""
        if not hasattr(self, "worker"):
            return
        for r in self._configured():
            if r.quantity == "air_temperature_c" and not r.aggregate:
                yield r.name, self.by_rule.setdefault(r.name, RuleNotes())

    def _publish(self, value: float) -> None:
        self.reading = (self.clock.now(), value)
        self.worker.take(Received(TOPIC, str(value).encode(), retain=False, at=self.clock.now()))

    def _ask(self, command: str, **request: object) -> bool:
        answer = self.worker.ask(command, msgspec.json.encode(request))
        return answer is not None and answer[0]

    def _cycle(self) -> None:
        self.worker.cycle(self.clock.now())
        self.written, self.written_at = self.reading, self.clock.now()
        self._look()

    def _watch(self) -> None:
        self.worker.watch(self.clock.now())
        if self.clock.now() - self.written_at >= 30 * MINUTE:
            self.written, self.written_at = self.reading, self.clock.now()
        self._look()

    def _look(self) -> None:
        now = self.clock.now()
        for name, known in self._current():
            r = self._rule(name)
            value = self.foreseen
            if r.now:
                at, value = self.reading or (START - 24 * 60 * MINUTE, None)
                value = value if now - at <= timedelta(seconds=LIMIT_S) else None
            known.known = value is not None
            if value is None:
                continue
            clear = r.threshold if r.clear is None else r.clear
            met, over = meets(r, value, r.threshold), not meets(r, value, clear)
            known.ends = over
            begun = known.since or self.set_right_at
            held = now - begun < timedelta(seconds=r.hold_s)
            if not known.holds and met:
                known.holds, known.since = True, now
            elif known.holds and over and not held:
                known.holds, known.since, known.seen = False, now, False
        self._read()
        self._accept_early_ends()
        self._deliver()

    def _measure_again(self) -> None:
        """Soon after the clock was set nothing is written, so a start knows no reading."""
        if self.reading is not None and self.clock.now() - self.set_right_at < SETTLED:
            self.clock.advance(330)
            self._publish(self.reading[1])

    def _accept_early_ends(self) -> None:
        """By a wrong clock a hold may be over: what no longer holds may end early, no more."""
        for _, known in self._current():
            ended = known.state is not None and known.state["level"] == "clear"
            if known.holds and known.since is None and known.ends and ended:
                known.holds, known.since, known.seen = False, self.clock.now(), False

    def _read(self) -> None:
        """Every message that was queued since the last look."""
        root = "farm/v1/farm/edge-1/alert/"
        read_to = self.read_to
        for entry in self.worker._runtime.outbox.due(None, limit=10_000):
            self.read_to = max(self.read_to, entry.seq)
            message = entry.message
            if entry.seq <= read_to or not message.topic.startswith(root):
                continue
            name, _, kind = message.topic.removeprefix(root).partition("/")
            known = self.by_rule.setdefault(name, RuleNotes())
            if kind == "state":
                known.state = msgspec.json.decode(message.payload) if message.payload else None
                continue
            payload = msgspec.json.decode(message.payload)
            if not self._is_anew(known, payload):
                known.events.append((payload["event_type"], self.clock.now()))
            known.event_id = payload["id"]

    def _is_anew(self, known: RuleNotes, payload: dict[str, Any]) -> bool:
        """S6: an action that was not heard may be told once more; the alert is the same."""
        return (
            payload["action"] is not None
            and known.told
            and payload["event_type"] == "raised"
            and known.event_id not in self.heard_in_time
        )

    def _deliver(self) -> None:
        """What a broker and a controller do while the link is there."""
        if not self.broker:
            return
        runtime = self.worker._runtime
        if not self.synchronised:
            return
        while entries := runtime.outbox.due(runtime.known_time(), limit=1000):
            for entry in entries:
                self._hear(entry.message.topic, entry.message.payload)
            runtime.outbox.delivered([entry.message.id for entry in entries])

    def _hear(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/event"):
            return
        event = msgspec.json.decode(payload)
        if event["event_type"] == "raised" and event["action"]:
            self.heard[event["rule"]] = event
            if self.clock.now() < datetime.fromisoformat(event["action"]["expires_at"]):
                self.heard_in_time.add(event["id"])

    def _updates_held(self, known: RuleNotes) -> bool:
        now = self.clock.now()
        return known.seen or now < known.snoozed_until or is_quiet(self.farm, now)

    def _forbidding(self, r: Rule, known: RuleNotes) -> Iterator[str]:
        """Reasons for which telling may wait."""
        if r.severity == "critical" or r.action is not None:
            return
        now = self.clock.now()
        if is_quiet(self.farm, now):
            yield "quiet_hours"
        if not known.holds:
            return
        if now < known.snoozed_until:
            yield "snooze"
        ends = [at for kind, at in known.events if kind == "cleared"]
        if ends and now - ends[-1] < timedelta(seconds=r.cooldown_s):
            yield "cool_down"
        day = now.astimezone(ZONE).date()
        raises = [at for kind, at in known.events if kind == "raised"]
        if sum(at.astimezone(ZONE).date() == day for at in raises) >= self.farm.cap:
            yield "daily_cap"


TestAlertPromises = pytest.mark.timeout(TIMEOUT_S)(AlertPromises.TestCase)
TestAlertPromises.settings = settings(max_examples=EXAMPLES, stateful_step_count=STEPS)
