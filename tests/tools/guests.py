"""Whole machines, emulated by qemu: firmware apart, everything from the kernel up is the real system of an image.

A guest's disk is a `Disk`: what the guest writes is logged with its flushes (qemu's ``blklogwrites``, in the format of
Linux's dm-log-writes), and reaches the image only when the guest has ended. After a power cut that is what had been
flushed, as on a card that loses what its own memory held.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECTOR = 512
LOG_MAGIC = 0x6A736677736872
FLUSH, FUA = 1, 2
MEMORY_MB = 2048
EMULATORS = {
    "amd64": ("qemu-system-x86_64", "-machine", "q35", "-cpu", "Nehalem"),
    "arm64": ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"),
}
"""Not ``-cpu max``: under the AVX of qemu 7.2, onnxruntime fails an assertion of its own and aborts."""
CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
SHELL = "/dev/virtio-ports/shell"
SHELL_UNIT = f"""\
[Unit]
Description=Root's shell for the machine's owner
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/bin/sh -c 'until [ -e {SHELL} ]; do sleep 0.2; done; exec <>{SHELL} >&0 2>/dev/console; exec /bin/sh'
"""
"""Emulated machines have no keyboard that a test could press; a real one's owner would log in."""


class GuestError(AssertionError):
    """A machine did not do what it was told to."""


def why_not(architecture: str) -> str | None:
    """Return why no machine of an architecture can be emulated here."""
    missing = [name for name in (EMULATORS[architecture][0], "qemu-img") if shutil.which(name) is None]
    return f"needs {' and '.join(missing)}" if missing else None


def add_shell(root: Path) -> None:
    """Let whoever has the machine's virtual port talk to a shell of root's."""
    unit = root / "etc/systemd/system/owner-shell.service"
    unit.write_text(SHELL_UNIT)
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")


@dataclass(frozen=True)
class Write:
    """One entry of the log: where, what, and whether everything before it is safe."""

    start: int
    data: bytes
    flags: int


@dataclass
class Disk:
    """An image, and the writes of the machine that runs from it."""

    image: Path
    log: Path = field(init=False)
    overlay: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log, self.overlay = self.image.with_suffix(".log"), self.image.with_suffix(".qcow2")

    def begin(self) -> list[str]:
        """Return qemu's arguments for the disk, with an empty log."""
        self.log.write_bytes(b"")
        making = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.image, self.overlay]
        subprocess.run(making, check=True)
        drive = f"driver=blklogwrites,node-name=disk,log.driver=file,log.filename={self.log}"
        drive += f",file.driver=qcow2,file.file.driver=file,file.file.filename={self.overlay}"
        return ["-blockdev", drive, "-device", "virtio-blk-pci,drive=disk"]

    def writes(self) -> list[Write]:
        """Read the log."""
        found = []
        with self.log.open("rb") as file:
            magic, version, count, sector = struct.unpack("<QQQI", file.read(28))
            assert (magic, version) == (LOG_MAGIC, 1)
            file.seek(sector)
            for _ in range(count):
                start, sectors, flags, extra = struct.unpack("<QQQQ", file.read(32))
                assert extra == 0
                file.seek(sector - 32, os.SEEK_CUR)
                found.append(Write(start * sector, file.read(sectors * sector), flags))
        return found

    def end(self, torn: Random | None = None, *, cut: bool = False) -> int:
        """Bring to the image what the machine wrote, and return how many writes that were not flushed are lost.

        Parameters
        ----------
        cut
            The power was cut: what came after the last flush is lost,
        torn
            or, with this, each such write with a probability of a half, for disks write in an order of their own.
        """
        writes = self.writes()
        safe = max((n for n, write in enumerate(writes) if write.flags & FLUSH), default=0) if cut else len(writes)
        lost = 0
        with self.image.open("rb+") as image:
            for number, write in enumerate(writes):
                if number > safe and not write.flags & FUA and (torn is None or torn.random() < 0.5):
                    lost += 1
                    continue
                image.seek(write.start)
                image.write(write.data)
        self.discard()
        return lost

    def discard(self) -> None:
        """Forget the log."""
        self.log.unlink(missing_ok=True)
        self.overlay.unlink(missing_ok=True)


