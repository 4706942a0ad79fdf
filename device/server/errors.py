"""Failures as Azure's REST interfaces tell them: JSON with a code and a message, and the status that fits."""

from __future__ import annotations

from starlette.responses import JSONResponse

from device.errors import DragomanError
from device.server.batch_store import StoreError
from device.server.languages import LanguageError
from device.server.service import BusyError

CODES = {
    400: "InvalidRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    408: "RequestTimeout", 413: "PayloadTooLarge", 429: "TooManyRequests", 500: "InternalServerError",
    503: "ServiceUnavailable",
}  # fmt: skip


class HttpError(DragomanError):
    """A failure with its HTTP status and, where it says more, Azure's inner code."""

    def __init__(self, status: int, message: str, inner: str = "") -> None:
        super().__init__(message)
        self.status, self.inner = status, inner


def error_response(status: int, message: str, inner: str = "", **more: str) -> JSONResponse:
    """Return a failure in Azure's shape; ``429`` says when to come again. ``more`` are further headers."""
    error: dict[str, object] = {"code": CODES.get(status, "Error"), "message": message}
    if inner:
        error["innerError"] = {"code": inner, "message": message}
    # After a fault of its own, or half a request, the server uses the connection no more.
    headers = {408: {"Connection": "close"}, 429: {"Retry-After": "1"}, 500: {"Connection": "close"}}.get(status, {})
    return JSONResponse({"error": error}, status, headers | more)


def response_for(error: Exception) -> JSONResponse:
    """Return the response for a failure."""
    if isinstance(error, HttpError):
        return error_response(error.status, str(error), error.inner)
    if isinstance(error, BusyError):
        return error_response(429, str(error))
    if isinstance(error, StoreError):
        return error_response(503, str(error))
    if isinstance(error, LanguageError):
        return error_response(400, str(error), "InvalidLocale")
    if isinstance(error, DragomanError):
        return error_response(400, str(error))
    return error_response(500, "the server failed")
