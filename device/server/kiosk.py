"""The kiosk page: a folder of static files without a key, and the socket that asks for one."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from device.remote import Remote
from device.server.auth import Gate
from device.server.errors import error_response
from device.server.kiosk_access import PAGE, is_own_page
from device.server.kiosk_socket import KioskSocket
from device.server.service import Service
from device.server.sockets import Socket

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""Nothing but the device's own files, and nobody who frames them (https://www.w3.org/TR/CSP3)."""


def is_page(path: str) -> bool:
    """Whether an address belongs to the page, which everybody may load: its socket is what asks for the key."""
    return path in {"/", PAGE.rstrip("/")} or path.startswith(PAGE)


def kiosk_routes(service: Service, gate: Gate, remote: Remote | None) -> list[BaseRoute]:
    """Return the routes of the page."""
    files = {file.name: _StaticFile(file.name, file.read_bytes()) for file in _pages() if _type(file.name)}

    async def page(request: Request) -> Response:
        file = files.get(request.path_params.get("name", "index.html"))
        return file.answer(request) if file else error_response(404, f"{request.url.path} is not served here")

    async def into(_request: Request) -> Response:
        return RedirectResponse(PAGE)

    async def socket(websocket: WebSocket) -> None:
        if not is_own_page(websocket.headers):
            await websocket.send_denial_response(error_response(403, "this page was served by somebody else"))
            return
        await websocket.accept()
        connection = Socket(websocket, service)
        await connection.serve(KioskSocket(service, gate, connection, websocket, remote))

    return [
        Route("/", into),
        Route(PAGE.rstrip("/"), into),
        WebSocketRoute(f"{PAGE}socket", socket),
        Route(f"{PAGE}{{name}}", page),
        Route(PAGE, page, name="kiosk"),
    ]


def _pages() -> list[resources.abc.Traversable]:
    return list((resources.files("device.server") / "pages").iterdir())


def _type(name: str) -> str | None:
    return TYPES.get(PurePosixPath(name).suffix)


class _StaticFile:
    """A small file, held in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self._data = data
        self._tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
        self._headers = HEADERS | {"ETag": self._tag, "Content-Type": _type(name) or "application/octet-stream"}

    def answer(self, request: Request) -> Response:
        """Return the file, or that the browser has it already."""
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=self._headers)
        return Response(self._data, headers=self._headers)
