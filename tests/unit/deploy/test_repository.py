"""Files of the repository that a host or an editor reads: valid by their schemas, and true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
HOST = ROOT / ".github"
SCHEMAS = {
    "workflows/test.yml": "vendor.github-workflows",
    "dependabot.yml": "vendor.dependabot",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    "ISSUE_TEMPLATE/fault.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/wish.yml": "vendor.github-issue-forms",
}


def test_every_yaml_file_has_a_schema() -> None:
    """None is left unchecked."""
    found = {str(path.relative_to(HOST)) for path in HOST.rglob("*.yml")}
    assert found == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_valid(name: str) -> None:
    """By the published schema, without a network."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[name]]
    done = subprocess.run([*check, HOST / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_with_a_wrong_key_is_noticed(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = tmp_path / "test.yml"
    text = (HOST / "workflows/test.yml").read_text("utf-8")
    wrong.write_text(text.replace("runs-on:", "run-on:", 1), "utf-8")
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
    ]
    assert subprocess.run([*check, wrong], capture_output=True, check=False).returncode == 1


def test_the_workflow_calls_targets_that_exist() -> None:
    """Every `make` line of the workflow is a target of the Makefile."""
    jobs = yaml.safe_load((HOST / "workflows/test.yml").read_text("utf-8"))["jobs"]
    lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in lines:
        target, *_ = line.removeprefix("make ").split()
        assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), line


def test_hooks_call_what_the_test_command_calls() -> None:
    """pre-commit runs the programs of `make lint`, from the same environment."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    entries = {hook["entry"].removesuffix(" --fix") for hook in local["hooks"]}
    assert entries == {".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/mypy"}
    lint = (ROOT / "Makefile").read_text("utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    for entry in entries:
        assert entry.replace(".venv/bin", "$(BIN)") in lint


def test_owners_name_folders_that_exist() -> None:
    """A rule for a folder that has moved would ask nobody."""
    lines = (HOST / "CODEOWNERS").read_text("utf-8").splitlines()
    rules = [line.split()[0] for line in lines if line and not line.startswith("#")]
    for rule in rules[1:]:
        assert (ROOT / rule.strip("/")).is_dir(), rule


def test_editors_and_ruff_agree_on_the_line() -> None:
    """One length of line for Python."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]
    python = (ROOT / ".editorconfig").read_text("utf-8").partition("[*.py]")[2]
    assert f"max_line_length = {ruff['line-length']}\n" in python
