"""Builds the Debian package: ``make deb``, ``make deb ARCH=arm64``.

The package owns a release in ``/usr/lib/dragoman/release``. Its ``postinst`` gives the files second names below
``/opt/dragoman/versions``, where all versions lie, and switches to it as an update does. So a device that loses power
while dpkg unpacks still has the version that runs: what dpkg replaces are other names of other files.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from device.update.manifest import read
from tools.debian import MACHINES, ArchiveError
from tools.lock import ROOT
from tools.release import FILES, ReleaseError, build

RELEASE = Path("usr/lib/dragoman/release")
CURRENT = Path("/opt/dragoman/current/code")
LINKS = {
    "usr/bin/dragoman": "bin/dragoman",
    "usr/bin/dragoman-configure-board": "bin/configure-board",
    "usr/bin/dragoman-kiosk": "bin/kiosk",
    "usr/lib/dragoman/back-off": "systemd/back-off",
}
"""What is found under a fixed name, and is that of the version that runs."""
DEPENDS = (
    "libc6 (>= 2.35)",
    "libportaudio2",
    "libexpat1",
    "zlib1g",
    "libssl3",
    "libffi8",
    "libsqlite3-0",
    "libbz2-1.0",
    "liblzma5",
    "libcrypt1",
    "libuuid1",
    "media-types",
    "systemd",
)
"""What the interpreter, its library and PyAudio are linked with, under names that later releases still provide."""
RECOMMENDS = ("ca-certificates", "alsa-utils")
SUGGESTS = (
    "mosquitto",
    "libasound2-plugins",
    "fonts-dejavu-core",
    "fonts-noto-cjk",
    "minisign",
    "cage",
    "seatd",
    "chromium",
)
CONTROL = """\
Package: dragoman
Version: {version}
Architecture: {architecture}
Maintainer: The makers of Dragoman <dragoman@localhost>
Installed-Size: {size}
Depends: {depends}
Recommends: {recommends}
Suggests: {suggests}
Section: sound
Priority: optional
Description: offline speech translator
 People talk into a microphone, and hear and read what they said in another
 language. Recognition, translation and speech run on this machine; what was
 said goes to your own MQTT broker.
 .
 The package brings its interpreter and all Python packages, and keeps the
 version before, to which the device goes back by itself when a new one fails
 its health check.
"""


def package(tree: Path, architecture: str, work: Path, target: Path) -> Path:
    """Make the package of a release and return its path."""
    manifest = read(tree)
    root = work / architecture / "package"
    shutil.rmtree(root, ignore_errors=True)
    (root / RELEASE.parent).mkdir(parents=True)
    subprocess.run(["cp", "-al", tree, root / RELEASE], check=True)
    _add_links(root)
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for path in (tree / "systemd").iterdir():
        if path.suffix in {".service", ".timer"}:
            shutil.copy(path, units)
    for kind in ("sysusers.d", "tmpfiles.d"):
        (root / "usr/lib" / kind).mkdir(parents=True)
        shutil.copy(ROOT / "systemd" / kind / "dragoman.conf", root / "usr/lib" / kind)
    documents = root / "usr/share/doc/dragoman"
    documents.mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", documents / "copyright")
    shutil.copy(ROOT / "README.md", documents)
    _add_control(root, architecture, manifest.version)
    path = target / f"dragoman_{manifest.version}_{architecture}.deb"
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob(f"dragoman_*_{architecture}.deb"):
        old.unlink()
    command = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z9", "--build", root, path]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    return path


def _add_links(root: Path) -> None:
    for name, target in LINKS.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(CURRENT / target)


def _add_control(root: Path, architecture: str, version: str) -> None:
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    folder = root / "DEBIAN"
    folder.mkdir()
    control = CONTROL.format(
        version=version,
        architecture=architecture,
        size=size // 1024,
        depends=", ".join(DEPENDS),
        recommends=", ".join(RECOMMENDS),
        suggests=", ".join(SUGGESTS),
    )
    (folder / "control").write_text(control, encoding="utf-8")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copy(FILES / script, folder / script)
        (folder / script).chmod(0o755)


def main() -> None:
    """Build what the arguments say."""
    parser = argparse.ArgumentParser(prog="tools.deb", description="Build the Debian package.")
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    parser.add_argument("--arch", default=native, choices=sorted(MACHINES), help="for which processor")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "deb", help="folder for what is made on the way")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the package")
    chosen = parser.parse_args()
    try:
        tree = build(chosen.arch, chosen.work.resolve())
        print(package(tree, chosen.arch, chosen.work.resolve(), chosen.output.resolve()))
    except (ReleaseError, ArchiveError) as error:
        sys.exit(f"deb: {error}")


if __name__ == "__main__":
    main()