class Guest:
    """A running machine without a network card, and its owner's shell.

    Parameters
    ----------
    system
        A folder with the same system, for its kernel.
    folder
        Where its console and its sound are kept.
    root
        The kernel's name of its root.
    """

    def __init__(self, disk: Disk, system: Path, folder: Path, architecture: str, *, root: str) -> None:
        self.disk, self.console, self.sound = disk, folder / "console", folder / "speaker.wav"
        (kernel,) = (system / "boot").glob("vmlinuz-*")
        (initial,) = (system / "boot").glob("initrd.img-*")
        address = folder / "shell.socket"
        address.unlink(missing_ok=True)
        line = f"console={CONSOLES[architecture]} root={root} ro fsck.repair=yes quiet"
        command: list[str | Path] = [*EMULATORS[architecture], "-accel", "tcg,thread=multi", "-smp", "2"]
        command += ["-m", str(MEMORY_MB), "-nodefaults", "-display", "none", "-nic", "none"]
        command += ["-serial", f"file:{self.console}", "-kernel", kernel, "-initrd", initial, "-append", line]
        command += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=shell,path={address},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=shell,name=shell", "-device", "virtio-rng-pci"]
        command += ["-audiodev", f"wav,id=sound,path={self.sound}", "-device", "intel-hda"]
        command += ["-device", "hda-duplex,audiodev=sound", *disk.begin()]
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            if self._process.poll() is not None:
                assert self._process.stdout
                raise GuestError(f"qemu ended: {self._process.stdout.read().decode()}")
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self._socket.connect(str(address))
                break
            time.sleep(0.1)
        self._said = b""
        self._count = 0

    def run(self, command: str, seconds: float = 900) -> tuple[int, str]:
        """Run a line of shell there, and return its exit status and what it printed."""
        self._count += 1
        mark = f"--{self._count}--"
        inner = base64.b64encode(command.encode()).decode()
        self._socket.sendall(
            f"sh -c \"$(echo {inner} | base64 -d)\" 2>&1 </dev/null; printf '\\n{mark}%s\\n' $?\n".encode()
        )
        said = self._until(f"\n{mark}".encode(), seconds)
        status = self._until(b"\n", seconds)
        sys.stdout.write(f"[{time.monotonic() - self._began:.0f} s] {command}\n{said[-3000:]}\n")
        return int(status), said.strip()

    def out(self, command: str, seconds: float = 900) -> str:
        """Run a line of shell that must succeed, and return what it printed."""
        status, said = self.run(command, seconds)
        if status:
            raise GuestError(f"{command}: {status}: {said[-2000:]}")
        return said

    def start(self, command: str) -> None:
        """Run a line of shell there, and go on."""
        self.out(f"({command}) >/dev/null 2>&1 &")

    def cut(self, torn: Random | None = None) -> int:
        """Cut the power, and return how many writes that were not flushed are lost."""
        self.kill()
        return self.disk.end(torn, cut=True)

    def off(self, seconds: float = 300) -> None:
        """Switch the machine off as people should."""
        self.start("systemctl poweroff")
        self._process.wait(seconds)
        self.kill()
        self.disk.end()

    def kill(self) -> None:
        """End the emulator at once."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _until(self, mark: bytes, seconds: float) -> str:
        end = time.monotonic() + seconds
        while mark not in self._said:
            self._socket.settimeout(max(0.1, end - time.monotonic()))
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                more = b""
            if not more:
                console = self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""
                raise GuestError(f"no answer in {seconds:.0f} s; so far {self._said[-2000:]!r}; console: {console}")
            self._said += more
        before, _, self._said = self._said.partition(mark)
        return before.decode(errors="replace")
