"""Finds where a recogniser's text goes round in circles.

Decoders that write one token after the other can fall into a loop when the sound ends inside a word or with an odd
length of silence: "seven, eight, seven, eight, seven". People repeat themselves too, so a loop is only a suspicion.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"(\w{1,3}?)\1{11,}\W*$")
LONGEST_PHRASE = 12
"""Words of a phrase that may be repeated."""


def loop_at_end(text: str, *, times: int) -> int:
    """Return how many words of ``text`` repeat, at its end, what was just said; 0 where there is no loop.

    Parameters
    ----------
    text
        What was recognised.
    times
        A phrase of one or two words must have been said so often in a row, the last time perhaps not to its end, to be
        a loop; a longer one twice.
    """
    words = [re.sub(r"\W", "", word.lower()) for word in text.split()]
    for size in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1):
        run = size
        # A decoder that is stopped at its limit leaves half a word.
        if words[-1] and words[-size - 1].startswith(words[-1]):
            run += 1
        while run < len(words) and words[-run - 1] == words[-run - 1 + size]:
            run += 1
        if run >= size * (times if size <= 2 else 2):
            return run - size
    return 0


def run_at_end(text: str) -> bool:
    """Whether ``text`` ends with one to three characters said over and over: "4111111111111111111"."""
    return _RUN.search(text) is not None


def without_loop(text: str, *, times: int) -> str:
    """Return ``text`` with what repeats at its end said once."""
    repeated = loop_at_end(text, times=times)
    return " ".join(text.split()[:-repeated]) if repeated else text
