"""Fresh Debian systems in folders, of this processor or another one (through qemu's user emulation)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from device.update.manifest import NAME, Manifest, read
from tools import debian, offline
from tools.lock import ROOT
from tools.release import entries

MODELS = ("asr-moonshine-tiny-en", "mt-bergamot-en-pt", "tts-piper-pt-faber", "vad-silero")
WORK = ROOT / "build" / "deb"
CACHE = ROOT / "build" / "chroots"
NATIVE = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
ENTER = """\
set -e
for name in proc dev sys; do mount --bind "/$name" "$0/$name"; done
mkdir -p "$0/stick"
mount --bind -o ro "$1" "$0/stick"
root=$0; shift
exec chroot "$root" "$@"
"""


SCRIPT = """\
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /srv/script
TimeoutStartSec=infinity
"""


def why_not(architecture: str = NATIVE) -> str | None:
    """Return why there can be no such system here."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("debootstrap") is None:
        return "needs debootstrap"
    handlers = Path("/proc/sys/fs/binfmt_misc")
    if architecture != NATIVE and not (handlers / f"qemu-{debian.MACHINES[architecture]}").exists():
        return "needs qemu-user-static, and binfmt_misc mounted with its entry"
    return None


def base(architecture: str) -> Path:
    """Return a fresh Debian 12, made once."""
    folder = CACHE / f"bookworm-{architecture}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        making = ["debootstrap", "--variant=minbase", f"--arch={architecture}", "bookworm", partial, debian.mirror()]
        subprocess.run(making, check=True, stdout=subprocess.DEVNULL)
        # A system that is thrown away need not survive a power cut while it is made.
        (partial / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")
        partial.rename(folder)
    return folder


BOOTABLE = (
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "systemd-timesyncd",
    "network-manager",
    "alsa-utils",
    "procps",
    "sudo",
    "mosquitto",
    "mosquitto-clients",
)
"""What Raspberry Pi OS Lite has and a minimal Debian has not, as far as it matters here, and a broker."""
DISK = "64726167"
"""The identifier of the disks that tests make; the second partition is the root."""


def bootable(architecture: str) -> Path:
    """Return a Debian 12 with a kernel and what a machine of its own runs, made once.

    Raises
    ------
    subprocess.CalledProcessError
        Its packages could not be installed.
    """
    folder = CACHE / f"bookworm-{architecture}-bootable"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        system = System(partial, CACHE, architecture)
        (partial / "etc/fstab").write_text(f"PARTUUID={DISK}-02 / ext4 defaults,noatime 0 1\n")
        (partial / "etc/hostname").write_text("dragoman\n")
        (partial / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 dragoman\n")
        shutil.copy("/etc/resolv.conf", partial / "etc/resolv.conf")
        # All drivers that a kernel has would be unpacked at every start, by an emulated processor.
        settings = partial / "etc/initramfs-tools"
        (settings / "conf.d").mkdir(parents=True)
        (settings / "conf.d/modules").write_text("MODULES=list\n")
        (settings / "modules").write_text("virtio_pci\nvirtio_blk\next4\n")
        for command in (
            ("apt-get", "update"),
            ("apt-get", "install", "-y", "--no-install-recommends", f"linux-image-{architecture}", *BOOTABLE),
            ("apt-get", "clean"),
            ("systemctl", "mask", "mosquitto"),
        ):
            system.run(*command, network=True, DEBIAN_FRONTEND="noninteractive").check_returncode()
        (partial / "stick").rmdir()
        (partial / "etc/resolv.conf").unlink()
        # As in images that are meant for many cards: the first start makes one, and enables what is not masked.
        (partial / "etc/machine-id").write_text("")
        partial.rename(folder)
    return folder


def fill_stick(folder: Path, architecture: str, recording: Path) -> Path:
    """Put on a stick what a person would: everything to install from, and a recording to try it on."""
    offline.fill(folder, architecture, WORK, package=None, suite="bookworm", models=MODELS)
    shutil.copy(recording, folder / "fox.wav")
    return folder


def variant(name: str, serial: int, edit: Callable[[Path], None]) -> Path:
    """Return the release that was built, as another version that ``edit`` has changed."""
    release = WORK / NATIVE / "release"
    base = read(release)
    tree = WORK / f"release-{name}"
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["cp", "-al", release, tree], check=True)
    (tree / NAME).unlink()
    edit(tree)
    manifest = Manifest(name, base.serial + serial, base.machine, code=entries(tree))
    (tree / NAME).write_bytes(manifest.encode())
    return tree


def rewrite(path: Path, old: str, new: str) -> None:
    """Change a text file of a release whose other copies share its bytes."""
    text = path.read_text()
    assert old in text
    path.unlink()
    path.write_text(text.replace(old, new))


class System:
    """A fresh system; what is in ``stick`` is at /stick there."""

    def __init__(self, folder: Path, stick: Path, architecture: str = NATIVE, *, fresh: bool = True) -> None:
        self.root, self._stick = folder, stick
        if fresh:
            subprocess.run(["cp", "-a", "--reflink=auto", base(architecture), folder], check=True)

    def run(self, *command: object, network: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command there, by default without any network."""
        namespaces = ["--mount"] + ([] if network else ["--net"])
        own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **environment}
        done = subprocess.run(
            ["unshare", *namespaces, "sh", "-c", ENTER, self.root, self._stick, *map(str, command)],
            env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        sys.stdout.write(done.stdout[-3000:] + done.stderr[-3000:])
        return done

    def boot(self, script: str, seconds: float = 900) -> str:
        """Start the system with its own service manager as process 1, and return what ``script`` printed.

        The script runs as root once everything is up, and ends the system itself.
        """
        log = self.root / "srv/log"
        log.unlink(missing_ok=True)
        (self.root / "srv/script").write_text(f"exec >/srv/log 2>&1\n{script}")
        units = self.root / "etc/systemd/system"
        (units / "script.service").write_text(SCRIPT)
        wants = units / "multi-user.target.wants/script.service"
        wants.unlink(missing_ok=True)
        wants.symlink_to("/etc/systemd/system/script.service")
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--directory", self.root]
        command += [f"--bind-ro={self._stick}:/stick", "--private-network"]
        container = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            console = container.communicate(timeout=seconds)[0].decode(errors="replace")
        finally:
            container.kill()
        said = log.read_text() if log.exists() else ""
        sys.stdout.write(said[-4000:] + console[-2000:])
        return said
