r"""The frames of the Speech SDK's sockets: headers and a body in every WebSocket message.

A text message is ``Header: value\r\n``…, an empty line, and a body. A binary message begins with the length of
its headers in two bytes, big-endian. Names of headers compare without regard to case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from device.errors import DragomanError
from device.server.jsons import parse_json

MOST_HEADERS = 64
_USUAL = 256
"""Bytes of headers that are worth remembering."""
JSON = "application/json; charset=utf-8"


class FrameError(DragomanError):
    """A message that is no frame, in one line for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, taken apart. ``headers`` have lower-case names; ``body`` is as it came."""

    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """What kind of message it is, in lower case: ``speech.context``, ``audio``."""
        return self.headers.get("path", "").lower()

    @property
    def request_id(self) -> str:
        """The turn it belongs to, as the client wrote it; empty where none is named."""
        return self.headers.get("x-requestid", "")

    def json(self) -> dict[str, Any]:
        """Return the body as an object with lower-case keys at every level; an empty body is an empty object.

        Raises
        ------
        FrameError
            The body is no JSON object.
        """
        return json_object(self.body, self.path)


def json_object(body: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object, its keys made lower case at every level (clients differ in how they write them).

    Raises
    ------
    FrameError
        It is no object, or is nested too deep.
    """
    if not body.strip():
        return {}
    try:
        value = _lower(parse_json(body))
    except ValueError:
        raise FrameError(f"{what}: the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise FrameError(f"{what}: the body must be a JSON object")
    return value


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lower(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value


def parse_text(message: str) -> Frame:
    """Take a text message apart.

    Raises
    ------
    FrameError
        It has no headers, or names no ``Path``.
    """
    head, _, body = message.partition("\r\n\r\n")
    return _checked(Frame(_headers(head), body.encode("utf-8", errors="replace")))


def parse_binary(message: bytes) -> Frame:
    """Take a binary message apart.

    Raises
    ------
    FrameError
        It is shorter than it says, or its headers are none.
    """
    if len(message) < 2:
        raise FrameError("a binary message begins with the length of its headers in two bytes")
    length = int.from_bytes(message[:2], "big")
    if len(message) < 2 + length:
        raise FrameError(f"a binary message promises {length} bytes of headers and has {len(message) - 2}")
    head = message[2 : 2 + length]
    headers = _usual_headers(head) if length <= _USUAL else _binary_headers(head)
    return _checked(Frame(headers, message[2 + length :]))


def _binary_headers(head: bytes) -> dict[str, str]:
    try:
        return _headers(head.decode("utf-8"))
    except UnicodeDecodeError:
        raise FrameError("the headers of a binary message are not UTF-8") from None


_usual_headers = lru_cache(maxsize=1024)(_binary_headers)
"""All messages with audio of one turn have the same headers."""


def _headers(head: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.split("\r\n"):
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or len(headers) >= MOST_HEADERS:
            raise FrameError("a message begins with lines of the form 'Header: value'")
        headers[name.strip().lower()] = value.strip()
    return headers


def _checked(frame: Frame) -> Frame:
    if not frame.path:
        raise FrameError("a message needs a Path header")
    return frame


def write_text(path: str, request_id: str, body: Mapping[str, Any] | None = None, **headers: str) -> str:
    """Put a text message together; ``headers`` are written with ``-`` for ``_``."""
    lines = _lines(path, request_id, JSON, headers)
    return f"{lines}\r\n{json.dumps(body or {}, ensure_ascii=False)}"


def write_binary(path: str, request_id: str, data: bytes, content_type: str | None, **headers: str) -> bytes:
    """Put a binary message together."""
    head = _lines(path, request_id, content_type, headers).encode()
    return len(head).to_bytes(2, "big") + head + data


def _lines(path: str, request_id: str, content_type: str | None, headers: Mapping[str, str]) -> str:
    pairs = {"X-RequestId": request_id, "Path": path}
    if content_type is not None:
        pairs["Content-Type"] = content_type
    pairs |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join(f"{name}:{_line(value)}\r\n" for name, value in pairs.items())


def _line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
