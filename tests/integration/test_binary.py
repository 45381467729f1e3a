"""The built program, not the source: what is in it, and a device's life with it.

`make test-binary` builds it and runs these; they are skipped where none was built
of the present source.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.contract import manifest as contract
from tests.fakes.built import FILE, TREE, needs_program, run
from tests.fakes.certificates import Authority
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Yard
from tests.fakes.farm import ROOT as TOPIC
from tests.fakes.farm import ServiceProcess, fill_weather, whole_release, write_config
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.served import served
from tests.fakes.subscriber import Subscriber
from tests.fakes.tiny_release import tiny_release
from trainer.depot import key_ceremony

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "trainer", "demo", "tests", "lightgbm", "onnx", "onnxmltools", "skl2onnx", "sklearn", "scipy",
    "pandas", "joblib", "pyarrow", "matplotlib", "rich", "mlflow", "pytest", "pip", "setuptools",
}  # fmt: skip
LOGIN = ("edge-1", "pass word §1")
SENSOR = """
[[sensors]]
topic = "greenhouse/1"
field = "t"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
"""
NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the program reads the real clock


pytestmark = needs_program


def _names() -> set[str]:
    from PyInstaller.archive.readers import CArchiveReader

    archive = CArchiveReader(str(FILE))
    return {name.replace("\\", "/") for name in archive.toc}


def test_no_forbidden_package_is_inside() -> None:
    """Neither form holds a library of the trainer's side or of the workshop."""
    tree = {
        path.relative_to(TREE / "_internal").as_posix() for path in TREE.rglob("_internal/**/*")
    }
    for names in (_names(), tree):
        tops = {name.split("/")[0].partition(".")[0].partition("-")[0] for name in names}
        assert tops & FORBIDDEN == set()
        assert {"polars", "onnxruntime", "edge_agent"} <= tops
        assert not [name for name in names if "/tests/" in name or name.endswith((".c", ".pyx"))]


def test_sizes() -> None:
    """100 MB as one file, 300 MB unpacked."""
    assert FILE.stat().st_size <= 100e6
    assert sum(p.lstat().st_size for p in TREE.rglob("*") if p.is_file()) <= 300e6


