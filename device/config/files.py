"""The files that a configuration is in and that it names: read with care, and looked for."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

from device.config.settings import Settings
from device.errors import DragomanError

log = logging.getLogger(__name__)

LARGEST_SECRET = 64 << 10
_SECRETS = ("mqtt.password_file", "server.key_file")
_NAMED = (
    "mqtt.ca_file",
    "mqtt.cert_file",
    "mqtt.key_file",
    "server.cert_file",
    "server.cert_key_file",
    "frontend.array.calibration",
    "display.font",
)


def read_text(file: Path, largest: int) -> str:
    """Read a small text file; devices, pipes and what is larger are refused, for they might never end.

    Raises
    ------
    OSError, UnicodeDecodeError
        It cannot be read; `OSError.strerror` says why.
    """
    mode = file.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder gives the better message
        raise OSError(0, "it is no plain file")
    with file.open("rb") as opened:
        data = opened.read(largest + 1)
    if len(data) > largest:
        raise OSError(0, f"it is larger than {largest >> 10} KiB")
    return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark


def read_secret(file: Path) -> str:
    """Read a secret from its file, without the newline at its end.

    Raises
    ------
    DragomanError
        When it cannot be read or is empty. The secret is in no message.
    """
    warn_if_others_can_read(file)
    try:
        secret = read_text(file, LARGEST_SECRET).rstrip("\r\n")
    except UnicodeDecodeError:
        raise DragomanError(f"{file}: a secret must be UTF-8 text") from None
    except OSError as error:
        raise DragomanError(f"{file}: the secret cannot be read: {error.strerror}") from None
    if not secret:
        raise DragomanError(f"{file}: the secret is empty")
    return secret


def warn_if_others_can_read(file: Path) -> None:
    """Log a warning when a secret's file can be read by everybody on the machine.

    It is used all the same: containers mount secrets so by themselves, and a device that nobody watches would not
    start again after somebody copied a file.
    """
    try:
        mode = file.stat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        log.warning("%s holds a secret that every user of this machine can read; run: chmod 640 %s", file, file)


def unreadable(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the key of every file that the settings name and that cannot be read, with the reason."""
    for key in (*_SECRETS, *_NAMED):
        file = _value(settings, key)
        if file is None:
            continue
        try:
            if key in _SECRETS:
                read_secret(file)
            elif not file.is_file():
                raise FileNotFoundError(0, "it is no plain file" if file.exists() else "no such file")
            else:
                with file.open("rb"):
                    pass
        except DragomanError as error:
            yield key, str(error)
        except OSError as error:
            yield key, f"{file} cannot be read: {error.strerror}"


def _value(settings: Settings, key: str) -> Path | None:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value if isinstance(value, Path) else None
