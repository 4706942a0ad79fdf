"""What an image is; that one made here starts as a translator is tested by starting it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools import chroots
from tools.image import ImageError, make, partitions

SECTOR = 512
BOOT, ROOT, END = 8192, 139264, 2_800_000
"""First sectors of the two partitions that an image of Raspberry Pi OS has, and the end of the disk."""


def write_image(path: Path, root: Path) -> Path:
    """Write an image whose partitions are those of Raspberry Pi OS, with the system in ``root``."""
    path.touch()
    path.open("rb+").truncate(END * SECTOR)
    table = f"label: dos\nlabel-id: 0x{chroots.DISK}\nstart={BOOT}, size={ROOT - BOOT}, type=c\nstart={ROOT}, type=83\n"
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
