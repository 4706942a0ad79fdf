"""Reading the bodies of requests without taking more than is allowed."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import Request

from device.server.errors import HttpError


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body.

    Raises
    ------
    HttpError
        413 where it has more than ``limit`` bytes, 400 where it is empty.
    """
    return b"".join([part async for part in _parts(request, limit)])


@asynccontextmanager
async def saved_body(request: Request, limit: int) -> AsyncIterator[Path]:
    """Keep the body in a file while the block runs (see `read_body`)."""
    with tempfile.NamedTemporaryFile(prefix="dragoman-", suffix=".audio") as file:
        async for part in _parts(request, limit):
            file.write(part)
        file.flush()
        yield Path(file.name)


async def _parts(request: Request, limit: int) -> AsyncIterator[bytes]:
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limit):
        raise HttpError(413, f"a body may have {limit} bytes")
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise HttpError(413, f"a body may have {limit} bytes")
        yield part
    if not size:
        raise HttpError(400, "the body is empty")
