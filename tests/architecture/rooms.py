"""The import table as data: one row a room of each package. `docs/architecture.md` shows the same.

A room is a folder or a module directly below the package. It stands on its floor, imports only
rooms of lower floors, and of those only the ones its row names. Both packages may have six floors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Room:
    """One row.

    Attributes:
        floor: From 1, the ground.
        imports: Rooms of the same package that it imports.
        shared: Rooms of `edge_agent` that it imports; for the trainer only.
    """

    floor: int
    imports: frozenset[str]
    shared: frozenset[str] = frozenset()


def _room(floor: int, imports: str = "", shared: str = "") -> Room:
    return Room(floor, frozenset(imports.split()), frozenset(shared.split()))


MOST_FLOORS: Final = 6
MOST_LOOSE: Final = 8
"""Modules directly below a package, `__init__` and `__main__` aside."""
MOST_LINES: Final = 400
LONG_LINES: Final = 300
MOST_LONG: Final = 6
"""Modules over `LONG_LINES`, in both packages together."""

EDGE_AGENT: Final = {
    "contract": _room(1),
    "agronomy": _room(2, "contract"),
    "messages": _room(2, "contract"),
    "settings": _room(2, "contract"),
    "system": _room(2, "contract"),
    "alerts": _room(3, "agronomy contract messages settings system"),
    "forecasting": _room(3, "agronomy contract messages settings system"),
    "mqtt": _room(3, "contract messages settings system"),
    "observations": _room(3, "contract settings system"),
    "updates": _room(3, "contract system"),
    "config": _room(4, "agronomy alerts contract observations settings system"),
    "core": _room(
        4,
        "agronomy alerts contract forecasting messages mqtt observations settings system updates",
    ),
    "cli": _room(5, "system"),
    "ops": _room(
        5, "alerts contract core forecasting messages mqtt observations settings system updates"
    ),
    "replay": _room(
        5, "agronomy alerts contract core forecasting messages observations settings system"
    ),
    "web": _room(
        5,
        "agronomy alerts contract core forecasting messages mqtt observations settings system "
        "updates",
    ),
    "__main__": _room(6, "cli"),
    "commands": _room(
        6,
        "alerts config contract core messages mqtt observations ops "
        "replay settings system updates web",
    ),
}

TRAINER: Final = {
    "workspace": _room(1, "", "contract system"),
    "depot": _room(2, "workspace", "contract system"),
    "evaluation": _room(2, "workspace", "contract forecasting system"),
    "ingest": _room(2, "workspace", "contract system"),
    "fleet": _room(3, "ingest workspace", "contract system"),
    "gate": _room(3, "depot evaluation ingest workspace", "contract forecasting system"),
    "relay": _room(3, "depot ingest workspace", "contract"),
    "report": _room(3, "depot evaluation workspace", "contract system"),
    "setup": _room(3, "depot workspace", "contract system"),
    "training": _room(3, "evaluation ingest workspace", "contract forecasting system"),
    "site_corrections": _room(4, "depot evaluation gate workspace", "contract forecasting system"),
    "daily": _room(
        5,
        "depot evaluation gate ingest relay site_corrections training workspace",
        "contract system",
    ),
    "cli": _room(6, "", "system"),
    "commands": _room(
        6,
        "daily depot evaluation fleet gate ingest relay report setup site_corrections "
        "training workspace",
        "contract core replay settings system",
    ),
}

ROOMS: Final = {"edge_agent": EDGE_AGENT, "trainer": TRAINER}

OWNERS: Final = {
    "onnxruntime": {"edge_agent.forecasting.inference"},
    "paho": {
        "edge_agent.mqtt.client",
        "edge_agent.mqtt.packet_options",
        "trainer.fleet.retained_messages",
    },
    "tuf": {
        "edge_agent.updates.depot",
        "trainer.depot.agent_program",
        "trainer.depot.cleanup",
        "trainer.depot.key_ceremony",
        "trainer.depot.key_rotation",
        "trainer.depot.metadata",
        "trainer.depot.publisher",
        "trainer.depot.targets",
    },
    "lightgbm": {"trainer.training.trees"},
    "onnx": {"trainer.training.onnx_export"},
    "onnxmltools": {"trainer.training.onnx_export"},
    "matplotlib": {"trainer.report.charts"},
    "mlflow": {"trainer.report.mlflow_mirror"},
}
"""Foreign library -> the modules that may import it."""

FORBIDDEN_ON_DEVICE: Final = frozenset(
    [
        "trainer",
        "demo",
        "lightgbm",
        "onnx",
        "onnxmltools",
        "skl2onnx",
        "pandas",
        "sklearn",
        "scipy",
        "joblib",
        "rich",
        "matplotlib",
        "mlflow",
    ]
)
CONTRACT_LIBRARIES: Final = frozenset({"numpy", "polars", "msgspec"})
CONTRACT_WITHOUT: Final = frozenset(
    {"os", "pathlib", "socket", "logging", "time", "sqlite3", "subprocess"}
)
"""What the contract imports neither: it has no clock, disk, network or log."""
