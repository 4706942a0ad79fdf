"""What may be asked for and cannot be done yet: refused in so many words, never ignored."""

from __future__ import annotations

from device.errors import DragomanError
from device.server.options import TurnOptions


class RefusedError(DragomanError):
    """Something that was asked for is not part of this program yet."""


def refuse_what_is_missing(options: TurnOptions) -> None:
    """Refuse the options of a turn that cannot be carried out.

    Raises
    ------
    RefusedError
        Naming the first.
    """
    if options.assess_pronunciation:
        raise RefusedError("pronunciation is not assessed here")
