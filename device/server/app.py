"""The ASGI app: every address that Azure's speech programs ask for, and the kiosk page, behind one gate."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from device.config import Settings, read_secret, state_directory
from device.engines.registry import Engines
from device.errors import DragomanError
from device.remote import Remote
from device.server.auth import Gate
from device.server.batch import BatchWorkers
from device.server.batch_rest import BatchRest
from device.server.batch_store import BatchStore
from device.server.errors import error_response, response_for
from device.server.fast import FastTranscription
from device.server.hosts import is_known, is_own_origin
from device.server.kiosk import is_page, kiosk_routes
from device.server.legacy import LegacyLanguages, LegacySocket
from device.server.live import LiveRoom
from device.server.openapi import description
from device.server.options import Mode, Query, query_of
from device.server.recognition import RecognitionSocket
from device.server.service import BusyError, Service
from device.server.sockets import Room, Socket
from device.server.speech_rest import SpeechRest, readable
from device.server.synthesis import SynthesisSocket

log = logging.getLogger(__name__)

SHORT_PATHS = tuple(
    f"{start}/speech/recognition/{mode}/cognitiveservices/v1" for start in ("", "/stt") for mode in Mode
)
"""Where speech is recognised over a socket, and up to a minute of it by REST."""
RECOGNITION_PATHS = (
    *SHORT_PATHS,
    "/speech/translation/cognitiveservices/v1",
    "/speech/universal/v2",
    "/stt/speech/universal/v2",
)
TTS = ("", "/tts")
"""Where the addresses of text to speech begin, by how a program names the server."""
SHARED_PATHS = ("/cognitiveservices/", "/tts/cognitiveservices/", "/speech/recognition/", "/stt/speech/recognition/")
"""What pages from elsewhere may ask for; they ask first (https://fetch.spec.whatwg.org/#cors-preflight-fetch)."""
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Ocp-Apim-Subscription-Key, X-ConnectionId, "
    "X-Microsoft-OutputFormat",
    "Access-Control-Max-Age": "3600",
}
MOST_FIELDS = 200
"""Parameters that an address may have."""
HEALTH = "/healthz"
OPEN_PATHS = ("/languages", "/openapi.json", HEALTH)
"""What needs no key: it tells nothing about anybody."""

Serve = Callable[[Service, Socket, str, Query], Room]


def create_app(engines: Engines, settings: Settings, remote: Remote | None = None) -> Starlette:
    """Return the app.

    Parameters
    ----------
    engines
        Loaded models.
    settings
        Everything; of ``server`` the key and the limits.
    remote
        The device, for the kiosk page and live captions, where the server runs in its daemon.

    Raises
    ------
    DragomanError
        The key file cannot be read.
    """
    key_file = settings.server.key_file
    gate = Gate(read_secret(key_file) if key_file else None)
    service = Service(engines, settings)
    speech = SpeechRest(service, gate)
    synthesis = _socket(service, SynthesisSocket)
    store = BatchStore(state_directory(settings) / "transcriptions.sqlite")
    workers = BatchWorkers(service, store)
    batch = BatchRest(service, gate, store, workers)
    live = LiveRoom(remote)
    jobs = "/speechtotext/v3.2/transcriptions"
    routes: list[BaseRoute] = [
        *(WebSocketRoute(path, _socket(service, RecognitionSocket)) for path in RECOGNITION_PATHS),
        *(WebSocketRoute(f"{start}/cognitiveservices/websocket/v1", synthesis) for start in TTS),
        *(Route(f"{start}/cognitiveservices/voices/list", _answer(speech.voices)) for start in TTS),
        *(Route(f"{start}/cognitiveservices/v1", _answer(speech.speak), methods=["POST"]) for start in TTS),
        *(Route(path, _answer(speech.recognize), methods=["POST"]) for path in SHORT_PATHS),
        Route("/sts/v1.0/issueToken", _answer(speech.token), methods=["POST"]),
        WebSocketRoute("/speech/translate", _socket(service, LegacySocket)),
        *(Route(path, _answer(LegacyLanguages(service))) for path in ("/languages", "/Languages")),
        Route("/speechtotext/transcriptions:transcribe", _answer(FastTranscription(service)), methods=["POST"]),
        Route(jobs, _answer(batch.create), methods=["POST"]),
        Route(jobs, _answer(batch.page)),
        Route(f"{jobs}/{{id}}", _answer(batch.get)),
        Route(f"{jobs}/{{id}}", _answer(batch.change), methods=["PATCH"]),
        Route(f"{jobs}/{{id}}", _answer(batch.delete), methods=["DELETE"]),
        Route(f"{jobs}/{{id}}/files", _answer(batch.files)),
        Route(f"{jobs}/{{id}}/files/{{file}}", _answer(batch.file)),
        Route(f"{jobs}/{{id}}/files/{{file}}/content", _answer(batch.content)),
        *kiosk_routes(service, gate, remote),
        Route("/captions/live.vtt", _answer(live.captions)),
        Route("/captions/events", _answer(live.events)),
        WebSocketRoute("/{rest:path}", _no_socket),
        Route("/openapi.json", _description),
        Route(HEALTH, _health),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found, Exception: _failed})
    app.add_middleware(GateKeeper, gate=gate, service=service)
    app.state.service = service
    app.state.store = store
    app.state.workers = workers
    app.state.live = live
    app.state.gate = gate
    return app


