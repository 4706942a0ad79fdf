"""Makes a folder from which Dragoman installs without a network: ``tools/install --prepare FOLDER``.

In it are the package, the Debian packages that it needs on an empty system, the models, and the installer itself. It
may lie on a USB stick, or be the input of ``tools/image``. Put a ``dragoman.toml`` and an ``update.pub`` beside them to
have them installed too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.deb import package as build_package
from tools.debian import MACHINES, Archive, ArchiveError, write_index
from tools.lock import ROOT
from tools.release import ReleaseError, build


def fill(
    folder: Path, architecture: str, work: Path, *, package: Path | None, suite: str, models: Sequence[str] | None
) -> None:
    """Put everything into the folder."""
    for old in folder.glob(f"dragoman_*_{architecture}.deb"):
        old.unlink()
    if package is not None:
        package = Path(shutil.copy(package, folder))
    else:
        package = build_package(build(architecture, work), architecture, work, folder)
    fields = subprocess.run(["dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True, check=True)
    names = [item.split("(")[0].strip() for item in fields.stdout.split(",")]
    print(f"offline: Debian packages of {suite}", flush=True)
    archive = Archive(work / "apt", architecture, suite)
    archive.update()
    packages = folder / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    archive.download_all(names, packages)
    write_index(packages)
    shutil.copy(ROOT / "tools" / "install", folder / "install")
    fetch_models(package, folder / "models", work, models)


def fetch_models(package: Path, target: Path, work: Path, models: Sequence[str] | None) -> None:
    """Fetch models with the packaged program where it runs on this processor, else with this checkout's."""
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    target.mkdir(exist_ok=True)
    wanted = list(models) if models is not None else ["--default"]
    subprocess.run(["dpkg-deb", "--extract", package, unpacked], check=True)
    candidates: tuple[list[str | Path], ...] = (
        [unpacked / "usr/lib/dragoman/release/bin/dragoman"],
        [sys.executable, "-m", "device"],
        [ROOT / ".venv/bin/dragoman"],
    )
    environment = os.environ | {"DRAGOMAN_MODELS": str(target)}
    try:
        command = next((command for command in candidates if _works(command)), None)
        if command is None:
            raise ReleaseError("nothing here can fetch models for another processor's folder: run `make setup` first")
        subprocess.run([*command, "models", "pull", *wanted], env=environment, cwd=ROOT, check=True)
    except subprocess.CalledProcessError:
        raise ReleaseError("the models could not be fetched") from None
    finally:
        shutil.rmtree(unpacked)


def _works(command: Sequence[str | Path]) -> bool:
    try:
        return not subprocess.run([*command, "--version"], cwd=ROOT, capture_output=True, check=False).returncode
    except OSError:
        return False


def main() -> None:
    """Fill the folder that the arguments name."""
    parser = argparse.ArgumentParser(prog="tools/install --prepare", description="Make a folder to install from.")
    native = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arch", default=native, choices=sorted(MACHINES), help="for which processor")
    parser.add_argument("--suite", default="bookworm", help="for which Debian")
    parser.add_argument("--package", type=Path, help="a package that was built already")
    parser.add_argument("--model", action="append", metavar="ID", help="this model instead of the default ones")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "deb", help="folder for what is made on the way")
    chosen = parser.parse_args()
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        fill(
            chosen.folder.resolve(),
            chosen.arch,
            chosen.work.resolve(),
            package=chosen.package,
            suite=chosen.suite,
            models=chosen.model,
        )
    except (ReleaseError, ArchiveError, OSError) as error:
        sys.exit(f"offline: {error}")
    print(f"offline: ready; on the device: sudo {chosen.folder}/install")


if __name__ == "__main__":
    main()
