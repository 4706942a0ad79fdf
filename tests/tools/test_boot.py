"""Flash it, plug it in: images are started as whole machines, and their power is cut.

Kernel and initial file system are handed to the emulated machine as its firmware would; everything after that is the
image's own. There is no network card. These take minutes, and run where ``make test-appliance`` asks for them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest

from device.update.manifest import read
from tests.conftest import APPLIANCE
from tests.tools import chroots
from tests.tools.chroots import NATIVE, WORK, rewrite, variant
from tests.tools.guests import Disk, Guest, add_shell, why_not
from tests.tools.test_image import write_image
from tools import bundle
from tools.image import _device, _mounted, make, partitions

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.models,
    pytest.mark.timeout(5400),
    pytest.mark.skipif(not APPLIANCE, reason="takes minutes: make test-appliance"),
]

SETTINGS = """\
[audio]
input = "{microphone}"
output = "HDA"
[controls]
trigger = "open"
[server]
enabled = true
"""
MICROPHONES = {NATIVE: "file:/srv/fox.wav"}
"""The emulated sound card hears nothing, so a recording stands in for what it should hear, at every start."""
PYTHON = "/opt/dragoman/current/code/bin/python3.11"
OUTBOX = """\
import glob, json, shutil, sqlite3, tempfile
with tempfile.TemporaryDirectory() as copy:
    for file in glob.glob("/var/lib/dragoman/outbox.sqlite*"):
        shutil.copy(file, copy)
    query = "SELECT payload FROM entries WHERE topic LIKE '%/final' ORDER BY id"
    rows = sqlite3.connect(copy + "/outbox.sqlite").execute(query)
    print(json.dumps([json.loads(payload) for payload, in rows]))
"""
"""The daemon lets nobody else into its outbox, so a copy is read."""
TIMERS = {"dragoman-finish-update.timer", "dragoman-health.timer", "dragoman-update.timer"}
FINAL = "dragoman/dragoman/transcript/final"
ON_TRIAL = "[ -e /opt/dragoman/pending.json ] && [ ! /opt/dragoman/current -ef /opt/dragoman/good ]"


class Device:
    """An image on a card of its own, in a machine that can be started again and again."""

    def __init__(self, architecture: str, folder: Path) -> None:
        self._architecture, self._folder = architecture, folder
        self.disk = Disk(folder / "dragoman.img")

    @contextmanager
    def started(self) -> Iterator[Guest]:
        """Start it, and wait until it has nothing more to start."""
        root = f"PARTUUID={chroots.DISK}-02"
        guest = Guest(self.disk, chroots.bootable(self._architecture), self._folder, self._architecture, root=root)
        try:
            assert guest.run("systemctl is-system-running --wait")[1] == "running", guest.run(
                "systemctl --failed; journalctl --boot --no-pager | tail -100"
            )
            yield guest
        finally:
            guest.kill()
            self.disk.discard()


@pytest.fixture(scope="module")
def flash(request, tmp_path_factory, fox) -> Iterator[Callable[[str], Device]]:
    """Return a function that makes an image as owners do, once for each processor, and gives the device that has it."""
    folders: dict[str, Path] = {}

    def device(architecture: str) -> Device:
        if reason := chroots.why_not(architecture) or why_not(architecture):
            pytest.skip(reason)
        if shutil.which("minisign") is None:
            pytest.skip("needs minisign")
        if architecture not in folders:
            folder = folders[architecture] = tmp_path_factory.mktemp(f"device-{architecture}")
            stick = request.getfixturevalue("stick" if architecture == NATIVE else "arm_stick")
            subprocess.run(["cp", "-al", stick, folder / "stick"], check=True)
            (folder / "stick/dragoman.toml").unlink(missing_ok=True)
            (folder / "stick/dragoman.toml").write_text(
                SETTINGS.format(microphone=MICROPHONES.get(architecture, "HDA"))
            )
            keys = ["minisign", "-G", "-f", "-W", "-p", folder / "stick/update.pub", "-s", folder / "secret"]
            subprocess.run(keys, check=True, capture_output=True)
            source = write_image(folder / "source.img", chroots.bootable(architecture))
            make(source, folder / "stick", folder / "dragoman.img")
            source.unlink()
            furnish(folder, architecture, fox)
        return Device(architecture, folders[architecture])

    yield device
    for folder in folders.values():
        shutil.rmtree(folder)


def furnish(folder: Path, architecture: str, recording: Path) -> None:
    """Put on the card what is not the recipe's: a shell, a recording, an update."""
    image, place = folder / "dragoman.img", folder / "mounted"
    place.mkdir()
    with _device(image, partitions(image)[-1]) as device, _mounted(place, device):
        add_shell(place)
        (place / "srv/outbox.py").write_text(OUTBOX)
        shutil.copy(recording, place / "srv/fox.wav")
        if architecture == NATIVE:
            tree = variant("louder", 1, louder)
            base = read(WORK / NATIVE / "release")
            bundle.make(place / "srv/louder.update", folder / "secret", tree, {}, base=base)


def louder(tree: Path) -> None:
    """Change a release so that the service manager tells which one runs."""
    rewrite(tree / "systemd/dragoman.service", "offline speech translator\n", "louder speech translator\n")


def said(guest: Guest) -> list[dict]:
    """Return the finals in the outbox when there are any."""
    for _ in range(60):
        if found := finals(guest):
            return found
        guest.out("sleep 2")
    pytest.fail(f"not heard: {guest.run('journalctl -u dragoman --no-pager | tail -50')[1]}")


