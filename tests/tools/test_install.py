"""Fresh systems: the package is installed, translates a recording, is updated, taken back, and leaves.

These take minutes, and run where ``make test-appliance`` asks for them.
"""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from device.modelstore.store import ModelStore
from device.update.manifest import NAME, Manifest, read
from tests.conftest import APPLIANCE
from tests.tools.chroots import NATIVE, WORK, System
from tools import bundle
from tools.debian import MACHINES
from tools.lock import ROOT
from tools.release import entries

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not APPLIANCE, reason="takes minutes: make test-appliance"),
]


def assert_it_translates(system: System, **environment: str) -> None:
    done = system.run("dragoman", "translate", "/stick/fox.wav", "--from", "en", "--to", "pt", **environment)
    assert done.returncode == 0, done.stderr
    assert "quick brown fox" in done.stdout
    assert "raposa" in done.stdout


def test_a_fresh_debian_is_installed_from_one_folder_without_a_network_and_left_clean(stick, tmp_path):
    system = System(tmp_path / "debian", stick)
    before = {path for path in system.root.rglob("*") if "dragoman" in path.name}
    assert before == set()
    assert system.run("/stick/install").returncode == 0
    assert_it_translates(system)
    wants = system.root / "etc/systemd/system/multi-user.target.wants"
    assert (wants / "dragoman.service").readlink().parts[-3:] == ("systemd", "system", "dragoman.service")
    doctor = system.run("dragoman", "doctor", "--json").stdout.splitlines()
    problems = {finding["check"] for finding in map(json.loads, doctor) if finding["status"] == "problem"}
    assert not problems & {"machine", "libraries", "models", "checksums", "configuration"}

    assert system.run("/stick/install").returncode == 0  # once more, to no harm
    assert_it_translates(system)
    assert system.run("apt-get", "-y", "purge", "dragoman").returncode == 0
    left = {str(path.relative_to(system.root)) for path in system.root.rglob("*dragoman*")}
    assert {path for path in left if not path.startswith(("var/cache/apt", "var/log"))} == set()


def test_a_fresh_debian_is_installed_with_a_network(stick, tmp_path):
    system = System(tmp_path / "debian", stick)
    shutil.copy("/etc/resolv.conf", system.root / "etc/resolv.conf")
    (package,) = stick.glob("dragoman_*.deb")
    shutil.copy(ROOT / "tools/install", system.root / "root/install")
    done = system.run("/root/install", "--package", f"/stick/{package.name}", network=True)
    assert done.returncode == 0
    # What the models are fetched from differs from place to place; that they come is tested elsewhere.
    system.run("dragoman", "models", "import", "/stick/models")
    assert_it_translates(system)


@pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
def test_a_system_is_updated_taken_back_and_rolled_back(stick, tmp_path):
    secret = tmp_path / "secret"
    making = ["minisign", "-G", "-W", "-p", stick / "update.pub", "-s", secret]
    subprocess.run(making, check=True, capture_output=True)
    release = WORK / NATIVE / "release"
    base = read(release)
    for name, serial, damaged in (("good", 1, False), ("bad", 2, True)):
        tree = WORK / f"release-{name}"
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(["cp", "-al", release, tree], check=True)
        (tree / NAME).unlink()
        (tree / "news").write_text(name)
        if damaged:
            for library in tree.glob("lib/python3/dist-packages/onnxruntime/capi/*.so*"):
                library.unlink()
                library.write_bytes(b"half of a librar")
        manifest = Manifest(name, base.serial + serial, base.machine, code=entries(tree))
        (tree / NAME).write_bytes(manifest.encode())
        models = bundle.model_files(ModelStore(), ["denoise-gtcrn"]) if not damaged else {}
        bundle.make(stick / f"{name}.update", secret, tree, models, base=base)
        shutil.rmtree(tree)

    system = System(tmp_path / "debian", stick)
    assert system.run("/stick/install").returncode == 0
    assert system.run("dragoman", "update", "apply", "/stick/good.update").returncode == 0
    assert (system.root / "opt/dragoman/versions" / f"good-{base.serial + 1}" / "news").read_text() == "good"
    assert "denoise-gtcrn" in system.run("dragoman", "models", "verify", "--json").stdout

    failed = system.run("dragoman", "update", "apply", "/stick/bad.update")
    assert failed.returncode == 1
    assert "was taken back: the health check finds what was not so before" in failed.stderr
    status = json.loads(system.run("dragoman", "update", "status", "--json").stdout)
    assert (status["current"]["version"], status["previous"]["version"]) == ("good", base.version)
    assert_it_translates(system)

    assert system.run("dragoman", "update", "rollback").returncode == 0
    assert json.loads(system.run("dragoman", "update", "status", "--json").stdout)["current"]["version"] == base.version
    assert_it_translates(system)


@pytest.mark.skipif(NATIVE == "arm64", reason="this is a 64-bit ARM machine: the other tests say it all")
def test_a_raspberry_pi_is_installed_without_a_network_and_translates(arm_stick, tmp_path):
    """Emulated by qemu-user: every instruction of the package and its libraries, on two of the Pi's processors."""
    system = System(tmp_path / "debian", arm_stick, "arm64")
    assert system.run("uname", "-m").stdout.strip() == MACHINES["arm64"]
    assert system.run("/stick/install", QEMU_CPU="cortex-a72").returncode == 0
    for processor in ("cortex-a72", "cortex-a76"):
        assert_it_translates(system, QEMU_CPU=processor)
