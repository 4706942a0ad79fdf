"""Puts Dragoman into a system image: ``tools.image raspios-lite.img FOLDER dragoman.img``, or ``make image``.

The image is one of Raspberry Pi OS (64 bit) or Debian, with the root file system (ext4) as its last partition. FOLDER
is what ``tools/install --prepare`` made, with package, Debian packages and models, and, where the owner put them there,
``dragoman.toml`` and ``update.pub``. The result needs no network, neither here nor on the device: it is written to a
card, and starts as a translator. The boot partition stays as it is: overlays for microphones and amplifiers are set on
the device, by ``dragoman-configure-board``.

The installer runs inside the image as it would on the device: mounted, as root, and for another processor through
qemu's user emulation (``qemu-user-static`` with binfmt_misc).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
GROW = 2_500_000_000
"""Bytes by which the root partition grows, for program and models."""
INSIDE = "run/dragoman-install"


class ImageError(Exception):
    """The image cannot be made; the message says why."""


@dataclass(frozen=True)
class Partition:
    """One partition: number from 1, begin and size in bytes."""

    number: int
    start: int
    size: int


def partitions(image: Path) -> list[Partition]:
    """Return the partitions of an image, in the order of the disk."""
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    size = table.get("sectorsize", SECTOR)
    rows = sorted(table["partitions"], key=lambda row: row["start"])
    return [Partition(n, row["start"] * size, row["size"] * size) for n, row in enumerate(rows, 1)]


def make(source: Path, folder: Path, target: Path, grow: int = GROW) -> None:
    """Write ``target``, which is ``source`` with what is in ``folder`` installed.

    Raises
    ------
    ImageError
        It is no such image, or something in it failed; ``target`` is removed.
    """
    if os.geteuid() != 0:
        raise ImageError("mounting an image needs root")
    if not (folder / "install").exists():
        raise ImageError(f"{folder} was not made by tools/install --prepare")
    run("cp", "--sparse=always", "--reflink=auto", source, target)
    try:
        _grow(target, grow)
        _install(target, folder)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _grow(image: Path, by: int) -> None:
    found = partitions(image)
    if not found:
        raise ImageError(f"{image} has no partitions")
    os.truncate(image, image.stat().st_size // SECTOR * SECTOR + by // SECTOR * SECTOR)
    last = found[-1].number
    subprocess.run(
        ["sfdisk", "--quiet", "-N", str(last), str(image)], input=", +\n", text=True, check=True, capture_output=True
    )
    with _device(image, partitions(image)[-1]) as device:
        _check(device)
        run("resize2fs", device)


def _install(image: Path, folder: Path) -> None:
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        device = stack.enter_context(_device(image, partitions(image)[-1]))
        stack.callback(_check, device)
        stack.enter_context(_mounted(root, device))
        for name in ("proc", "sys", "dev", "dev/pts"):
            stack.enter_context(_mounted(root / name, f"/{name}", "--bind"))
        stack.enter_context(_mounted(root / "run", "tmpfs", "-t", "tmpfs"))
        inside = root / INSIDE
        inside.mkdir()
        stack.enter_context(_mounted(inside, folder, "--bind", "-o", "ro"))
        _speaks(root)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done = subprocess.run(["chroot", root, f"/{INSIDE}/install"], env=environment, check=False)
        if done.returncode:
            raise ImageError("the installer failed inside the image")
        run("sync", "--file-system", root)


def _speaks(root: Path) -> None:
    """Find out whether programs of the image run here."""
    try:
        done = subprocess.run(["chroot", root, "/bin/true"], capture_output=True, check=False)
    except OSError as error:
        raise ImageError(f"the last partition is no system: {error.strerror}") from None
    if done.returncode:
        raise ImageError(
            "programs of the image do not run here: for another processor, apt install qemu-user-static binfmt-support"
        )


@contextmanager
def _device(image: Path, partition: Partition) -> Iterator[str]:
    """Give a partition of an image a block device."""
    sizes = ["--offset", str(partition.start), "--sizelimit", str(partition.size)]
    device = run("losetup", "--find", "--show", *sizes, image).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def _mounted(place: Path, what: str | Path, *options: str) -> Iterator[None]:
    run("mount", *options, what, place)
    try:
        yield
    finally:
        run("umount", "--recursive", place)


def _check(device: str) -> None:
    """Check and mend an ext4 file system; 1 means mended."""
    done = subprocess.run(["e2fsck", "-f", "-y", device], capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise ImageError(f"the last partition is no whole ext4 file system: {done.stderr.strip()[-200:]}")


def run(*command: str | Path) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def main() -> None:
    """Make the image that the arguments name."""
    parser = argparse.ArgumentParser(prog="tools.image", description="Put Dragoman into a system image.")
    parser.add_argument("source", type=Path, help="image of Raspberry Pi OS (64 bit) or Debian, unpacked")
    parser.add_argument("folder", type=Path, help="what `tools/install --prepare` made")
    parser.add_argument("target", type=Path, help="image to write")
    parser.add_argument("--grow", type=int, default=GROW, metavar="BYTES", help="room for program and models")
    chosen = parser.parse_args()
    for program in ("sfdisk", "losetup", "resize2fs", "e2fsck"):
        if shutil.which(program) is None:
            sys.exit(f"image: {program} is missing: apt install fdisk mount e2fsprogs")
    try:
        make(chosen.source, chosen.folder.resolve(), chosen.target, chosen.grow)
    except (ImageError, OSError) as error:
        sys.exit(f"image: {error}")
    print(f"{chosen.target}  write it to a card")


if __name__ == "__main__":
    main()