def _socket(service: Service, serve: Serve) -> Callable[[WebSocket], object]:
    async def endpoint(websocket: WebSocket) -> None:
        socket = Socket(websocket, service)
        query = query_of(websocket.query_params.multi_items())
        try:
            room = serve(service, socket, websocket.url.path, query)
        except DragomanError as error:  # what is wrong with the address itself is told before the socket opens
            await websocket.send_denial_response(response_for(error))
            return
        headers = [(b"x-requestid", uuid.uuid4().hex.encode())]
        headers += [(f"x-dragoman-{name}".encode(), value.encode()) for name, value in room.served.items()]
        wanted = websocket.headers.get("sec-websocket-protocol", "").split(",")[0].strip()
        await websocket.accept(wanted or None, headers)
        await socket.serve(room)

    return endpoint


def _answer(call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn failures that a client can cause into Azure's error JSON."""

    async def endpoint(request: Request) -> Response:
        try:
            return await call(request)
        except DragomanError as error:
            return response_for(error)

    return endpoint


async def _no_socket(websocket: WebSocket) -> None:
    await websocket.send_denial_response(error_response(404, f"no socket is served at {websocket.url.path}"))


async def _description(_request: Request) -> Response:
    return JSONResponse(description())


async def _health(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    # What an address does answer stands in every 405 (RFC 9110, 15.5.6), from all routes of that address.
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.matches(request.scope)[1]]
    known = {method for route in routes for method in route.methods or ()}
    more = {"Allow": ", ".join(sorted(known))} if status == 405 else {}
    return error_response(status, f"{request.method} {request.url.path} is not served here", **more)


async def _failed(_request: Request, error: Exception) -> Response:
    return response_for(error)


class GateKeeper:
    """Lets in who shows the key, and no more than can be served; tells the others what the SDKs understand."""

    def __init__(self, app: ASGIApp, gate: Gate, service: Service) -> None:
        self._app, self._gate, self._service = app, gate, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            receive, send = _unless_asked_for(receive, send, scope)
        early = self._early_answer(scope)
        if early is not None:
            await _deny(scope, receive, send, early)
        elif scope["path"].lower() == HEALTH:
            await self._app(scope, receive, send)  # also while all connections are in use: that is no illness
        else:
            await self._serve(scope, receive, send)

    def _early_answer(self, scope: Scope) -> Response | None:
        """Return what is said at the gate already: a refusal, or what pages from elsewhere may do."""
        try:
            request = _Head(scope)
        except ValueError:
            return error_response(400, f"an address has at most {MOST_FIELDS} parameters")
        path = scope["path"].lower()
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        allowed = self._service.settings.server.allowed_hosts
        if self._gate.open and not is_own_origin(origin, host, allowed):
            reason = "pages from elsewhere need a key here: set one, or add their host to server.allowed_hosts"
            return error_response(403, reason)
        if scope.get("method") == "OPTIONS" and path.startswith(SHARED_PATHS):
            return Response(status_code=204, headers=PREFLIGHT | readable(self._gate, origin))
        if not (path in OPEN_PATHS or is_page(path)) and not self._gate.admits(request.headers, request.query):
            return error_response(401, "the key is missing or wrong")
        if self._gate.open and not is_known(host, allowed):
            reason = f"{host[:80]!r} is no name of this device: add it to server.allowed_hosts, or set a key"
            return error_response(403, reason)
        return None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve within the limits."""
        try:
            async with self._service.connection():
                if scope["type"] == "http":
                    await self._timely(scope, receive, send)
                else:
                    await self._app(scope, receive, send)
        except ClientDisconnect:
            log.debug("a client went before its request was whole")
        except BusyError as error:
            await _deny(scope, receive, send, response_for(error))

    async def _timely(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose client reads and writes in time."""
        idle = self._service.settings.server.idle
        begun = whole = False

        async def timely_receive() -> Message:
            nonlocal whole
            async with asyncio.timeout(None if whole else idle):  # then there is nothing to say but goodbye
                message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def timely_send(message: Message) -> None:
            nonlocal begun
            begun = True
            async with asyncio.timeout(idle):
                await send(message)

        try:
            await self._app(scope, timely_receive, timely_send)
        except TimeoutError:
            log.debug("a client neither read nor wrote for %g s", idle)
            if not begun:
                await error_response(408, f"nothing came for {idle:g} s")(scope, receive, send)
                return
            scope["state"]["abort"]()
            await asyncio.sleep(0)  # so that the connection is known to be lost before the answer ends


def _unless_asked_for(receive: Receive, send: Send, scope: Scope) -> tuple[Receive, Send]:
    """Close a connection whose client announced a body that nobody asked it for (``Expect: 100-continue``).

    What it sends next may be that body or another request (RFC 9110, 10.1.1).
    """
    if not any(name.lower() == b"expect" for name, _ in scope["headers"]):
        return receive, send
    asked = False

    async def noted_receive() -> Message:
        nonlocal asked
        asked = True
        return await receive()

    async def closing_send(message: Message) -> None:
        if message["type"] == "http.response.start" and not asked:
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return noted_receive, closing_send


class _Head:
    """Headers and query of a request or socket."""

    def __init__(self, scope: Scope) -> None:
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        self.query = query_of(pairs)


async def _deny(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)
