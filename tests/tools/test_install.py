"""Fresh systems: the package is installed, translates a recording, is updated, taken back, and leaves.

These take minutes, and run where ``make test-appliance`` asks for them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from device.modelstore.store import ModelStore
from device.update.manifest import read
from tests.conftest import APPLIANCE
from tests.tools.chroots import NATIVE, WORK, System, rewrite, variant
from tools import bundle
from tools.debian import MACHINES
from tools.lock import ROOT

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
    shutil.copy(ROOT / "tools/install", system.root / "srv/install")
    done = system.run("/srv/install", "--package", f"/stick/{package.name}", network=True)
    assert done.returncode == 0
    # What the models are fetched from differs from place to place; that they come is tested elsewhere.
    system.run("dragoman", "models", "import", "/stick/models")
    assert_it_translates(system)


@pytest.fixture
def secret(stick, tmp_path):
    """The owner's secret key; the public one lies on the stick."""
    if shutil.which("minisign") is None:
        pytest.skip("minisign is not installed")
    path = tmp_path / "secret"
    making = ["minisign", "-G", "-f", "-W", "-p", stick / "update.pub", "-s", path]
    subprocess.run(making, check=True, capture_output=True)
    return path


def damage_a_library(tree):
    for library in tree.glob("lib/python3/dist-packages/onnxruntime/capi/*.so*"):
        library.unlink()
        library.write_bytes(b"half of a librar")


def test_a_system_is_updated_taken_back_and_rolled_back(stick, secret, tmp_path):
    base = read(WORK / NATIVE / "release")
    good = variant("good", 1, lambda tree: (tree / "news").write_text("good"))
    bad = variant("bad", 2, damage_a_library)
    models = bundle.model_files(ModelStore(), ["denoise-gtcrn"])
    bundle.make(stick / "good.update", secret, good, models, base=base)
    bundle.make(stick / "bad.update", secret, bad, {}, base=base)

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


FIRST_START = """
while [ "$(systemctl is-active dragoman)" = activating ]; do sleep 1; done
echo at first: $(systemctl is-active dragoman)
dragoman update apply /stick/mute.update
echo after a bad update: $? $(systemctl is-active dragoman) $(readlink /opt/dragoman/current)
dragoman update apply /stick/louder.update &
while [ ! -e /opt/dragoman/pending.json ] || [ "$(readlink /opt/dragoman/current)" = "$(readlink /opt/dragoman/good)" ]
do sleep 0.05; done
sync
systemctl reboot --force --force
"""
SECOND_START = """
echo after the power cut: $(dragoman update status --json)
systemctl start dragoman-finish-update.service
echo decided: $(dragoman update status --json)
echo service: $(systemctl is-active dragoman) $(systemctl show --property Description --value dragoman)
systemctl poweroff --force --force
"""


def test_under_its_service_manager_a_bad_update_is_taken_back_and_a_power_cut_survived(stick, secret, tmp_path):
    """A container whose process 1 is systemd: the units, their sandbox and ``Type=notify`` are the real ones."""
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("needs systemd-container")
    base = read(WORK / NATIVE / "release")
    command = Path("lib/python3/dist-packages/device/cli/run.py")

    def does_not_start(tree):
        rewrite(tree / command, "from __future__", "raise RuntimeError\nfrom __future__")
        for compiled in (tree / command).parent.glob("__pycache__/run.*"):
            compiled.unlink()

    def louder(tree):
        rewrite(tree / "systemd/dragoman.service", "offline speech translator\n", "louder speech translator\n")

    for name, serial, edit in (("mute", 1, does_not_start), ("louder", 2, louder)):
        bundle.make(stick / f"{name}.update", secret, variant(name, serial, edit), {}, base=base)
    (stick / "dragoman.toml").write_text("[mqtt]\nenabled = false\n")
    system = System(tmp_path / "debian", stick)
    assert system.run("/stick/install").returncode == 0

    said = system.boot(FIRST_START)
    assert "at first: active\n" in said
    assert "mute" in said
    assert "was taken back: the service did not start" in said
    assert "after a bad update: 1 active generations/1\n" in said

    said = system.boot(SECOND_START)
    left, decided = (
        json.loads(line.partition(": ")[2]) for line in said.splitlines() if line.startswith(("after the", "decided"))
    )
    assert (left["phase"], left["current"]["version"]) == ("trial", "louder")
    assert (decided["phase"], decided["current"]["version"], decided["result"]) == ("idle", "louder", "installed")
    assert "service: active Dragoman louder speech translator\n" in said
