"""Settings and places of `trainer.workspace.config` and `trainer.workspace.workspace`."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import CannotCreate, ConfigError, InputMissing, UsageError
from tests.fakes.clock import FakeClock
from trainer import setup
from trainer.ingest.kma_client import KmaClient
from trainer.workspace import config
from trainer.workspace.config import Config
from trainer.workspace.kma_sources import DATA_PORTAL, Kma
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = files("trainer").joinpath("trainer.toml").read_bytes()


def opened_template() -> bytes:
    """The template with every commented key opened."""
    lines = [
        line[2:] if line.startswith("# ") and " = " in line and line[2].islower() else line
        for line in TEMPLATE.decode().splitlines()
    ]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("content", [TEMPLATE, opened_template()])
def test_the_template_says_the_defaults(content: bytes) -> None:
    """As it is and with every comment opened, the file means the defaults."""
    assert config.decode(content, "trainer.toml") == Config()


def test_the_template_names_every_key() -> None:
    """A key that is not explained there does not exist for a reader."""
    text = opened_template().decode()
    for struct in (Config, Kma, config.Training, config.DepotSettings, config.Compute):
        for name in struct.__struct_fields__:
            assert f"\n{name} = " in text or f"\n[{name}]" in text, name


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"kma = 1", "kma"),
        (b"[kma]\nparalel = 3", "kma.paralel.*did you mean 'parallel'"),
        (b"[kma]\nparallel = 0", "kma.parallel"),
        (b"stations = []", "stations"),
        (b"start = '2024-02-30'", "start.*not a day"),
        (b"start = 'x'", "start"),
        (b"[kma]\nasos_url = 'ftp://x'", "kma.asos_url"),
        (b"= 1", "not TOML"),
    ],
)
def test_wrong_settings_are_named_by_path(content: bytes, text: str) -> None:
    """One line with the file, the key and what is wrong."""
    with pytest.raises(ConfigError, match=text) as caught:
        config.decode(content, "here.toml")
    assert str(caught.value).startswith("here.toml: ")
    assert "\n" not in str(caught.value)


def test_the_environment_overrides_any_key() -> None:
    """TRAINER__SECTION__KEY, read by the type of the key."""
    env = {
        "TRAINER__KMA__PARALLEL": "9",
        "TRAINER__KMA__ASOS_URL": "http://127.0.0.1:1/x",
        "TRAINER__STATIONS": "[90, 108]",
        "TRAINER__LAKE_PATH": "elsewhere",
        "OTHER": "x",
    }
    found = config.decode(b"[kma]\nparallel = 2", "t", env)
    assert (found.kma.parallel, found.kma.asos_url) == (9, "http://127.0.0.1:1/x")
    assert (found.stations, found.lake_path) == ((90, 108), "elsewhere")
    with pytest.raises(ConfigError, match=r"kma\.wrong"):
        config.decode(b"", "t", {"TRAINER__KMA__WRONG": "1"})


def test_the_settings_file_is_found_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config, then TRAINER_CONFIG, then the current folder."""
    for name in ("flag", "variable", "current"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer.toml").write_text("")
    monkeypatch.chdir(tmp_path / "current")
    env = {"TRAINER_CONFIG": str(tmp_path / "variable" / "trainer.toml")}
    assert Workspace.open(tmp_path / "flag", env).root == tmp_path / "flag"
    assert Workspace.open(None, env).root == tmp_path / "variable"
    assert Workspace.open(None, {}).root == tmp_path / "current"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputMissing, match="trainer init DIR"):
        Workspace.open(None, {})


def test_a_new_workspace_opens_and_is_not_made_twice(tmp_path: Path) -> None:
    """`init` makes all of it; a second one refuses to touch it."""
    made = setup.create(tmp_path / "farm")
    assert made == Workspace.open(tmp_path / "farm", {})
    assert (tmp_path / "farm" / "releases.jsonl").read_bytes() == b""
    assert (tmp_path / "farm" / "root.json").is_file()
    assert (tmp_path / "farm" / "depot").is_dir()
    assert made.lake.stations() == ()
    with pytest.raises(CannotCreate, match="already"):
        setup.create(tmp_path / "farm")


def test_a_creation_that_was_cut_short_is_completed(tmp_path: Path) -> None:
    """Without its settings file a workspace counts as unfinished; its keys are kept."""
    made = setup.create(tmp_path)
    keys = {path.name: path.read_bytes() for path in made.keys.iterdir()}
    (tmp_path / "trainer.toml").unlink()
    setup.create(tmp_path)
    assert {path.name: path.read_bytes() for path in made.keys.iterdir()} == keys


def test_the_key_comes_from_environment_file_or_credentials(tmp_path: Path) -> None:
    """In that order; without any of them the error says where to get one."""
    (tmp_path / "key.txt").write_text("from-file\n")
    (tmp_path / "kma_service_key").write_text("from-systemd\n")
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    env = {**credentials, "KMA_SERVICE_KEY": " from-env "}

    def key(file: str, env: dict[str, str]) -> str:
        workspace = Workspace(tmp_path, Config(kma=Kma(service_key_file=file)))
        return KmaClient(workspace, FakeClock(), env).key(DATA_PORTAL)

    assert key("key.txt", env) == "from-env"
    assert key("key.txt", credentials) == "from-file"
    assert key("", credentials) == "from-systemd"
    with pytest.raises(ConfigError, match=r"set KMA_SERVICE_KEY.*data\.go\.kr"):
        key("none.txt", {})


def test_a_workspace_may_name_a_bucket_only(tmp_path: Path) -> None:
    """Anything else than an s3:// address would silently become a folder of that name."""
    with pytest.raises(UsageError, match="--bucket farm: not an address like s3://"):
        setup.create(tmp_path, bucket="farm")
    assert not list(tmp_path.iterdir())


def test_runs_may_lie_in_another_folder(tmp_path: Path) -> None:
    """The records stay in the workspace, as everything but the runs does."""
    made = Workspace(tmp_path, Config(runs_path="elsewhere"))
    made.run_store.add("r1", "report.html", b"page")
    made.records.write("releases.jsonl", b"")
    assert (tmp_path / "elsewhere/r1/report.html").read_bytes() == b"page"
    assert (tmp_path / "releases.jsonl").exists()
