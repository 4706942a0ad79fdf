"""An image of a system becomes one that starts as a translator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import APPLIANCE
from tests.tools import chroots
from tools.image import ImageError, _device, _mounted, make, partitions

SECTOR = 512
BOOT, ROOT, END = 8192, 139264, 2_400_000
"""First sectors of the two partitions that an image of Raspberry Pi OS has, and the end of the disk."""


def write_image(path: Path, root: Path) -> Path:
    """Write an image whose partitions are those of Raspberry Pi OS, with the system in ``root``."""
    path.touch()
    path.open("rb+").truncate(END * SECTOR)
    table = f"label: dos\nstart={BOOT}, size={ROOT - BOOT}, type=c\nstart={ROOT}, type=83\n"
    subprocess.run(["sfdisk", "--quiet", path], input=table, text=True, check=True)
    making = [
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-d",
        root,
        "-E",
        f"offset={ROOT * SECTOR}",
        path,
        str((END - ROOT) // 8),
    ]
    subprocess.run(making, check=True, capture_output=True)
    return path


@pytest.mark.skipif(not (shutil.which("sfdisk") and shutil.which("mke2fs")), reason="needs fdisk and e2fsprogs")
def test_partitions_are_found(tmp_path):
    (tmp_path / "root").mkdir()
    image = write_image(tmp_path / "image", tmp_path / "root")
    found = partitions(image)
    assert [(p.number, p.start) for p in found] == [(1, BOOT * SECTOR), (2, ROOT * SECTOR)]


@pytest.mark.skipif(chroots.why_not() == "needs root", reason="needs root")
def test_what_is_no_prepared_folder_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ImageError, match="was not made by"):
        make(tmp_path / "image", tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
@pytest.mark.models
@pytest.mark.timeout(5400)
@pytest.mark.skipif(not APPLIANCE, reason="takes minutes: make test-appliance")
@pytest.mark.parametrize("architecture", ["native", "arm64"])
def test_an_image_is_a_translator_without_a_network(architecture, request, tmp_path):
    native = architecture == "native" or chroots.NATIVE == "arm64"
    folder = request.getfixturevalue("stick" if native else "arm_stick")
    (folder / "dragoman.toml").write_text("[mqtt]\nenabled = false\n")
    source = write_image(tmp_path / "source.img", chroots.base(chroots.NATIVE if native else "arm64"))
    target = tmp_path / "dragoman.img"
    make(source, folder, target)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    with _device(target, partitions(target)[-1]) as device, _mounted(mounted, device):
        assert (mounted / "etc/dragoman/dragoman.toml").read_text() == "[mqtt]\nenabled = false\n"
        assert (mounted / "opt/dragoman/current").is_symlink()
        assert (mounted / "etc/systemd/system/multi-user.target.wants/dragoman.service").is_symlink()
        system = chroots.System(mounted, folder, fresh=False)
        done = system.run("dragoman", "translate", "/stick/fox.wav", "--from", "en", "--to", "pt")
        assert "raposa" in done.stdout
