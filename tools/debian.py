"""Gets Debian packages for any processor and suite from this machine's own mirror, without installing them.

apt-get runs with lists and settings of its own, so that nothing of this machine's is changed and no root is needed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The kernel's name of each of Debian's architectures."""


class ArchiveError(Exception):
    """Packages cannot be had; the message is apt-get's own."""


class Archive:
    """The packages of one architecture of a Debian release.

    Parameters
    ----------
    folder
        Where the lists are kept, so that they are fetched once.
    """

    def __init__(self, folder: Path, architecture: str, suite: str = "bookworm") -> None:
        self._folder = folder / f"{suite}-{architecture}"
        self._architecture, self._suite = architecture, suite

    def update(self) -> None:
        """Fetch the lists of packages."""
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        (self._folder / "sources.list").write_text("".join(sources(self._suite)), encoding="utf-8")
        (self._folder / "apt.conf").write_text(
            f"""\
APT::Architecture "{self._architecture}";
APT::Architectures {{ "{self._architecture}"; }};
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "{self._folder}/state";
Dir::State::status "{self._folder}/status";
Dir::Cache "{self._folder}/cache";
Dir::Etc::sourcelist "{self._folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
""",
            encoding="utf-8",
        )
        self._apt("update")

    def download(self, names: Iterable[str], target: Path) -> list[Path]:
        """Fetch the named packages, and nothing that they need, into a folder."""
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as fresh:
            self._apt("download", *names, cwd=Path(fresh))
            return [path.replace(target / path.name) for path in sorted(Path(fresh).glob("*.deb"))]

    def download_all(self, names: Iterable[str], target: Path) -> list[Path]:
        """Fetch the named packages and everything that they need on an empty machine."""
        listed = self._apt("install", "--print-uris", "--yes", "-qq", *names)
        wanted = [line.split()[1].split("_", 1)[0] for line in listed.splitlines() if line.startswith("'")]
        return self.download(wanted, target)

    def unpack(self, names: Iterable[str], target: Path) -> None:
        """Unpack the named packages into a folder, without running anything of theirs."""
        with tempfile.TemporaryDirectory() as folder:
            for package in self.download(names, Path(folder)):
                subprocess.run(["dpkg-deb", "--extract", package, target], check=True)

    def _apt(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["apt-get", *arguments],
            env=os.environ | {"APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ArchiveError(f"apt-get {arguments[0]}: {done.stderr.strip()}")
        return done.stdout


def sources(suite: str) -> list[str]:
    """Return the lines of a sources.list for a Debian release, with the mirrors that this machine uses.

    Raises
    ------
    ArchiveError
        This machine knows no mirror of Debian.
    """
    form = "$(ORIGIN) $(REPO_URI) $(RELEASE)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines: dict[str, None] = {}
    for line in listed.stdout.splitlines():
        origin, _, rest = line.partition(" ")
        mirror, _, release = rest.partition(" ")
        if origin == "Debian":
            pocket = release.partition("-")[2]
            name = f"{suite}-{pocket}" if pocket in {"updates", "security"} else suite
            lines[f"deb [signed-by={KEYRING}] {mirror} {name} main\n"] = None
    if not lines:
        raise ArchiveError("apt knows no mirror of Debian here")
    return list(lines)


def mirror() -> str:
    """Return the address of this machine's Debian mirror."""
    return next(line.split()[2] for line in sources("x") if line.split()[3] == "x")


def write_index(folder: Path) -> None:
    """Make a folder of packages one that apt can install from: ``deb [trusted=yes] file:FOLDER ./``."""
    blocks = []
    for package in sorted(folder.glob("*.deb")):
        fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
        with package.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        where = f"Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
        blocks.append(fields.rstrip("\n") + "\n" + where)
    (folder / "Packages").write_text("\n".join(blocks), encoding="utf-8")
