"""The package that `pip install .` makes: the command with its catalogue inside, away from the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tools.lock import CONSTRAINTS, ROOT

CATALOGUE = sorted((ROOT / "models").glob("*.toml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-input"]
    build += ["--no-deps", "--build-constraint", CONSTRAINTS, "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL)
    (built,) = folder.glob("dragoman-*.whl")
    return built


@pytest.mark.e2e
def test_wheel_holds_program_catalogue_and_licence_but_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"device/_data/models/{path.name}" for path in CATALOGUE} <= names
    assert "device/_data/firmware_config/dragoman.toml" in names
    pages = {path.name for path in (ROOT / "device/server/pages").iterdir()}
    assert {"index.html", "main.js", "kiosk.css"} <= pages
    assert {f"device/server/pages/{name}" for name in pages} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"device"}


@pytest.mark.e2e
def test_installed_command_knows_its_catalogue_from_any_directory(wheel, tmp_path):
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python, dragoman = environment / "bin" / "python", environment / "bin" / "dragoman"
    install = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    subprocess.run([*install, "--constraint", CONSTRAINTS, wheel], check=True, stdin=subprocess.DEVNULL)

    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [dragoman, "models", "list", "--all"], cwd=elsewhere, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for path in CATALOGUE:
        assert path.stem in done.stdout
