"""Checks of the connections of a device: to the broker and to the depot."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edge_agent.contract.errors import Refused, TryLater
from edge_agent.core import certificates, delivery_setup, service_answer
from edge_agent.core.update_setup import open_depot
from edge_agent.messages.topics import Topics
from edge_agent.mqtt.probe import ProbeStep, probe
from edge_agent.ops import broker_traffic
from edge_agent.ops.findings import Finding, Outcome, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_agent.ops.findings import Subject

_UNRENEWED: Final = timedelta(days=3)
"""A depot's timestamp is valid for two weeks and renewed daily."""


class _Signed(msgspec.Struct):
    expires: datetime


class _Timestamp(msgspec.Struct):
    signed: _Signed


def examine(subject: Subject) -> Iterator[Finding]:
    """Findings on broker and depot; takes some seconds where one does not answer."""
    yield from guarded("broker", lambda: _broker(subject))
    yield from guarded("depot", lambda: _depot(subject))


def _broker(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    topics = Topics.of(config.device.site, config.device.id, config.mqtt.base_topic)
    running = service_answer.ask(subject.state) is not None
    presence = b"online" if running else b"offline"
    broker = delivery_setup.broker_of(config, topics, subject.env)
    broker = replace(broker, will=replace(broker.will, payload=presence))
    traffic = broker_traffic.of(config, topics, subject.state, presence)
    for step in probe(broker, traffic, config.mqtt.protocol, subject.clock):
        yield _finding(step, subject.clock.now())


def _finding(step: ProbeStep, now: datetime) -> Finding:
    if not step.good:
        outcome = Outcome.WARN if step.lessened else Outcome.FAIL
        return Finding(step.name, outcome, step.seen, step.advice)
    if step.ends is not None and now >= step.ends - certificates.SOON:
        return Finding(step.name, Outcome.WARN, step.seen, "renew the broker's certificate")
    return Finding(step.name, Outcome.OK, step.seen)


def _depot(subject: Subject) -> Iterator[Finding]:
    depot = subject.config.depot
    if not (depot.url or depot.path):
        yield Finding(
            "depot", Outcome.WARN, "none is configured",
            "set [depot] url, or bring releases by edge-agent sync --from",
        )  # fmt: skip
        return
    with tempfile.TemporaryDirectory() as folder:
        # A copy: the checks must not change the device's metadata of the depot.
        trust = Path(folder) / "tuf"
        if (subject.state / "tuf").is_dir():
            shutil.copytree(subject.state / "tuf", trust, symlinks=True)
        now = subject.clock.now()
        try:
            with open_depot(subject.config, trust, subject.clock) as opened:
                opened.refresh(now)
        except TryLater as fault:
            yield Finding(
                "depot",
                Outcome.FAIL,
                str(fault),
                "edge-agent sync tries again; what is installed goes on",
            )
            return
        except Refused as fault:
            advice = "ask whoever runs the depot; nothing is taken from it until then"
            yield Finding("depot", Outcome.FAIL, str(fault), advice)
            return
        timestamp = msgspec.json.decode((trust / "timestamp.json").read_bytes(), type=_Timestamp)
    end = timestamp.signed.expires
    seen = f"{'reached' if depot.url else depot.path}, signed until {end:%Y-%m-%d %H:%M} UTC"
    if end - now < _UNRENEWED:
        advice = "nobody has renewed it for days: look after the trainer's relay"
        yield Finding("depot", Outcome.WARN, seen, advice)
    else:
        yield Finding("depot", Outcome.OK, seen)
