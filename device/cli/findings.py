"""What a check of ``dragoman doctor`` tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from device.config import Settings


class Status(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Something works less well, or not now."""
    PROBLEM = "problem"
    """Something that is configured cannot work."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    text: str
    remedy: str | None = None
    """What to do; only where something is wrong."""


Check = Callable[[Settings], Iterator[Finding]]


def ok(check: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Status.OK, text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Return a finding that something works less well, or not now."""
    return Finding(check, Status.WARNING, text, remedy)


def problem(check: str, text: str, remedy: str) -> Finding:
    """Return a finding that something configured cannot work."""
    return Finding(check, Status.PROBLEM, text, remedy)
