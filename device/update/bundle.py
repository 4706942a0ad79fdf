"""Reads and writes a bundle: one file that carries a release to a device.

A bundle is a tar file compressed with xz. Its first two members are ``manifest.json`` and ``manifest.json.minisig``;
the others are ``files/<SHA-256>``, with ``-x`` behind it where the file is a program. It is read once from front to
end, and nothing of it is kept before the manifest's signature is found right. Files that the device already has may be
left out.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from device.errors import DragomanError
from device.update.manifest import Manifest, decode
from device.update.minisign import PublicKey, verify

SUFFIX = ".update"
MANIFEST, SIGNATURE = "manifest.json", "manifest.json.minisig"
LONGEST_MANIFEST, LONGEST_SIGNATURE = 32 << 20, 4096
CHUNK = 1 << 20
MOST_MEMORY = 128 << 20
"""Bytes that unpacking may take; xz's own highest setting takes 65 MiB."""
_HEADERS = 64 << 10
"""Bytes of tar's own that may come before the files."""
_PREFIX = "files/"


class Readable(Protocol):
    """What a bundle is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        ...


class _Unpacked:
    """What is in an xz file, up to a limit: a few bytes of a stranger can stand for more than any machine holds."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)
        self._left = limit

    def allow(self, size: int) -> None:
        """Let so many bytes more come."""
        self._left += size

    def read(self, size: int) -> bytes:
        """Return some of the next bytes, none at the end."""
        while not self._decompressor.eof:
            packed = self._stream.read(CHUNK) if self._decompressor.needs_input else b""
            if not packed and self._decompressor.needs_input:
                raise EOFError("it ends too early")
            block = self._decompressor.decompress(packed, size)
            self._left -= len(block)
            if self._left < 0:
                raise DragomanError("this is no update: there is more in it than its manifest says")
            if block:
                return block
        return b""


class Bundle:
    """A bundle that is being read; ``manifest`` is verified."""

    def __init__(self, unpacked: _Unpacked, keys: Sequence[PublicKey]) -> None:
        with _sound():
            self._archive = tarfile.open(fileobj=cast("IO[bytes]", unpacked), mode="r|")  # noqa: SIM115 - see close
        data = self._member(MANIFEST, LONGEST_MANIFEST)
        signature = self._member(SIGNATURE, LONGEST_SIGNATURE)
        self.comment = verify(data, signature.decode("utf-8", errors="replace"), keys)
        self.manifest: Manifest = decode(data)
        unpacked.allow(sum(entry.size + 2 * tarfile.BLOCKSIZE for entry in self.manifest.files.values()))

    def close(self) -> None:
        """Let go of what it holds; what it is read from stays open."""
        self._archive.close()

    def _next(self) -> tarfile.TarInfo | None:
        with _sound():
            return self._archive.next()

    def _member(self, name: str, longest: int) -> bytes:
        member = self._next()
        if member is None or member.name != name or not member.isreg() or member.size > longest:
            raise DragomanError(f"this is no update: {name} is missing")
        with _sound():
            return self._reader(member).read()

    def _reader(self, member: tarfile.TarInfo) -> IO[bytes]:
        reader = self._archive.extractfile(member)
        assert reader is not None
        return reader

    def unpack(self, folder: Path, reached: Callable[[int], None] | None = None) -> None:
        """Write every file into ``folder`` under the name of its bytes, each checked by size and hash.

        Raises
        ------
        DragomanError
            A file is not what the manifest says, or is none of the release's.
        """
        wanted = self.manifest.files
        done = 0
        while (member := self._next()) is not None:
            name = member.name.removeprefix(_PREFIX)
            entry = wanted.get(name)
            if not member.isreg() or entry is None or member.name != _PREFIX + name:
                raise DragomanError(f"the update has {member.name[:80]!r} in it, which its manifest does not name")
            if member.size != entry.size:
                raise DragomanError(f"the update is damaged: {name} has the wrong size")
            digest = hashlib.sha256()
            with (folder / name).open("wb") as target:
                reader = self._reader(member)
                while block := _block(reader):
                    target.write(block)
                    digest.update(block)
                    done += len(block)
                    if reached:
                        reached(done)
                os.fchmod(target.fileno(), 0o755 if entry.executable else 0o644)
            if digest.hexdigest() != entry.sha256:
                (folder / name).unlink()
                raise DragomanError(f"the update is damaged: {name} has the wrong bytes")


@contextmanager
def opened(stream: Readable, keys: Sequence[PublicKey]) -> Iterator[Bundle]:
    """Open a bundle and verify its manifest; nothing is read beyond it yet.

    Raises
    ------
    DragomanError
        It is no bundle, is cut off or damaged, or is not signed with one of ``keys``; also while the block reads on.
    """
    with closing(Bundle(_Unpacked(stream, LONGEST_MANIFEST + LONGEST_SIGNATURE + _HEADERS), keys)) as bundle:
        yield bundle


def _block(reader: IO[bytes]) -> bytes:
    with _sound():
        return reader.read(CHUNK)


@contextmanager
def _sound() -> Iterator[None]:
    """Say of whatever xz and tar stumble over that the update is damaged."""
    try:
        yield
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise DragomanError(f"the update is cut off or damaged ({error})") from None


def write(target: Path, manifest: bytes, signature: bytes, files: Mapping[str, Path]) -> None:
    """Write a bundle with the given files, by the names of their bytes."""
    with tarfile.open(target, mode="w:xz", preset=1) as archive:
        for name, data in ((MANIFEST, manifest), (SIGNATURE, signature)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, path in sorted(files.items()):
            member = tarfile.TarInfo(_PREFIX + name)
            member.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(member, file)
