"""Checks of a device, in the style of `iotedge check`: each finding says what to do about it.

The checks change nothing that the service uses; it may run beside them.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.alerts.official_store import OfficialStore
from edge_agent.contract.errors import ConfigError, InputMissing
from edge_agent.core import certificates, cross_check, masking, page_token
from edge_agent.core.runtime import DATABASE
from edge_agent.mqtt import outbox_inspection
from edge_agent.mqtt.refusal_texts import by_cause
from edge_agent.observations.store import Store
from edge_agent.ops import doctor_guidance
from edge_agent.ops.findings import Finding, Outcome, Subject, guarded
from edge_agent.system import files, locations
from edge_agent.system.clock_trust import Timekeeper
from edge_agent.system.database import connect, set_aside_files
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_agent.settings import Config

_TIGHT_BYTES: Final = 20_000_000
_HOUR: Final = timedelta(hours=1)
_COLD: Final = timedelta(hours=48)
"""With older data the models have no input."""


def examine(subject: Subject) -> Iterator[Finding]:
    """Findings on the device itself; `doctor_connectivity` checks broker and depot.

    An error inside a check is that check's finding.
    """
    checks: tuple[tuple[str, Callable[[Subject], Iterator[Finding]]], ...] = (
        ("secrets", _secrets),
        ("clock", _clock),
        ("disk", _disk),
        ("database", _database),
        ("model", _model),
        ("certificates", _certificates),
    )
    for name, check in checks:
        yield from guarded(name, lambda check=check: check(subject))  # type: ignore[misc] # bound per round


def _secrets(subject: Subject) -> Iterator[Finding]:
    if token := page_token.problem(subject.config.web, subject.env):
        advice = "write one line there; a service that runs takes it at once"
        yield Finding("secrets", Outcome.FAIL, f"web.token_file: {token}", advice)
        return
    path = subject.config.mqtt.password_file
    credential = masking.PASSWORD_CREDENTIAL
    try:
        password = locations.secret(path, credential, subject.env)
    except ConfigError as fault:
        yield Finding("secrets", Outcome.FAIL, str(fault), "write the password on one line there")
        return
    if subject.config.mqtt.username and password is None:
        yield Finding(
            "secrets", Outcome.WARN, "mqtt.username without a password",
            f"set mqtt.password_file or the systemd credential {credential}",
        )  # fmt: skip
        return
    yield Finding("secrets", Outcome.OK, "readable" if password else "none is used")


def _clock(subject: Subject) -> Iterator[Finding]:
    now, state = Timekeeper(subject.state, subject.clock).judge()
    seen = f"{now:%Y-%m-%d %H:%M} UTC, {state}"
    if state == "trusted":
        yield Finding("clock", Outcome.OK, seen)
    elif state == "holdover":
        yield Finding(
            "clock", Outcome.WARN, f"{seen}: no time service vouches for it",
            "switch on systemd-timesyncd or chrony; without a network set the clock by hand",
        )  # fmt: skip
    else:
        yield Finding(
            "clock", Outcome.FAIL,
            f"{seen}: earlier than a time that has surely passed, or far beyond the last known one",
            "set the clock; until then nothing is installed, filled or deleted; a right clock that "
            "was off for long is believed after a day",
        )  # fmt: skip


def _disk(subject: Subject) -> Iterator[Finding]:
    state = subject.state
    if not state.is_dir():
        yield Finding("disk", Outcome.WARN, f"{state}: not there", "the service makes it")
        return
    free = shutil.disk_usage(state).free
    seen = f"{free / 1e6:,.0f} MB free at {state}"
    try:
        probe = state / ".doctor"
        files.write_atomic(probe, b"probe")
        probe.unlink()
    except OSError as fault:
        yield Finding(
            "disk", Outcome.FAIL, f"{state}: cannot be written: {fault.strerror}",
            "check mount options, permissions and the disk's health; until then alerts are kept "
            "in memory",
        )  # fmt: skip
        return
    if free < _TIGHT_BYTES:
        advice = "make room: alerts use the reserve, and then memory"
        yield Finding("disk", Outcome.WARN, seen, advice)
    else:
        yield Finding("disk", Outcome.OK, seen)


def _database(subject: Subject) -> Iterator[Finding]:
    path = subject.state / DATABASE
    try:
        with closing(outbox_inspection.open_existing(path)) as db:
            problems = outbox_inspection.problems(db)
            refusals, over = ((), 0) if problems else outbox_inspection.refusals(db)
    except InputMissing:
        yield Finding("database", Outcome.WARN, f"{path}: not there yet", "start the service")
        return
    if problems:
        yield Finding(
            "database", Outcome.FAIL, f"{path}: {problems[0]}",
            "nothing: the service sets the file aside and goes on with a new one; if this comes "
            "again the disk is failing",
        )  # fmt: skip
        return
    aside = set_aside_files(path)
    if aside:
        yield Finding(
            "database", Outcome.WARN, f"damaged files were set aside: {aside[-1].name}",
            f"edge-agent queue export --database {aside[-1]}, then delete it",
        )  # fmt: skip
    else:
        yield Finding("database", Outcome.OK, "sound")
    for text in by_cause(refusals):
        seen, _, advice = text.partition("; ")
        yield Finding("queue", Outcome.WARN, seen, advice)
    if over:
        yield Finding(
            "queue", Outcome.OK,
            f"{over} messages that the broker had refused ended or were replaced since: "
            "edge-agent queue drop --dead forgets them",
        )  # fmt: skip
    with closing(connect(path)) as db:
        yield _data_age(subject, Store(db))
        yield from doctor_guidance.findings(subject, Store(db))
        yield from doctor_guidance.warnings(subject, OfficialStore(db))
        yield from _gaps(subject, Store(db))


def _data_age(subject: Subject, store: Store) -> Finding:
    now = subject.clock.now()
    newest = [(at, name) for name in store.sources() if (at := store.newest(name, now)) is not None]
    if not newest:
        return Finding(
            "data age", Outcome.FAIL, "no observation at all",
            "configure [[sensors]], or a [depot] that relays a station",
        )  # fmt: skip
    at, name = max(newest)
    age = now - at
    seen = f"newest hour {at:%Y-%m-%d %H:%M} UTC from {name}, {age / _HOUR:.1f} h old"
    limit = timedelta(hours=subject.config.limits.advice_max_age_h)
    if age <= limit:
        return Finding("data age", Outcome.OK, seen)
    outcome = Outcome.FAIL if age > _COLD else Outcome.WARN
    return Finding("data age", outcome, seen, _renewal(subject.config, name))


def _renewal(config: Config, source: str) -> str:
    """Who brings newer hours than the newest, which are of `source`."""
    if source.startswith("sensor:") or not (config.depot.url or config.depot.path):
        return "look whether the sensors publish on the topics of [[sensors]], or set a [depot]"
    return (
        "edge-agent sync fetches newer hours; where there are none, ask whoever runs the trainer "
        "whether its relay runs"
    )


def _gaps(subject: Subject, store: Store) -> Iterator[Finding]:
    """Own sensors against station, cell and KMA's forecast."""
    device, slots = subject.config.device, Slots(subject.state)
    for gap in cross_check.stored_gaps(store, device, slots, subject.clock.now()):
        yield Finding(
            "own sensors", Outcome.WARN, gap.text,
            "look at the sensor: its place, shade and ventilation, wiring and unit; critical rules "
            "take the worse of both meanwhile",
        )  # fmt: skip


