"""Where updates come from: a folder, such as a USB stick, or an http address of the owner's own."""

from __future__ import annotations

import http.client
import platform
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, cast

from device.errors import DragomanError
from device.update.bundle import SUFFIX, Readable, opened
from device.update.manifest import Manifest
from device.update.minisign import PublicKey

TIMEOUT = 30
"""Seconds without a byte after which an address is given up."""


class _Place:
    """A file or an address that is read; it says which where that fails."""

    def __init__(self, place: str) -> None:
        self._place = place
        with self._told():
            self._stream = self._opened()

    def read(self, size: int) -> bytes:
        with self._told():
            return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()

    def _opened(self) -> IO[bytes]:
        if _is_address(self._place):
            return cast("IO[bytes]", urllib.request.urlopen(self._place, timeout=TIMEOUT))
        return Path(self._place).open("rb")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except urllib.error.HTTPError as error:
            raise DragomanError(f"{self._place}: {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise DragomanError(f"{self._place}: {error.reason}") from None
        except (http.client.HTTPException, ValueError) as error:
            raise DragomanError(f"{self._place}: this is no answer of a web server ({error!r:.80})") from None
        except OSError as error:
            raise DragomanError(f"{error.filename or self._place}: {error.strerror or error}") from None


@contextmanager
def reading(place: str) -> Iterator[Readable]:
    """Open a bundle that is a file or lies at an address.

    Raises
    ------
    DragomanError
        It cannot be read; also while the block reads on.
    """
    with closing(_Place(place)) as stream:
        yield stream


def candidates(source: str) -> list[str]:
    """Return where bundles may be: every ``*.update`` of a folder, or at an address one for each kind."""
    if _is_address(source):
        base = source.rstrip("/")
        return [f"{base}/dragoman-{name}{SUFFIX}" for name in (platform.machine(), "models")]
    folder = Path(source).expanduser()
    if folder.is_file():
        return [str(folder)]
    if not folder.is_dir():
        raise DragomanError(f"{source} is no folder: is the stick plugged in?")
    return [str(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def look(place: str, keys: Sequence[PublicKey]) -> Manifest:
    """Return the verified manifest of a bundle, reading no further than that."""
    with reading(place) as stream, opened(stream, keys) as bundle:
        return bundle.manifest


def _is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))
