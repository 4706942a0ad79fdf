"""Files from web servers and from a model hub, resumed where an earlier try stopped."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import device
from device.modelstore.files import CHUNK, git_blob_sha1_of
from device.modelstore.progress import Share
from device.modelstore.sources import HubFile

_TIMEOUT = 20.0
"""Seconds without a byte after which a server is given up."""
_TRIES = 3
"""Connections that one file may take when the line breaks while bytes are flowing."""


class SourceError(Exception):
    """One source could not give the file; the next is tried. ``dead`` is a host at which nobody answers."""

    def __init__(self, reason: str, dead: str | None = None) -> None:
        super().__init__(reason)
        self.dead = dead


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server, and what the server promises about it."""

    url: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    headers: Mapping[str, str] | None = None

    def check(self, path: Path, sha256: str) -> None:
        """Raise ``SourceError`` where the bytes are not the promised ones."""
        if self.sha256 is not None and sha256 != self.sha256:
            raise SourceError(f"the bytes do not have the SHA-256 that the server tells ({self.sha256[:12]}…)")
        if self.git_sha1 is not None and git_blob_sha1_of(path) != self.git_sha1:
            raise SourceError(f"the bytes do not have the git id that the server tells ({self.git_sha1[:12]}…)")


def download(remote: Remote, partial: Path, share: Share) -> None:
    """Fetch to ``partial``, going on after the bytes that are already there.

    Raises
    ------
    SourceError
        The server does not have the file or cannot be reached; what came so far stays.
    """
    for left in reversed(range(_TRIES)):
        begun = partial.stat().st_size if partial.exists() else 0
        if remote.size is not None and begun > remote.size:
            partial.unlink()
            begun = 0
        share.reach(begun)
        if begun == remote.size and partial.exists():
            return
        try:
            if _append(remote, partial, begun, share):
                return
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # the disk, not the line
            grown = partial.exists() and partial.stat().st_size > begun
            if not grown or not left:
                raise _unreachable(remote.url, error) from None
    raise SourceError(f"{_host(remote.url)} ended the file too early {_TRIES} times")


def _append(remote: Remote, partial: Path, begun: int, share: Share) -> bool:
    """Fetch what is missing in one connection; False where it ended before the promised size."""
    headers = {"User-Agent": f"dragoman/{device.__version__}", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
    request = urllib.request.Request(remote.url, headers=headers)
    for name, value in (remote.headers or {}).items():
        request.add_unredirected_header(name, value)  # a login is not for other hosts
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and begun:
                partial.unlink()
                return False
            raise SourceError(f"{_host(remote.url)} answered {error.code} {error.reason}") from None
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        total = _total(response.headers, begun if resumed else 0)
        if not resumed:
            begun = 0
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab" if resumed else "wb") as file:
            while block := response.read(CHUNK):
                _write(file, block, partial)
                begun += len(block)
                share.reach(begun)
            _write(file, b"", partial)
    return total is None or begun >= total


def _write(file: Any, block: bytes, path: Path) -> None:
    """Write, and name the file in an error so that a full disk is told from a broken line."""
    try:
        if block:
            file.write(block)
        else:
            file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _total(headers: Any, begun: int) -> int | None:
    if match := re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("Content-Range", "")):
        return int(match[1])
    length = headers.get("Content-Length", "")
    return begun + int(length) if length.isdigit() else None


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _unreachable(url: str, error: Exception) -> SourceError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLError):
        return SourceError(f"{_host(url)} cannot be trusted: {reason.reason}", dead=_host(url))
    if isinstance(reason, TimeoutError):
        return SourceError(f"{_host(url)} does not answer", dead=_host(url))
    detail = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return SourceError(f"{_host(url)} cannot be reached: {detail}", dead=_host(url))


def hub_endpoint() -> str:
    """Return the hub's address: ``HF_ENDPOINT``, else the library's own default."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def hub_remote(file: HubFile) -> Remote:
    """Ask the hub where a file is, how large, and which hash it has.

    A file in LFS is known by its SHA-256 (``X-Linked-Etag``), any other by its git blob id.

    Raises
    ------
    SourceError
        The hub cannot be reached, or has no such file, or wants a login.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils._headers import build_hf_headers

    endpoint = hub_endpoint()
    url = hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=endpoint)
    try:
        found = get_hf_file_metadata(url, endpoint=endpoint)
    except errors.GatedRepoError:
        raise SourceError(f"{file.repo} wants a login: accept its terms and set HF_TOKEN") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError):
        raise SourceError(f"{_host(endpoint)} has no {file.repo}@{file.revision}/{file.path}") from None
    except errors.HfHubHTTPError as error:
        raise SourceError(f"{_host(endpoint)} answered: {str(error).splitlines()[0]}") from None
    except errors.OfflineModeIsEnabled:
        raise SourceError("HF_HUB_OFFLINE is set", dead=_host(endpoint)) from None
    except Exception as error:  # noqa: BLE001 - the library's HTTP client has its own kinds
        raise SourceError(f"{_host(endpoint)} cannot be reached: {_first_line(error)}", dead=_host(endpoint)) from None
    etag = found.etag or ""
    same_host = _host(found.location) == _host(endpoint)
    return Remote(
        found.location,
        found.size,
        sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
        git_sha1=etag if re.fullmatch(r"[0-9a-f]{40}", etag) else None,
        headers=build_hf_headers(library_name="dragoman", library_version=device.__version__) if same_host else None,
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