def _model(subject: Subject) -> Iterator[Finding]:
    slots = Slots(subject.state)
    installed = slots.load()
    if installed is None:
        yield Finding(
            "model", Outcome.FAIL, "no release is installed",
            "edge-agent sync, or edge-agent sync --from a USB stick's folder",
        )  # fmt: skip
        return
    manifest = installed.manifest
    age = subject.clock.now() - datetime.fromisoformat(str(manifest.created_at))
    seen = f"release {manifest.release} ({manifest.channel}), made {age.days} days ago"
    current, left = slots.pointer().current, slots.pointer().left
    if current is not None and current.sha256 != installed.sha256:
        yield Finding(
            "model", Outcome.WARN, f"{seen}; release {current.release} is damaged on this disk",
            "edge-agent sync pulls it anew; look at the disk",
        )  # fmt: skip
    elif left is None:
        yield Finding("model", Outcome.OK, seen)
    else:
        yield Finding(
            "model", Outcome.WARN, f"{seen}; release {left.release} was left: {left.why}",
            "tell whoever runs the trainer",
        )  # fmt: skip


def _certificates(subject: Subject) -> Iterator[Finding]:
    tls = subject.config.mqtt.tls
    if not tls.enabled:
        yield Finding("certificates", Outcome.OK, "no TLS to the broker")
        return
    now = subject.clock.now()
    ends = tuple(certificates.ends(tls))
    warnings = certificates.warnings(tls, now)
    outcome = Outcome.FAIL if any(now >= end for _, end in ends) else Outcome.WARN
    for warning in warnings:
        yield Finding("certificates", outcome, warning)
    if not warnings:
        text = ", ".join(f"{key} until {end:%Y-%m-%d}" for key, end in ends)
        yield Finding("certificates", Outcome.OK, text or "the system's authorities")