def finals(guest: Guest) -> list[dict]:
    """Return the finals in the outbox, acknowledged or not."""
    found: list[dict] = json.loads(guest.out(f"{PYTHON} /srv/outbox.py"))
    return found


def spoken(guest: Guest) -> bool:
    """Wait for speech at the sound card; its samples are 16 bits, behind a header that is written last."""
    for _ in range(120):
        data = guest.sound.read_bytes()[44:]
        if np.abs(np.frombuffer(data[: len(data) & ~1], "<i2").astype(int)).max(initial=0) > 1000:
            return True
        guest.out("sleep 2")
    return False


def names(found: list[dict]) -> list[tuple[str, int]]:
    """Return what tells finals apart."""
    return [(final["utterance"], final["sequence"]) for final in found]


def update_status(guest: Guest) -> dict:
    """Return what the device says about its updates."""
    status: dict = json.loads(guest.out("dragoman update status --json"))
    return status


def assert_it_is_a_translator(guest: Guest) -> None:
    """Check what everybody who flashes a card may expect."""
    shown = guest.out("systemctl show dragoman.service --property Type,ActiveState,NRestarts")
    assert set(shown.split()) == {"Type=notify", "ActiveState=active", "NRestarts=0"}
    assert guest.run("systemctl is-active multi-user.target")[1] == "active"
    assert guest.out("systemctl --failed --no-legend") == ""
    assert guest.out("systemctl show dragoman-models.service --property Result --value") == "success"
    timers = {row["unit"]: row for row in json.loads(guest.out("systemctl list-timers --all --output json"))}
    assert timers.keys() >= TIMERS
    level = re.search(r"exposure level for \S+ ([\d.]+)", guest.out("systemd-analyze security dragoman.service"))
    assert level
    assert float(level[1]) <= 1.6
    found = [json.loads(line) for line in guest.run("dragoman doctor --json")[1].splitlines()]
    problems = {finding["check"] for finding in found if finding["status"] == "problem"}
    assert problems == {"broker"}, "nobody has installed one"
    assert {"models", "checksums", "libraries", "speaker", "clock"} <= {finding["check"] for finding in found}
    assert guest.run("ls /sys/class/net")[1].split() == ["lo"]
    page = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5000/kiosk/').read().decode())"
    assert "<html" in guest.out(f'{PYTHON} -c "{page}"')
    translated = guest.out("dragoman translate /srv/fox.wav --from en --to pt")
    assert "quick brown fox" in translated
    assert "raposa" in translated


def test_a_flashed_card_starts_as_a_translator_without_a_network(flash):
    """On an emulated 64-bit ARM, as a Raspberry Pi has one; x86-64 follows below."""
    with flash("arm64").started() as guest:
        assert_it_is_a_translator(guest)
        guest.off()


def test_finals_that_wait_survive_a_power_cut_and_reach_the_broker(flash, record_property):
    device = flash(NATIVE)
    with device.started() as guest:
        assert_it_is_a_translator(guest)
        kept = said(guest)
        assert "fox" in kept[-1]["text"]
        assert spoken(guest)
        lost = guest.cut()
        print(f"{lost} writes lost")
    with device.started() as guest:
        assert guest.out("systemctl is-active dragoman.service") == "active"
        assert set(names(kept)) <= set(names(finals(guest)))
        guest.out("systemctl kill --signal STOP dragoman.service; systemctl unmask mosquitto")
        guest.out("systemctl start mosquitto")
        guest.start(f"stdbuf -oL mosquitto_sub -h 127.0.0.1 -q 1 -d -t {FINAL} >/tmp/heard")
        guest.out("until grep -q SUBACK /tmp/heard; do sleep 0.2; done; systemctl kill --signal CONT dragoman.service")
        guest.out(f"until [ $(grep -c '^{{' /tmp/heard) -ge {len(kept)} ]; do sleep 1; done")
        heard = [json.loads(line) for line in guest.out("grep '^{' /tmp/heard").splitlines()]
        missing = set(names(kept)) - set(names(heard))
        record_property("lost", len(missing))
        assert not missing
        assert [name for name in dict.fromkeys(names(heard)) if name in names(kept)] == names(kept)
        guest.cut(Random(1))


def test_power_cuts_while_an_update_is_installed_leave_a_version_that_works(flash):
    device = flash(NATIVE)
    base = read(WORK / NATIVE / "release")
    with device.started() as guest:
        guest.start("dragoman update apply /srv/louder.update")
        guest.out("until [ -d /opt/dragoman/staging/files ]; do sleep 0.05; done; sleep 1")
        guest.cut(Random(2))
    with device.started() as guest:
        status = update_status(guest)
        assert (status["phase"], status["current"]["version"]) == ("idle", base.version)
        assert guest.out("systemctl is-active dragoman.service") == "active"
        guest.start("dragoman update apply /srv/louder.update")
        guest.out(f"until {ON_TRIAL}; do sleep 0.05; done; sleep 3")
        guest.cut()
    with device.started() as guest:
        guest.out("while [ -e /opt/dragoman/pending.json ]; do sleep 1; done")
        status = update_status(guest)
        assert (status["phase"], status["result"]) == ("idle", "installed")
        assert status["current"]["version"] == "louder"
        assert "louder" in guest.out("systemctl show dragoman.service --property Description --value")
        assert guest.out("systemctl is-active dragoman.service") == "active"
        assert guest.out("systemctl --failed --no-legend") == ""
        guest.off()
