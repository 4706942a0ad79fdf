"""Pins every version that a checkout installs: resolves all dependencies, and writes ``constraints.txt``.

They are resolved for CPython 3.11 on both processors that Dragoman runs on, from wheels alone: nothing but
PyAudio (a small binding to PortAudio) is built on the device.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
MACHINES = ("x86_64", "aarch64")
BUILT_HERE = "pyaudio"
"""The one dependency without wheels for Linux."""
GLIBC = 36
"""Debian 12 and Raspberry Pi OS have glibc 2.36, and so take wheels up to manylinux_2_36."""
TOOLS = ("pip", "hatchling", "editables", "setuptools", "wheel")
"""What installs and builds: pinned too, but no dependency of the program."""

HEADER = """\
# Every version that a checkout installs, also of what its dependencies need and of the tools that build them.
# Written by `make lock`; pyproject.toml says what is wanted.
"""


class ResolutionError(Exception):
    """Pip found no set of wheels; the message is pip's own."""


def requirements(machine: str, extras: tuple[str, ...] = ("dev",)) -> list[Requirement]:
    """Return what ``pyproject.toml`` asks for on ``machine``, by default with the developers' tools."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    found = [Requirement(line) for line in lines]
    # Pip judges markers by the machine it runs on, so ours are judged here.
    environment = {"platform_machine": machine, "sys_platform": "linux", "python_version": "3.11"}
    wanted = [r for r in found if r.marker is None or r.marker.evaluate(environment)]
    for requirement in wanted:
        requirement.marker = None
    return wanted


def resolve(machine: str, *, constraints: Path | None = None, more: tuple[str, ...] = ()) -> dict[str, str]:
    """Return name and version of everything that gets installed on ``machine``, from wheels alone.

    Parameters
    ----------
    machine
        ``x86_64`` or ``aarch64``; it need not be this one.
    constraints
        Versions that must be kept to.
    more
        Further requirements beside those of ``pyproject.toml``.

    Raises
    ------
    ResolutionError
        No wheels fit together.
    """
    wanted = requirements(machine)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        command += [
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--report",
            str(report),
            "--target",
            scratch,
        ]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]
        for minor in range(GLIBC, 16, -1):
            command += ["--platform", f"manylinux_2_{minor}_{machine}"]
        command += ["--platform", f"manylinux2014_{machine}"]
        if constraints:
            command += ["--constraint", str(constraints)]
        command += [str(r) for r in wanted if r.name.lower() != BUILT_HERE] + list(more)
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise ResolutionError(done.stderr.strip())
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = {item["metadata"]["name"]: item["metadata"]["version"] for item in chosen}
    for requirement in wanted:
        if requirement.name.lower() == BUILT_HERE:
            versions[requirement.name] = next(iter(requirement.specifier)).version
    return versions


def main() -> None:
    """Resolve for every machine and write the file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    builder = tuple(project["build-system"]["requires"])
    pins: dict[str, str] = {}
    for machine in MACHINES:
        for name, version in resolve(machine, more=(*TOOLS, *builder)).items():
            if pins.setdefault(name, version) != version:
                sys.exit(f"{name} is {version} on {machine} and {pins[name]} elsewhere: pin it yourself")
    lines = [f"{name}=={pins[name]}\n" for name in sorted(pins, key=str.lower)]
    CONSTRAINTS.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{len(lines)} versions pinned in {CONSTRAINTS.name}")


if __name__ == "__main__":
    main()
