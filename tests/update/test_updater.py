"""Updates as the owner sees them: what is taken, what is refused, and the way back."""

import json
import os
import re
import select
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from device.errors import DragomanError
from device.update.health import Health
from device.update.home import PREVIOUS, Phase
from device.update.updater import UpdateFailedError
from tests.support import disks
from tests.update.support import ILL, WELL, Device, Signer, finding, write_tree

ROOT = Path(__file__).parents[2]


def test_an_update_is_installed_and_the_version_before_is_kept(device, make):
    assert device.runs() == "1.0"
    assert device.apply(make("2.0", 200)).version == "2.0"
    assert device.runs() == "2.0"
    assert device.is_whole()
    assert device.home.manifest(PREVIOUS).version == "1.0"
    assert device.home.phase() is Phase.IDLE
    assert device.home.state().result == "installed"


def test_only_the_version_that_runs_and_the_one_before_are_kept(device, make):
    for number in (2, 3, 4):
        device.apply(make(f"{number}.0", number * 100))
    assert sorted(path.name for path in device.home.versions.iterdir()) == ["3.0-300", "4.0-400"]
    assert len(list(device.home.model_sets.iterdir())) == 2
    assert not device.home.staging.exists()


def test_rollback_goes_back_and_forth(device, make):
    device.apply(make("2.0", 200))
    assert device.updater.rollback() == "1.0"
    assert device.runs() == "1.0"
    assert device.updater.rollback() == "2.0"
    assert device.runs() == "2.0"


def test_without_a_previous_version_rollback_says_so(device):
    with pytest.raises(DragomanError, match="no previous version"):
        device.updater.rollback()


# --- what is refused ---


def test_a_stranger_is_refused(device, make, tmp_path):
    with pytest.raises(DragomanError, match="none of yours"):
        device.apply(make("2.0", 200, by=Signer(tmp_path / "stranger")))
    assert device.runs() == "1.0"


@pytest.mark.parametrize(
    ("serial", "reason"), [(99, "older than what was installed already"), (200, "was installed already")]
)
def test_what_is_older_or_the_same_is_refused_even_when_signed(device, make, serial, reason):
    device.apply(make("2.0", 200))
    device.updater.rollback()
    again = make("x", serial)
    with pytest.raises(DragomanError, match=reason):
        device.apply(again)
    assert device.runs() == "1.0"
    device.apply(again, force=True)
    assert device.runs() == "x"


def test_another_processor_is_refused(device, make):
    other = "aarch64" if os.uname().machine != "aarch64" else "x86_64"
    with pytest.raises(DragomanError, match=f"is for {other}, and this is"):
        device.apply(make("2.0", 200, machine=other))


def test_a_release_that_failed_is_not_tried_again_unasked(device, make):
    bad = make("2.0", 200, doctor=ILL)
    for _ in range(2):
        with pytest.raises(DragomanError) as failure:
            device.apply(bad)
    assert "failed its health check before" in str(failure.value)
    with pytest.raises(UpdateFailedError):
        device.apply(bad, force=True)


def test_a_full_disk_is_said_before_anything_is_written(device, make, monkeypatch):
    monkeypatch.setattr("device.update.making.free_bytes", lambda _: 1000)
    with pytest.raises(DragomanError, match=r"needs 64.0 MB, and 1.0 kB are free"):
        device.apply(make("2.0", 200))


# --- health ---


@pytest.mark.parametrize(
    ("doctor", "reason"),
    [
        (ILL, "finds what was not so before: cannot be loaded"),
        ("kill -SEGV $$", "the health check failed"),
        ("echo 'Traceback' >&2; exit 3", "the health check failed: Traceback"),
        ("exit 0", "the health check failed"),
    ],
    ids=["problem", "crash", "error", "silence"],
)
def test_a_bad_version_is_taken_back(device, make, doctor, reason):
    with pytest.raises(UpdateFailedError, match=reason):
        device.apply(make("2.0", 200, doctor=doctor))
    assert device.runs() == "1.0"
    assert device.is_whole()
    assert device.home.state().result == "failed"
    assert device.home.phase() is Phase.IDLE
    device.apply(make("2.1", 201))
    assert device.runs() == "2.1"


