"""The set-up commands, the constraints and the checks of a change agree with each other."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hooksim

ROOT = Path(__file__).parents[1]
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
DEMO = f'{INSTALL} ".[demo]" && .venv/bin/hooksim demo'
TEST = f'{INSTALL} -e ".[test]" && .venv/bin/pytest'
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def set_up_commands(readme: str) -> list[str]:
    """Lines of the bash blocks that make an environment or install something."""
    blocks = re.findall(r"^```bash\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if "pip install" in line or "-m venv" in line]


def test_the_readme_has_exactly_two_set_up_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(set_up_commands(readme)) == sorted([DEMO, TEST])
    assert readme.count("pip install") == 2, "an install command outside the two bash blocks"


def test_a_third_set_up_command_is_found():
    readme = f"```bash\n{DEMO}\n```\n\n```bash\n{TEST}\n```\n\n```bash\npip install more\n```\n"
    assert set_up_commands(readme) == [DEMO, TEST, "pip install more"]


def run_checks(folder: Path, readme: str) -> subprocess.CompletedProcess[str]:
    """The script in a folder of its own, where only the README is beside it."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return subprocess.run(
        ["bash", ".ci/run"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
class TestChecks:
    def test_they_run_the_readme_s_own_command(self, tmp_path):
        """The line is run as it stands: here one that matches the form and fails at once."""
        line = "python3 -m venv .venv && echo 'reached [test]' && false && .venv/bin/pytest"
        done = run_checks(tmp_path, f"```bash\n{line}\n```\n")
        assert f"== {line}" in done.stdout
        assert "reached [test]" in done.stdout.splitlines()[-1]
        assert done.returncode == 1

    @pytest.mark.parametrize(("readme", "count"), [("nothing\n", 0), (f"{TEST}\n{TEST}\n", 2)])
    def test_a_readme_without_the_command_stops_them(self, tmp_path, readme, count):
        done = run_checks(tmp_path, readme)
        assert done.returncode == 1
        assert f"expected one test command in README.md, found {count}:" in done.stderr
        assert not (tmp_path / ".venv").exists()

    def test_the_workflow_calls_them(self):
        workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
        assert "run: bash .ci/run" in workflow
        assert 'python-version: "3.11"' in workflow


def pins(text: str) -> dict[str, str]:
    """Name and version of each line of the constraints; a line of another form is an error."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
            assert match, f"not a plain pin: {line}"
            found[canonicalize_name(match[1])] = match[2]
    return found


PINS = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("extra", [None, *sorted({*PROJECT["optional-dependencies"]} - {"bench"})])
def test_every_requirement_is_pinned_within_its_bounds(extra):
    wanted = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        if requirement.name != "hooksim":
            pin = PINS.get(canonicalize_name(requirement.name))
            assert pin is not None, f"{requirement.name} is not in constraints.txt"
            assert pin in requirement.specifier, f"{requirement} and constraints.txt's {pin}"


@pytest.mark.parametrize("line", ["torch==2.13.0+cpu", "-e .", "torch @ file:///x.whl", "numpy>=2"])
def test_other_forms_of_constraints_are_found(line):
    with pytest.raises(AssertionError, match="not a plain pin"):
        pins(line)


def test_versions_agree():
    assert hooksim.__version__ == PROJECT["version"]
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
