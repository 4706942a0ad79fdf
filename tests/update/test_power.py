"""The plug is pulled: what the disk holds at that instant is all there is.

A real ext4 file system in a file. While an update runs it is stopped at each of its steps, and the file is copied, with
whatever the kernel has written into it so far and nothing of what it still kept in memory: that is what a card holds
after a power cut. The copy is mounted, which replays the journal, and must hold a whole version.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device.errors import DragomanError
from tests.conftest import APPLIANCE
from tests.update.support import ILL, Device, Signer, write_bundle, write_tree
from tests.update.test_interruptions import CHANGING, _writes, settled

SIZE = 24_000_000
STRIDE = 1 if APPLIANCE else 12


def can_mount() -> bool:
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and all(map(shutil.which, ("mke2fs", "losetup")))


pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not can_mount(), reason="needs root, loop devices and e2fsprogs")]


class Disk:
    """A file system in a file."""

    def __init__(self, image: Path, place: Path) -> None:
        self.image, self.place = image, place
        place.mkdir(exist_ok=True)

    def make(self) -> None:
        self.image.touch()
        os.truncate(self.image, SIZE)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", self.image], check=True)

    def __enter__(self) -> Path:
        # commit=600: the kernel writes by itself as late as it can, so what is there was asked for.
        subprocess.run(["mount", "-o", "loop,commit=600", self.image, self.place], check=True)
        return self.place

    def __exit__(self, *exception: object) -> None:
        subprocess.run(["umount", self.place], check=True)


def stops_at(number: int) -> None:
    """Stop this process before its ``number``-th change to the disk, and every ``STRIDE`` further ones."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in CHANGING or (event == "open" and not _writes(arguments)):
            return
        left -= 1
        if left < 0:
            left = STRIDE - 1
            os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(hook)


@pytest.mark.parametrize("health", ["good", "bad"])
def test_pulled_at_any_step_the_disk_holds_the_old_version_or_the_new(tmp_path, health, monkeypatch):
    monkeypatch.setattr("device.update.making.ROOM", 0)
    signer = Signer(tmp_path / "keys")
    disk = Disk(tmp_path / "disk", tmp_path / "mounted")
    copy = Disk(tmp_path / "copy", tmp_path / "mounted-copy")
    disk.make()
    second = write_tree(tmp_path / "v2", "2.0", 200, **({"doctor": ILL} if health == "bad" else {}))
    update = write_bundle(tmp_path / "update", second, signer)
    left: list[str] = []
    with disk as place:
        device = Device(place, signer)
        device.updater.adopt(write_tree(tmp_path / "v1", "1.0", 100))
        os.sync()
        child = os.fork()
        if child == 0:
            try:
                stops_at(0)
                device.apply(update)
            except DragomanError:
                pass
            except BaseException as error:  # noqa: BLE001 - nothing may go on as a second pytest
                os.write(2, repr(error).encode())
                os._exit(99)
            os._exit(0)
        try:
            while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
                shutil.copyfile(disk.image, copy.image)
                left.append(_after_power_cut(copy, signer))
                os.kill(child, signal.SIGCONT)
            assert status == 0
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        assert device.runs() == ("2.0" if health == "good" else "1.0")
    assert len(left) > 5
    assert set(left) <= {"1.0", "2.0"} if health == "good" else set(left) == {"1.0"}


def _after_power_cut(copy: Disk, signer: Signer) -> str:
    """Start a device on the disk as it was left, and return the version that it ends with."""
    with copy as place:
        links = Device(place, signer)
        # The links to sets of models are absolute, and this disk is mounted elsewhere than the one it is a copy of.
        for link in links.home.generations.glob("*/models"):
            target = links.home.model_sets / link.readlink().name
            link.unlink()
            link.symlink_to(target)
        assert links.is_whole()
        return settled(links)
