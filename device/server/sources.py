"""Recordings that a batch names by address: only from the folders and hosts that the owner allows."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from device.config import ServerSettings
from device.errors import DragomanError

TIMEOUT = 30.0
"""Seconds without a byte after which a download fails."""
_CHUNK = 1 << 18
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in ("wav", "mp3", "flac", "ogg", "opus", "m4a", "mp4", "aac", "wma", "webm", "amr", "aiff", "mkv", "mov")
)


class SourceError(DragomanError):
    """A recording that may not or cannot be had."""


def check(address: str, settings: ServerSettings) -> None:
    """Refuse an address that is not allowed, before anything is read.

    Raises
    ------
    SourceError
        Saying which setting would allow it.
    """
    scheme = _split(address)
    if scheme == "file":
        _local(address, settings)
    else:
        _host_allowed(address, settings)


@contextmanager
def opened(address: str, settings: ServerSettings) -> Iterator[Path]:
    """Give the recording's file while the block runs; one from elsewhere is fetched first.

    Raises
    ------
    SourceError
        It may not or cannot be had.
    """
    if _split(address) == "file":
        path = _local(address, settings)
        with _readable(path):
            if not path.is_file():
                raise SourceError(f"{path}: no such recording")
        yield path
        return
    _host_allowed(address, settings)
    with tempfile.NamedTemporaryFile(prefix="dragoman-", suffix=".audio") as file:
        _fetch(address, file, settings)
        file.flush()
        yield Path(file.name)


def folder_contents(address: str, settings: ServerSettings) -> list[str]:
    """Return the addresses of the recordings in a folder, sorted.

    Raises
    ------
    SourceError
        It is no folder that is allowed, or holds no recording.
    """
    if _split(address) != "file":
        raise SourceError("a container must be a folder here: file:///…")
    folder = _local(address, settings)
    with _readable(folder):
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder")
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise SourceError(f"{folder}: holds no recordings")
    return [path.as_uri() for path in found]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the system's refusals into a reason."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{str(path)[:200]} cannot be read: {error.strerror}") from None


def _split(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"file", "http", "https"} or (parts.scheme != "file" and not parts.hostname):
        raise SourceError(f"{address[:200]!r} is no address of a recording: file:, http: or https:")
    return parts.scheme


def _local(address: str, settings: ServerSettings) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"} or "\0" in unquote(parts.path):
        raise SourceError(f"{address[:200]!r} is not on this machine")
    try:
        path = Path(unquote(parts.path)).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links that lead in a circle; names that no disk can hold
        raise SourceError(f"{address[:200]!r} cannot be read: {error}") from None
    if not any(path.is_relative_to(folder.resolve()) for folder in settings.batch_folders):
        raise SourceError(f"{path} may not be read: it is in no folder of server.batch_folders")
    return path


def _host_allowed(address: str, settings: ServerSettings) -> None:
    host = urlsplit(address).hostname or ""
    if host.lower() not in {name.lower() for name in settings.batch_hosts}:
        raise SourceError(f"nothing may be fetched from {host[:100]!r}: it is not in server.batch_hosts")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to hosts that are allowed."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Check where a redirect leads."""
        if _split(newurl) == "file":
            raise SourceError("a redirect may not lead to a file")
        _host_allowed(newurl, self._settings)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(address: str, file: Any, settings: ServerSettings) -> None:
    limit = settings.upload_mb << 20
    opener = urllib.request.build_opener(_Redirects(settings))
    try:
        with opener.open(address, timeout=TIMEOUT) as answer:
            size = 0
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise SourceError(f"the recording has more than {settings.upload_mb} MiB")
                file.write(chunk)
    except urllib.error.HTTPError as error:
        raise SourceError(f"the recording cannot be fetched: status {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"the recording cannot be fetched: {error}") from None
