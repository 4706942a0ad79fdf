"""Gets one file from the first of its sources that gives the right bytes."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from device.errors import DragomanError
from device.modelstore.catalogue import Model, ModelFile
from device.modelstore.download import Remote, SourceError, download, hub_endpoint, hub_remote
from device.modelstore.files import copy_stream, sha256_of
from device.modelstore.packages import Packages
from device.modelstore.progress import Progress, Share
from device.modelstore.sources import Address, HubFile, LocalFile, Member, Part, parse_source


class UnobtainableError(DragomanError):
    """None of a file's sources gave the right bytes."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file whose bytes are right, still under a temporary name."""

    path: Path
    sha256: str
    origin: str


class Fetcher:
    """The fetching of one pull: remembers hosts that do not answer, and packages that were fetched.

    Parameters
    ----------
    work, packages
        Folders on the store's disk for unfinished files and for packages.
    found
        Package files at hand, for an import.
    online
        False takes nothing from the network.
    """

    def __init__(
        self, work: Path, packages: Path, progress: Progress, found: dict[str, Path], *, online: bool = True
    ) -> None:
        self._work = work
        self._folder = packages
        self._packages = Packages(packages, progress, found, online=online)
        self._online = online
        self._dead: dict[str, str] = {}

    def tidy(self) -> None:
        """Remove what a killed pull left and nobody can go on with."""
        for leftover in self._folder.glob(".fetching-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def close(self) -> None:
        """Everything was fetched: no package is needed any more; unfinished files of other models stay."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._work.rmdir()

    def fetch(self, model: Model, file: ModelFile, share: Share, pinned: str | None = None) -> Fetched:
        """Return the file, verified.

        ``pinned`` is the earlier hash of a file that has none in the catalogue.

        Raises
        ------
        UnobtainableError
            No source gave the right bytes: each one's reason, and what to do.
        """
        self._work.mkdir(parents=True, exist_ok=True)
        reasons: list[str] = []
        for source in file.sources:
            try:
                return self._try(model, file, source, share, pinned)
            except SourceError as error:
                if error.dead:
                    self._dead[error.dead] = str(error)
                if str(error) not in reasons:
                    reasons.append(str(error))
        raise UnobtainableError(
            f"{model.id}: {file.name} cannot be fetched ({'; '.join(reasons)});"
            " put its files or packages into a folder and run `dragoman models import FOLDER`"
        )

    def _try(self, model: Model, file: ModelFile, source: str, share: Share, pinned: str | None) -> Fetched:
        parts = parse_source(source)
        name = file.sha256 or hashlib.sha256(f"{model.id}/{file.name}".encode()).hexdigest()
        for attempt in ("resumed", "fresh"):
            partial = self._work / f"{name}-{_slug(source)}"
            resumed = partial.exists()
            remote = self._bring(parts, partial, share)
            digest = sha256_of(partial)
            try:
                self._check(file, partial, digest, remote, pinned)
            except SourceError:
                partial.unlink()
                if resumed and attempt == "resumed":
                    continue  # what an earlier pull left may have been another version's
                raise
            for other in self._work.glob(f"{name}-*"):
                if other != partial:
                    other.unlink()
            return Fetched(partial, digest, source)
        raise AssertionError("unreachable")

    def _check(self, file: ModelFile, partial: Path, digest: str, remote: Remote | None, pinned: str | None) -> None:
        size = partial.stat().st_size
        if not file.accepts(digest, size):
            raise SourceError(f"{file.name} came with the wrong bytes ({size} bytes, SHA-256 {digest[:12]}…)")
        if file.sha256 is not None:
            return
        if remote is not None:
            remote.check(partial, digest)
        if pinned is not None and digest != pinned:
            raise SourceError(
                f"{file.name} is no longer what was pinned when it was first fetched; to accept the new one,"
                " remove the model first"
            )

    def _bring(self, parts: tuple[Part, ...], partial: Path, share: Share) -> Remote | None:
        """Write the joined parts to ``partial``; a single remote file goes on where it stopped."""
        if len(parts) == 1 and isinstance(parts[0], HubFile | Address) and not _is_packed(parts[0]):
            remote = self._locate(parts[0])
            download(remote, partial, share)
            return remote
        with partial.open("wb") as target:
            for part in parts:
                if isinstance(part, Member):
                    self._packages.append(part, target, share.reach)
                else:
                    with self._opened(part, partial, share) as stream:
                        copy_stream(stream, target, share.reach)
        return None

    @contextlib.contextmanager
    def _opened(self, part: HubFile | Address | LocalFile, partial: Path, share: Share) -> Iterator[BinaryIO]:
        """Open a local file, or a remote one that was fetched whole and checked, unpacked if need be."""
        if isinstance(part, LocalFile):
            with _readable(part.path) as stream:
                yield stream
            return
        piece = partial.with_name(f"{partial.name}-{_slug(str(part))}")
        remote = self._locate(part)
        download(remote, piece, share)
        try:
            remote.check(piece, sha256_of(piece))
            with gzip.open(piece) if _is_packed(part) else piece.open("rb") as stream:
                yield cast("BinaryIO", stream)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise SourceError(f"{part} is damaged: {error}") from None
        finally:
            piece.unlink()

    def _locate(self, part: HubFile | Address) -> Remote:
        if not self._online:
            raise SourceError("not in the folder")
        host = urlsplit(hub_endpoint() if isinstance(part, HubFile) else part.url).netloc
        if host in self._dead:
            raise SourceError(self._dead[host])
        return hub_remote(part) if isinstance(part, HubFile) else Remote(part.url, sha256=part.sha256)


def _is_packed(part: Part) -> bool:
    return isinstance(part, Address) and part.gunzip


def _slug(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:8]


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    with stream:
        yield stream