def test_a_read_only_home_and_a_tmp_without_exec_do_not_matter(tmp_path: Path) -> None:
    """The single file answers with /tmp mounted noexec and HOME that cannot be written."""
    if os.geteuid() != 0:
        pytest.skip("mounting a /tmp needs root")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    # The project itself may lie in /tmp.
    script = (
        f"mount --bind {FILE.parent} /mnt && mount -t tmpfs -o noexec tmpfs /tmp"
        f" && exec /mnt/{FILE.name} --version"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script],
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "edge-agent"), done.stderr


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder in which the single file has installed itself."""
    root = tmp_path_factory.mktemp("root")
    done = run(str(FILE), "install", "--root", str(root))
    assert done.returncode == 0, done.stderr
    return root


def test_install_puts_the_whole_tree_in_place(farm: Path) -> None:
    """What the single file installs is the tree that was built, file by file."""
    installed = farm / "opt/edge-agent/current"
    for built in TREE.rglob("*"):
        if built.is_file() and not built.is_symlink():
            copy = installed / built.relative_to(TREE)
            assert copy.stat().st_size == built.stat().st_size, copy
    wants = farm / "etc/systemd/system/multi-user.target.wants/edge-agent.service"
    assert wants.is_symlink()


def test_a_device_lives(farm: Path, tmp_path: Path) -> None:
    """Sync over HTTP, sensors and alerts over TLS with a password, reload, a new model while up."""
    program = str(farm / "opt/edge-agent/current/edge-agent")
    yard = Yard(tmp_path / "yard", FakeClock(NOW))
    key_ceremony.create(yard, yard.clock)
    _publish(yard, "first")
    fill_weather(tmp_path / "state")
    with served(yard.depot) as url, _broker(tmp_path) as (broker, ca):
        config = write_config(
            tmp_path,
            broker.port,
            f'username = "{LOGIN[0]}"\npassword_file = "password"\n'
            f'[mqtt.tls]\nenabled = true\nca = "{ca}"\n'
            f'[depot]\nurl = "{url}"\nroot_file = "{yard.root / "root.json"}"\n',
        )
        synced = run(program, "sync", "--json", "--config", str(config))
        assert json.loads(synced.stdout)["release"] == 1, synced.stderr
        tested = run(program, "self-test", "--config", str(config))
        assert tested.returncode == 0, tested.stdout
        with (
            ServiceProcess(config, tmp_path, (program,)) as service,
            Subscriber(broker.port, f"{TOPIC}/#", login=LOGIN, ca=ca) as controller,
        ):
            service.wait_for_line("mqtt 5")
            # The alert goes first, and the forecast follows.
            wanted = {f"{TOPIC}/alert/heat/event", f"{TOPIC}/forecast/temperature"}
            controller.wait(lambda all_: wanted <= {h.topic for h in all_})
            _hear_a_sensor(service, controller, config)
            _publish(yard, "second")
            controller.publish(f"{TOPIC}/cmd/sync", b'{"id": "1"}')
            controller.wait(
                lambda all_: any(
                    h.topic == f"{TOPIC}/model" and json.loads(h.payload)["release"] == 2
                    for h in all_
                ),
                60.0,
            )
            assert service.stop()[0] == 0


def test_uninstall_leaves_what_only_purge_removes(farm: Path) -> None:
    """The installed program removes itself; the configuration goes with --purge."""
    program = str(farm / "opt/edge-agent/current/edge-agent")
    done = run(program, "uninstall", "--root", str(farm))
    assert done.returncode == 0, done.stderr
    assert [p for p in farm.rglob("*") if p.is_file()] == [farm / "etc/edge-agent/config.toml"]
    assert run(str(FILE), "uninstall", "--purge", "--root", str(farm)).returncode == 0
    assert not [p for p in farm.rglob("*") if "edge-agent" in p.name]


def test_the_debian_package_holds_the_same(tmp_path: Path) -> None:
    """The package (`make deb`) extracts to the tree, the unit and an account; scripts are sound."""
    packages = list((ROOT / "dist").glob("*.deb"))
    if not packages:
        pytest.skip("no package was built: make deb")
    assert len(packages) == 1
    subprocess.run(["dpkg-deb", "--raw-extract", packages[0], tmp_path], check=True)
    built = {p.relative_to(TREE) for p in TREE.rglob("*") if p.is_file()}
    inside = tmp_path / "usr/lib/edge-agent"
    assert {p.relative_to(inside) for p in inside.rglob("*") if p.is_file()} == built
    assert run(str(inside / "edge-agent"), "--version").stdout.startswith("edge-agent, version")
    unit = (tmp_path / "usr/lib/systemd/system/edge-agent.service").read_text("utf-8")
    program = unit.partition("\nExecStart=")[2].split()[0]
    assert (tmp_path / program.lstrip("/")).is_file()
    assert (tmp_path / "usr/lib/sysusers.d/edge-agent.conf").is_file()
    assert (tmp_path / "DEBIAN/conffiles").read_text() == "/etc/edge-agent/config.toml\n"
    for name in ("postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", tmp_path / "DEBIAN" / name], check=True)


def _hear_a_sensor(service: ServiceProcess, controller: Subscriber, config: Path) -> None:
    """A sensor that a reload brings in is heard: its value is in the live rule's alert."""
    rule = (
        '[[rules]]\nname = "hot-house"\nquantity = "air_temperature_c"\noperator = ">="\n'
        'threshold = 30.0\nnow = true\nrole = "indoor"\n'
    )
    config.write_text(config.read_text("utf-8") + SENSOR + rule, "utf-8")
    service.forget()
    service.signal(signal.SIGHUP)
    service.wait_for_line("READY=1")
    service.wait_for_line("mqtt 5")
    for _ in range(20):
        controller.publish("greenhouse/1", b'{"t": 41.5}')
        controller.publish(f"{TOPIC}/cmd/predict", b"{}")
        service.forget()
        service.wait_for_line("STATUS=")
        said = controller.payloads(f"{TOPIC}/alert/hot-house/event")
        if said:
            assert json.loads(said[0])["value"] == 41.5
            return
    raise AssertionError(service.log)


def _publish(yard: Yard, word: str) -> int:
    whole = contract.decode(whole_release()[0])
    made, files = tiny_release(word)
    manifest = msgspec.structs.replace(
        made,
        sites=whole.sites,
        residuals=whole.residuals,
        climatology_residuals=whole.climatology_residuals,
        reason=word,
    )
    return yard.open().publish("stable", manifest, files)


@contextmanager
def _broker(folder: Path) -> Iterator[tuple[Mosquitto, Path]]:
    """A Mosquitto with TLS that lets nobody in without a password, and its authority."""
    authority = Authority(folder / "ca")
    cert, key = authority.issue("broker")
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, *LOGIN], check=True)
    passwords.chmod(0o600)
    (folder / "password").write_text(LOGIN[1], "utf-8")
    options = [f"certfile {cert}", f"keyfile {key}", f"password_file {passwords}"]
    with Mosquitto(folder / "broker", options, anonymous=False) as server:
        yield server, authority.file
