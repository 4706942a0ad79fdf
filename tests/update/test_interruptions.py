"""Killed or unplugged at any moment, a device has the old version or the new one, and then one of them for good."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from device.errors import DragomanError
from device.update.home import CURRENT, GOOD, Phase
from tests.conftest import APPLIANCE
from tests.update.support import ILL, Device, Signer, write_bundle, write_tree

CHANGING = {
    "open", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.chown",
    "os.truncate", "fcntl.flock", "subprocess.Popen", "os.utime",
}  # fmt: skip
"""What the interpreter announces (PEP 578) just before it does it."""
STRIDE = 1 if APPLIANCE else 5


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A device and updates, in memory where that can be: a killed process does not depend on the disk."""
    memory = Path("/dev/shm")
    base = tmp_path_factory.mktemp("kills") if not os.access(memory, os.W_OK) else memory / f"dragoman-{os.getpid()}"
    base.mkdir(exist_ok=True)
    signer = Signer(base / "keys")
    first = Device(base / "first", signer)
    first.updater.adopt(write_tree(base / "v1", "1.0", 100))
    good = write_bundle(base / "good.update", write_tree(base / "v2", "2.0", 200), signer)
    bad = write_bundle(base / "bad.update", write_tree(base / "v3", "3.0", 300, doctor=ILL), signer)
    yield base, signer, good, bad
    shutil.rmtree(base)


@pytest.fixture
def fresh(store):
    """Return a function that gives a device with version 1 on it."""
    base, signer, *_ = store

    def device() -> Device:
        folder = base / "device"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base / "first", folder, symlinks=True)
        found = Device(folder, signer)
        # The links to models are absolute, as they are on a device.
        for link in found.home.generations.glob("*/models"):
            number = link.parent.name
            link.unlink()
            link.symlink_to(found.home.model_sets / number)
        return found

    return device


def dies(action: Callable[[], object], prepare: Callable[[], None]) -> bool:
    """Do something in a process of its own, and tell whether it was killed on the way."""
    child = os.fork()
    if child == 0:
        try:
            prepare()
            try:
                action()
            except DragomanError:
                os._exit(0)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - nothing may go on as a second pytest
            os.write(2, repr(error).encode())
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def killed_at_step(number: int) -> Callable[[], None]:
    """Kill this process just before its ``number``-th change to the disk."""

    def prepare() -> None:
        left = number

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event not in CHANGING or (event == "open" and not _writes(arguments)):
                return
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def killed_at_byte(number: int) -> Callable[[], None]:
    """Kill this process when it writes a file's ``number``-th byte."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))

    return prepare


def settled(device: Device) -> str:
    """Start the device again, and return the version that it is left with."""
    device.updater.finish()
    assert device.home.phase() is Phase.IDLE
    assert device.home.generation(CURRENT) == device.home.generation(GOOD)
    assert device.is_whole()
    assert device.home.pending() is None
    assert not device.home.staging.exists()
    return device.runs()


def every_step(fresh, act, check) -> int:
    """Kill ``act`` at its first change to the disk, its second … until it comes through; return how many there are."""
    steps = 0
    while True:
        device = fresh()
        if not dies(lambda device=device: act(device), killed_at_step(steps)):
            return steps
        check(device)
        steps += STRIDE


def test_killed_at_any_step_an_update_leaves_the_old_version_or_the_new(fresh, store):
    _, _, good, _ = store
    left = set()

    def check(device: Device) -> None:
        assert device.runs() in {"1.0", "2.0"}
        assert device.is_whole()  # before anybody mends anything
        left.add(settled(device))
        device.apply(good, force=True)
        assert device.runs() == "2.0"

    assert every_step(fresh, lambda device: device.apply(good), check) > 50
    assert left == {"1.0", "2.0"}


def test_killed_at_any_step_a_bad_update_ends_with_the_old_version(fresh, store):
    _, _, _, bad = store

    def check(device: Device) -> None:
        assert device.is_whole()
        assert settled(device) == "1.0"

    assert every_step(fresh, lambda device: device.apply(bad), check) > 50


def test_killed_at_any_step_a_rollback_leaves_one_of_the_two(fresh, store):
    _, _, good, _ = store

    def updated() -> Device:
        device = fresh()
        device.apply(good)
        return device

    def check(device: Device) -> None:
        assert device.is_whole()
        assert settled(device) in {"1.0", "2.0"}

    assert every_step(updated, lambda device: device.updater.rollback(), check) > 10


def on_trial(fresh, bundle: Path) -> Device:
    """Return a device that was killed while a new version was on trial."""
    steps = 0
    while True:
        device = fresh()
        assert dies(lambda device=device: device.apply(bundle), killed_at_step(steps))
        if device.home.phase() is Phase.TRIAL:
            return device
        steps += 1


def test_killed_again_and_again_while_it_recovers_it_recovers_in_the_end(fresh, store):
    _, _, good, _ = store
    device = on_trial(fresh, good)
    kept = device.home.path.with_name("on-trial")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(device.home.path, kept, symlinks=True)

    def again() -> Device:
        shutil.rmtree(device.home.path)
        shutil.copytree(kept, device.home.path, symlinks=True)
        return device

    def check(device: Device) -> None:
        assert device.is_whole()
        assert settled(device) == "2.0"

    assert every_step(again, lambda device: device.updater.finish(), check) > 5


def test_a_trial_that_never_ends_is_given_up(fresh, store):
    """The machine goes down at each try: who knows whether it is the new version that takes it down."""
    _, _, good, _ = store
    device = on_trial(fresh, good)
    tries = 0
    while device.home.phase() is Phase.TRIAL:
        # The try is counted before it begins; then the health check takes the machine down.
        assert dies(device.updater.finish, killed_at_health_check) or device.home.phase() is Phase.IDLE
        tries += 1
        assert tries < 10
    assert settled(device) == "1.0"
    assert "not decided after 3 starts" in device.home.state().text


def killed_at_health_check() -> None:
    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if event == "subprocess.Popen":
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def test_killed_at_any_byte_of_a_write_the_version_that_runs_is_whole(fresh, store):
    _, _, good, _ = store
    sizes = set()
    for number in range(0, 1200, 3 if APPLIANCE else 60):
        device = fresh()
        if dies(lambda device=device: device.apply(good), killed_at_byte(number)):
            sizes.add(number)
        assert device.is_whole()
        assert settled(device) in {"1.0", "2.0"}
    assert len(sizes) > 5


def test_a_bundle_that_is_cut_off_anywhere_is_refused_or_has_lost_nothing(fresh, store):
    _, _, good, _ = store
    whole = good.read_bytes()
    damaged(fresh, good, (whole[:length] for length in range(0, len(whole) - 1, stride(whole))))


def test_a_bundle_with_any_byte_changed_is_refused_or_the_same(fresh, store):
    _, _, good, _ = store
    whole = good.read_bytes()
    changed = (whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :] for at in range(0, len(whole), stride(whole)))
    damaged(fresh, good, changed)


def stride(whole: bytes) -> int:
    return max(1, len(whole) // (400 if APPLIANCE else 40))


def damaged(fresh, good: Path, variants) -> None:
    """Try bundles that something happened to on the way."""
    file = good.with_name("damaged.update")
    device = fresh()
    refused = 0
    for variant in variants:
        file.write_bytes(variant)
        try:
            device.apply(file)
        except DragomanError:
            refused += 1
            assert device.runs() == "1.0"
        else:
            assert device.runs() == "2.0"  # it was behind the last file, in what tar and xz add
            assert device.is_whole()
            device = fresh()
    assert refused > 20
    assert settled(device) == "1.0"
