"""What may be asked for and cannot be done yet: refused in so many words, never ignored."""

from __future__ import annotations

from device.errors import DragomanError
from device.server.options import TurnOptions

PROFANITY = frozenset({"", "raw", "none", "noaction"})
"""Ways to treat profanity that can be done: to leave it."""


class RefusedError(DragomanError):
    """Something that was asked for is not part of this program yet."""


def refuse_profanity(wanted: str) -> None:
    """Refuse to mask or remove profanity.

    Raises
    ------
    RefusedError
        Anything but the words as they were said is wanted.
    """
    if wanted.lower() not in PROFANITY:
        raise RefusedError(f"profanity cannot be {wanted.lower()} here: ask for it raw")


def refuse_what_is_missing(options: TurnOptions) -> None:
    """Refuse the options of a turn that cannot be carried out.

    Raises
    ------
    RefusedError
        Naming the first.
    """
    refuse_profanity(options.profanity)
    if options.true_text:
        raise RefusedError("TrueText post-processing is not done here: leave it out")
    if options.diarize:
        raise RefusedError("speakers are not told apart here: recognise without diarization")
    if options.assess_pronunciation:
        raise RefusedError("pronunciation is not assessed here")
