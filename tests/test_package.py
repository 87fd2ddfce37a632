"""What is built from the checkout works away from it."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without network by the hatchling that is installed."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("samosa-*.whl")
    return built


def test_the_wheel_carries_the_package_and_every_recipe(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    recipes = {f"samosa/configs/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.toml")}
    assert recipes and recipes <= names
    assert "samosa/cli.py" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_finds_its_recipes_from_an_empty_directory(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from samosa import config\n"
        "assert 'site' in config.__file__, config.__file__\n"
        "print(config.configs_dir())\n"
        "print(sorted(config.read_layers('eval', 'tiny', [])))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=empty, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder, sections = done.stdout.splitlines()
    assert folder == str(tmp_path / "site" / "samosa" / "configs")
    assert "gate" in sections


def test_everything_samosa_asks_for_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    asked = {requirement.split(">=")[0] for requirement in [*project["dependencies"], *extras]}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert {name.lower().replace("_", "-") for name in asked} <= {name.lower().replace("_", "-") for name in pins}
    assert pins["torch"] == "2.13.0", "no local suffix: pip takes a CPU or a CUDA build, whichever it finds"
