"""``dragoman serve``: the server for programs written for Azure Speech, without microphone and buttons."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from device.cli.common import settings_from
from device.config import Settings
from device.errors import DragomanError

if TYPE_CHECKING:
    from device.engines.registry import Engines


@click.command(short_help="Serve programs written for Azure Speech.")
@click.option("--host", metavar="ADDRESS", help="Listen on this address [127.0.0.1]; others need a key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port [5000]; 0 takes a free one.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="The key that programs must show.")
@click.option("--tls-port", type=click.IntRange(0, 65535), help="Listen with TLS on this port too.")
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, key_file: Path | None, tls_port: int | None) -> None:
    """Serve programs written for Azure Speech until stopped: sockets and REST, on this machine's models.

    The models of the configured directions are loaded before the first client is let in, others when a client first
    asks for them.

    \b
    Examples:
      dragoman serve
      dragoman serve --host 0.0.0.0 --key-file server.key --tls-port 443
    """  # noqa: D301 - \b is click's mark for lines that stay
    given = {"host": host, "port": port, "key_file": key_file and str(key_file), "tls_port": tls_port}
    settings = settings_from(ctx, {f"server.{name}": value for name, value in given.items() if value is not None})
    from device.engines.registry import Engines
    from device.server.serve import Server, check_access

    check_access(settings)  # before the models are loaded
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    with Engines.open(settings) as engines:
        server = Server(engines, settings)
        server.bind()  # a port that is taken is told before the models are loaded, not after
        _load(engines, settings)
        with server:
            for address in server.addresses:
                click.echo(f"serving on {address}")
            logging.getLogger(__name__).info("ready")
            stopping.wait()


def _load(engines: Engines, settings: Settings) -> None:
    """Load what most clients will ask for, and say so; what is missing is told to the clients that ask for it."""
    click.echo("loading models ...", err=True)
    began = time.monotonic()
    try:
        engines.preload(settings)
    except DragomanError as error:
        click.echo(f"not loaded: {error}", err=True)
    if engines.loaded:
        click.echo(f"loaded {', '.join(engines.loaded)} in {time.monotonic() - began:.1f} s", err=True)
