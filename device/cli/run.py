"""``dragoman run``: the daemon."""

from __future__ import annotations

import logging
import os
import signal
import threading
from types import FrameType

import click

from device.cli.common import settings_from

log = logging.getLogger(__name__)


class _Stopped(BaseException):
    """Told to stop before there was anything to finish; unwinds what has been built so far."""


@click.command(short_help="Run the translator: microphone, button, speaker and broker.")
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run the translator until it is told to stop (SIGTERM, SIGINT): microphone, button, speaker and broker.

    What somebody is saying when it stops is still translated and published. The log goes to standard error and never
    holds what was said.
    """
    settings = settings_from(ctx)
    logging.getLogger().setLevel(settings.log.level.upper())
    stopping = threading.Event()
    ready = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked_before = stopping.is_set()
        stopping.set()
        if not ready and not asked_before:
            raise _Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        from device.daemon import Daemon
        from device.watchdog import Watchdog

        with Daemon(settings) as daemon, Watchdog(daemon.vital):
            ready = True
            stopping.wait()
    except _Stopped:
        log.info("stopped before it was ready")
        logging.shutdown()
        os._exit(0)  # models that are still being loaded would be waited for
