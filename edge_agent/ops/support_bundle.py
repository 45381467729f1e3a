"""Support bundle: one file with the state of this device for whoever helps, without secrets."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import tarfile
from contextlib import closing
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import msgspec

from edge_agent import __version__
from edge_agent.alerts.log import AlertLog
from edge_agent.contract.errors import CannotCreate, FarmError
from edge_agent.core import masking
from edge_agent.core.runtime import DATABASE
from edge_agent.mqtt import outbox_inspection
from edge_agent.mqtt.outbox_table import counters
from edge_agent.system import fault_words
from edge_agent.updates.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_agent.ops.findings import Finding, Subject

UNIT: Final = "edge-agent.service"
_ALERTS: Final = 200
_LOG_LINES: Final = 5000
_LOG_WAIT_S: Final = 20
_LIBRARIES: Final = ("polars", "numpy", "onnxruntime", "paho-mqtt", "tuf", "msgspec", "httpx")


def write(target: Path, subject: Subject, findings: Sequence[Finding]) -> list[str]:
    """Write the bundle; names of the files in it.

    Every secret of the device is masked in every file.

    Raises:
        CannotCreate: The file cannot be written.
    """
    documents: dict[str, Any] = {
        "config.json": masking.masked(subject.config),
        "doctor.json": findings,
        "versions.json": _versions(),
        "release.json": _release(subject),
        "queue.json": _queue(subject),
        "alerts.json": _alerts(subject),
    }
    texts = {name: _json(document) for name, document in documents.items()}
    texts["service.log"] = _log()
    secrets = masking.secrets(subject.config, subject.env)
    stamp = int(subject.clock.now().timestamp())
    try:
        with tarfile.open(target, "x:gz") as bundle:
            for name, text in texts.items():
                content = masking.without(text, secrets).encode()
                entry = tarfile.TarInfo(f"edge-agent-support/{name}")
                entry.size, entry.mtime = len(content), stamp
                bundle.addfile(entry, io.BytesIO(content))
        target.chmod(0o600)
    except OSError as fault:
        raise CannotCreate(f"{target}: {fault.strerror}: name a new file") from fault
    return list(texts)


def _json(document: object) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _versions() -> dict[str, str]:
    versions = {"edge-agent": __version__, "python": platform.python_version()}
    versions |= {"system": platform.platform(), "machine": platform.machine()}
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "unknown"
    return versions


def _release(subject: Subject) -> dict[str, Any]:
    slots = Slots(subject.state)
    pointer = msgspec.to_builtins(slots.pointer())
    installed = slots.load()
    if installed is None:
        return {"slots": pointer}
    manifest = installed.manifest
    return {
        "slots": pointer,
        "models": {name: model.version for name, model in manifest.models.items()},
        "scores": manifest.scores,
        "lineage": manifest.lineage,
    }


def _queue(subject: Subject) -> dict[str, Any]:
    try:
        with closing(outbox_inspection.open_existing(subject.state / DATABASE)) as db:
            return {
                "counts": counters(db),
                "messages": [
                    {"id": row.message.id, "topic": row.message.topic, "refused": row.refused}
                    for row in outbox_inspection.rows(db)
                ],
            }
    except FarmError as fault:
        return {"unreadable": str(fault)}


def _alerts(subject: Subject) -> list[Any] | dict[str, str]:
    try:
        with closing(outbox_inspection.open_existing(subject.state / DATABASE)) as db:
            return [msgspec.to_builtins(line) for line in AlertLog(db).newest(_ALERTS)]
    except FarmError as fault:
        return {"unreadable": str(fault)}


def _log() -> str:
    journal = shutil.which("journalctl")
    if journal is None:
        return "journalctl is not installed: add the service's log by hand\n"
    command = [journal, "--unit", UNIT, "--lines", str(_LOG_LINES), "--no-pager", "--utc"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, full path
            command, capture_output=True, timeout=_LOG_WAIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        return f"the journal cannot be read: {fault_words.of_file(fault)}\n"
    return (done.stdout + done.stderr).decode(errors="replace")