def test_a_health_check_that_hangs_is_taken_back(tmp_path, signer, make):
    device = Device(tmp_path / "hanging", signer, Health(1, booted=tmp_path / "nothing"))
    device.updater.adopt(write_tree(tmp_path / "first", "1.0", 100))
    with pytest.raises(UpdateFailedError, match="had not ended after 1 s"):
        device.apply(make("2.0", 200, doctor="exec sleep 600"))
    assert device.runs() == "1.0"


def watched(folder: Path) -> tuple[Path, int]:
    """Return a pipe for processes to hold open, and its end that tells when none does any more."""
    pipe = folder / "alive"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    return pipe, os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


def has_ended(reader: int) -> bool:
    """Whether whoever held the pipe has ended, or does so before long."""
    try:
        return bool(select.select([reader], [], [], 30)[0]) and os.read(reader, 1) == b""
    finally:
        os.close(reader)


def test_what_a_health_check_that_hangs_has_started_ends_with_it(tmp_path, signer, make):
    """It would keep the sound card, which the old version needs."""
    device = Device(tmp_path / "hanging", signer, Health(2, booted=tmp_path / "nothing"))
    device.updater.adopt(write_tree(tmp_path / "first", "1.0", 100))
    alive, reader = watched(tmp_path)
    with pytest.raises(UpdateFailedError, match="had not ended"):
        device.apply(make("2.0", 200, doctor=f"sleep 90 3>{alive} & wait"))
    assert has_ended(reader)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_the_service_that_goes_on_with_an_update_may_end_a_health_check_that_hangs(tmp_path):
    unit = (ROOT / "systemd" / "dragoman-finish-update.service").read_text()
    (granted,) = re.findall("^CapabilityBoundingSet=(.+)$", unit, re.MULTILINE)
    bounding = ",".join(["-all", *("+" + name.lower().removeprefix("cap_") for name in granted.split())])
    tmp_path.chmod(0o755)
    alive, reader = watched(tmp_path)
    tree = write_tree(tmp_path / "tree", "1.0", 100, doctor=f"exec sleep 90 3>{alive}")
    check = (
        "from pathlib import Path; from device.update import health;"
        "health.USER, health.GROUPS, health._exists = 'daemon', (), lambda *_, **__: True;"
        f"health.Health(1, booted=Path('/nowhere')).problems(Path({str(tree)!r}), Path('/'))"
    )
    found = subprocess.run(
        ["setpriv", f"--bounding-set={bounding}", sys.executable, "-c", check],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "had not ended after 1 s" in found.stderr
    assert has_ended(reader)


@pytest.fixture
def small(tmp_path, signer, monkeypatch):
    """A device with version 1 whose disk is small."""
    monkeypatch.setattr("device.update.making.ROOM", 0)
    with disks.small_disk(tmp_path / "small", "400k") as disk:
        device = Device(disk, signer)
        device.updater.adopt(write_tree(tmp_path / "first", "1.0", 100))
        yield disk, device


def test_a_version_that_fills_the_disk_is_taken_back(small, make):
    disk, device = small
    with pytest.raises(UpdateFailedError, match="cannot be loaded"):
        device.apply(make("2.0", 200, doctor=f"cat /dev/zero > {disk}/filler; {ILL}"))
    assert device.runs() == "1.0"
    assert device.is_whole()
    assert device.home.phase() is Phase.IDLE
    assert device.home.state().failed == [200]


def test_a_trial_that_finds_the_disk_full_when_it_goes_on_is_taken_back(small, make, monkeypatch):
    disk, device = small
    monkeypatch.setattr(device.updater, "_decide", lambda _pending: None)  # the plug is pulled
    device.apply(make("2.0", 200))
    assert device.runs() == "2.0"
    monkeypatch.undo()
    disks.fill(disk)

    assert device.updater.finish() == "2.0 (200) was taken back"

    assert device.runs() == "1.0"
    assert device.home.phase() is Phase.IDLE


def test_an_update_that_the_disk_cannot_hold_leaves_nothing_on_it(small, make):
    disk, device = small
    before = sorted(path for path in disk.rglob("*"))
    with pytest.raises(OSError, match="No space left"):
        device.apply(make("2.0", 200, **{f"part{number}": b"%d" % number for number in range(120)}))
    assert sorted(path for path in disk.rglob("*")) == before


def test_a_device_that_was_ill_before_can_be_updated(tmp_path, signer, make):
    device = Device(tmp_path / "ill", signer)
    unplugged = f"{finding('microphone')}; exit 1"
    device.updater.adopt(write_tree(tmp_path / "first", "1.0", 100, doctor=unplugged))
    device.apply(make("2.0", 200, doctor=unplugged))
    assert device.runs() == "2.0"
    with pytest.raises(UpdateFailedError, match="models"):
        device.apply(make("3.0", 300, doctor=f"{finding('microphone')}; {finding('models', text='models')}; exit 1"))
    assert device.runs() == "2.0"


class ServiceManager:
    """A ``systemctl`` that does as it is told, and writes down what it was asked."""

    def __init__(self, folder, monkeypatch, refuse: str) -> None:
        self._log = folder / "asked"
        self._log.touch()
        folder.joinpath("booted").mkdir()
        program = folder / "systemctl"
        (folder / "state").write_text("running")
        program.write_text(
            f'#!/bin/sh\nshift; echo "$1" >>{self._log}\n'
            f'[ "$1" != is-system-running ] || cat {folder}/state\n[ "$1" != {refuse} ] || exit 1\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

        self.state = folder / "state"

    def asked(self) -> list[str]:
        return self._log.read_text().split()


@pytest.fixture
def managed(tmp_path, signer, monkeypatch):
    """A device whose service manager refuses one verb from the update on."""

    def make_device(refuse: str):
        folder = tmp_path / "systemd"
        folder.mkdir()
        device = Device(tmp_path / "managed", signer, Health(60, steady=0, booted=folder / "booted"))
        device.updater.adopt(write_tree(tmp_path / "first", "1.0", 100))
        return device, ServiceManager(folder, monkeypatch, refuse)

    return make_device


def test_the_service_restarts_on_the_new_version(managed, make):
    device, manager = managed("nothing")
    device.apply(make("2.0", 200))
    assert device.runs() == "2.0"
    assert manager.asked() == ["is-enabled", "daemon-reload", "reset-failed", "restart", "is-enabled", "is-active"]


@pytest.mark.parametrize(("verb", "reason"), [("restart", "did not start"), ("is-active", "does not stay up")])
def test_a_version_whose_service_fails_is_taken_back(managed, make, verb, reason):
    device, manager = managed(verb)
    with pytest.raises(UpdateFailedError, match=reason):
        device.apply(make("2.0", 200))
    assert device.runs() == "1.0"
    assert manager.asked().count("restart") == 2  # on the new version, and on the old one again


def test_a_machine_that_is_switched_off_during_the_trial_decides_when_it_is_up_again(managed, make):
    device, manager = managed("restart")
    manager.state.write_text("stopping")
    with pytest.raises(DragomanError, match="going down"):
        device.apply(make("2.0", 200))
    assert device.home.phase() is Phase.TRIAL
    assert device.home.state().failed == []
    device.updater.health = Health(60, booted=device.home.path / "nothing")
    device.updater.finish()
    assert device.runs() == "2.0"
    assert device.home.phase() is Phase.IDLE


def test_a_service_that_is_switched_off_stays_off(managed, make):
    device, manager = managed("is-enabled")
    device.apply(make("2.0", 200))
    assert "restart" not in manager.asked()


def test_the_service_managers_files_are_those_of_the_version_that_runs(device, make):
    device.units.packaged.mkdir()
    (device.units.packaged / "dragoman.service").write_text("of the package")
    preferred = device.units.preferred / "dragoman.service"
    device.apply(make("2.0", 200, unit="of version 2"))
    assert preferred.read_text() == "of version 2"
    with pytest.raises(UpdateFailedError):
        device.apply(make("3.0", 300, unit="of version 3", doctor=ILL))
    assert preferred.read_text() == "of version 2"
    device.apply(make("4.0", 400, unit="of the package"))
    assert not preferred.exists()


# --- small updates ---


def test_what_the_device_has_already_need_not_be_sent(device, make):
    small, full = make("2.0", 200, without=("lib/same",)), make("3.0", 300)
    assert small.stat().st_size <= full.stat().st_size
    device.apply(small)
    assert device.is_whole()


def test_what_the_device_turns_out_to_lack_is_said_and_nothing_changes(device, make):
    with pytest.raises(DragomanError, match="leaves out 1 file that this machine lacks"):
        device.apply(make("2.0", 200, without=("lib/data",)))
    assert device.runs() == "1.0"


def test_a_damaged_file_is_not_passed_on_to_the_next_version(device, make):
    damaged = device.home.code(device.home.generation("current")) / "lib" / "same"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    with pytest.raises(DragomanError, match="lacks"):
        device.apply(make("2.0", 200, without=("lib/same",)))


def test_a_file_that_is_gone_here_is_one_that_this_machine_lacks(device, make):
    (device.home.code(device.home.generation("current")) / "lib" / "same").unlink()
    with pytest.raises(DragomanError, match="lacks"):
        device.apply(make("2.0", 200, without=("lib/same",)))


def test_what_is_damaged_is_mended_by_the_same_release_again(device, make):
    release = make("2.0", 200)
    device.apply(release)
    damaged = device.home.code(device.home.generation("current")) / "lib" / "same"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    assert not device.is_whole()
    device.apply(release, force=True)
    assert device.is_whole()
    assert device.home.phase() is Phase.IDLE


def test_an_update_that_cannot_be_unpacked_leaves_nothing_on_the_disk(device, make):
    with pytest.raises(DragomanError, match="leaves out"):
        device.apply(make("2.0", 200, without=("lib/data",)))
    assert not device.home.staging.exists()
    whole = make("3.0", 300)
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(DragomanError, match="cut off"):
        device.apply(whole)
    assert not device.home.staging.exists()


# --- what was written down is damaged, or by a newer version ---


def test_what_a_newer_version_writes_down_is_read_by_the_one_it_goes_back_to(device, make):
    with pytest.raises(UpdateFailedError):
        device.apply(make("2.0", 200, doctor=ILL))
    state = device.home.path / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "channel": "new in version 9"}))
    assert device.home.state().failed == [200]
    device.apply(make("3.0", 300))
    assert device.runs() == "3.0"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"highest": 7, "failed": null}', '{"generation": "x"}'])
