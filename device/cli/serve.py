"""``dragoman serve``: the server for programs written for Azure Speech, without microphone and buttons."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

import click

from device.cli.common import settings_from


@click.command(short_help="Serve programs written for Azure Speech.")
@click.option("--host", metavar="ADDRESS", help="Listen on this address [127.0.0.1]; others need a key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port [5000]; 0 takes a free one.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="The key that programs must show.")
@click.option("--tls-port", type=click.IntRange(0, 65535), help="Listen with TLS on this port too.")
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, key_file: Path | None, tls_port: int | None) -> None:
    """Serve programs written for Azure Speech until stopped: sockets and REST, on this machine's models.

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

    with Engines.open(settings) as engines, Server(engines, settings) as server:
        for address in server.addresses:
            click.echo(f"serving on {address}")
        logging.getLogger(__name__).info("ready")
        stopping.wait()
