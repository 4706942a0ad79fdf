"""Runs the app on its ports: plain where the settings say, and with TLS on a second one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from device.config import Settings, state_directory
from device.engines.registry import Engines
from device.errors import DragomanError, UsageError
from device.remote import Remote
from device.server.app import create_app
from device.server.auth import is_loopback
from device.server.connections import HEAD_SIZE, WAITING, HttpProtocol, SocketProtocol, TlsDoor

log = logging.getLogger(__name__)

GRACE = 5
"""Seconds that open connections have when the server stops."""
SWITCH = 0.0005
"""Seconds after which a thread that runs Python gives way to one that waits. Engines give up and take back the
interpreter's lock with every call; at Python's own 5 ms, many conversations wait for it while a core is idle (138 of
them on two cores: 95 % of the finals within 4.2 s, and within 1.0 s at this)."""


class Server:
    """Serves on a thread of its own.

    Used as a context manager, or with `start` and `stop`.

    Parameters
    ----------
    engines
        Loaded models, shared with the device's own conversation.
    settings
        Everything; ``server`` is used.
    remote
        The device whose own conversation the kiosk page shows, where there is one.

    Raises
    ------
    DragomanError
        The settings open the server to others without a key, or a file is missing.
    """

    def __init__(self, engines: Engines, settings: Settings, remote: Remote | None = None) -> None:
        self._settings = settings
        check_access(settings)
        self.app = create_app(engines, settings, remote)
        self._sockets: list[tuple[socket.socket, tuple[Path, Path] | None]] = []
        self._servers: list[uvicorn.Server] = []
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self) -> None:
        """Take the ports, where nobody is answered yet; `start` does so too where it was not done before.

        Raises
        ------
        DragomanError
            A port is taken or may not be used, or the certificate cannot be read.
        """
        chosen = self._settings.server
        with self._stopped_if_not():
            files = certificate_files(self._settings) if chosen.tls_port is not None else None
            self._sockets.append((_bound(chosen.host, chosen.port), None))
            if chosen.tls_port is not None:
                self._sockets.append((_bound(chosen.host, chosen.tls_port), files))
            for _, own in self._sockets:
                self._servers.append(_uvicorn(self.app, self._settings, own))

    def start(self) -> None:
        """Begin to serve.

        Raises
        ------
        DragomanError
            As `bind` does.
        """
        if not self._sockets:
            self.bind()
        with self._stopped_if_not():
            for listening, _ in self._sockets:
                _listen(listening)
        sys.setswitchinterval(SWITCH)
        self._thread.start()

    @contextlib.contextmanager
    def _stopped_if_not(self) -> Iterator[None]:
        """Free what was taken for whoever tries again, where something cannot be had."""
        try:
            yield
        except DragomanError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close every connection and end the thread."""
        for server in self._servers:
            server.should_exit = True
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it has just been closed
                self._loop.call_soon_threadsafe(self.app.state.live.close)
        if self._thread.is_alive():
            self._thread.join(GRACE + 10)
        for listening, _ in self._sockets:
            listening.close()
        self.app.state.service.close()
        self.app.state.store.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> list[str]:
        """Where the server listens: ``http://127.0.0.1:5000``."""
        found = []
        for listening, files in self._sockets:
            host, port = listening.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            found.append(f"{'https' if files else 'http'}://{host}:{port}")
        return found

    def _serve(self) -> None:
        asyncio.run(self._serve_all())

    async def _work(self) -> None:
        try:
            await self.app.state.workers.run()
        except Exception:
            log.exception("batch transcription has ended, until the next start")

    async def _serve_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        running = zip(self._servers, self._sockets, strict=True)
        batch = asyncio.create_task(self._work())
        try:
            await asyncio.gather(*(server.serve([listening]) for server, (listening, _) in running))
        finally:
            batch.cancel()
            await asyncio.gather(batch, return_exceptions=True)


def _uvicorn(app: object, settings: Settings, files: tuple[Path, Path] | None) -> uvicorn.Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=HttpProtocol if files is None else _behind_tls(*files),  # type: ignore[arg-type]
        h11_max_incomplete_event_size=HEAD_SIZE,
        limit_concurrency=settings.server.connections + WAITING,
        ws=SocketProtocol,
        ws_max_size=settings.server.message_kb * 1024 + 4096,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,  # addresses carry keys
        log_config=None,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
        server_header=False,
    )
    return uvicorn.Server(config)


def _behind_tls(certificate: Path, key: Path) -> Callable[..., TlsDoor]:
    """Return what makes the protocol of each connection to the TLS port.

    Raises
    ------
    DragomanError
        The certificate or its key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise DragomanError(f"{certificate}: the certificate cannot be used: {error}") from None
    return lambda **named: TlsDoor(HttpProtocol(**named), context)


def check_access(settings: Settings) -> None:
    """See that nobody comes in whom the owner does not know.

    Raises
    ------
    UsageError
        Others can reach the server, and no key is asked of them.
    """
    chosen = settings.server
    if chosen.key_file is None and not is_loopback(chosen.host):
        raise UsageError(
            f"others can reach {chosen.host}: name a file with the key they must show, --key-file (server.key_file)"
        )


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """Return the certificate and its key: the owner's, else what ``dragoman tls init`` made.

    Raises
    ------
    DragomanError
        There is none.
    """
    chosen = settings.server
    folder = state_directory(settings) / "tls"
    files = (chosen.cert_file or folder / "server.pem", chosen.cert_key_file or folder / "server.key")
    for file in files:
        if not file.is_file():
            raise DragomanError(f"{file}: no such certificate; run `dragoman tls init`")
    return files


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise _not_listening(host, port, error) from None
    return bound


def _listen(bound: socket.socket) -> None:
    try:
        bound.listen(128)  # a port that two have bound is the first one's to listen on
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _not_listening(host, port, error) from None
    bound.setblocking(False)


def _not_listening(host: str, port: int, error: OSError) -> DragomanError:
    return DragomanError(f"{host}:{port} cannot be listened on: {error.strerror or error}")