def test_a_damaged_state_opens_no_way_back_to_an_older_version(device, make, content):
    device.apply(make("3.0", 300))
    (device.home.path / "state.json").write_text(content)
    with pytest.raises(DragomanError, match="older"):
        device.apply(make("2.0", 200))


@pytest.mark.parametrize("doctor", [WELL, ILL])
@pytest.mark.parametrize("content", ["", "{}", '{"generation": "2"}'])
def test_a_trial_of_which_the_record_is_damaged_is_decided(device, make, monkeypatch, doctor, content):
    monkeypatch.setattr(device.updater, "_decide", lambda _pending: None)  # the plug is pulled
    device.apply(make("2.0", 200, doctor=doctor))
    monkeypatch.undo()
    (device.home.path / "pending.json").write_text(content)

    device.updater.finish()

    assert device.runs() == ("2.0" if doctor == WELL else "1.0")
    assert device.home.phase() is Phase.IDLE
    assert device.home.pending() is None


# --- the Debian package's way ---


def test_the_package_does_not_replace_what_is_newer_unless_asked_to(device, make, tmp_path):
    device.apply(make("3.0", 300))
    packaged = write_tree(tmp_path / "packaged", "2.0", 200)
    device.updater.adopt(packaged)
    assert device.runs() == "3.0"
    device.updater.adopt(packaged, force=True)
    assert device.runs() == "2.0"


def test_what_the_package_manager_replaces_is_not_what_runs(tmp_path, signer):
    device = Device(tmp_path / "d", signer)
    tree = write_tree(tmp_path / "packaged", "1.0", 100)
    device.updater.adopt(tree)
    # As dpkg does: a new file is written beside the old one and renamed over it.
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        new = path.with_name(path.name + ".dpkg-new")
        new.write_bytes(b"half of the next vers")
        new.replace(path)
    assert device.is_whole()
    shutil.rmtree(tree)
    assert device.is_whole()


def test_versions_can_be_read_by_the_service_and_written_by_nobody_else(device, make):
    device.apply(make("2.0", 200))
    for path in device.home.versions.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            assert mode & stat.S_IROTH, path
            assert not mode & (stat.S_IWOTH | stat.S_IWGRP), path


def test_state_is_plain_json(device, make):
    device.apply(make("2.0", 200))
    state = json.loads((device.home.path / "state.json").read_text())
    assert (state["highest"], state["result"]) == ({"program": 200}, "installed")
