"""Writes out what voices cannot read as it stands: figures, dates, times, money, units, abbreviations, signs.

The inverse of `device.text.numbers`, for what is about to be spoken, in the way of Ebden and Sproat ("The Kestrel TTS
text normalization system", 2015): first what kind of expression it is, then the words for it. Languages without rules
are left to the voice, which reads plain numbers well enough.
"""

from __future__ import annotations

import re

from device.text.speech_rules import Reading, rules_of


def verbalize(text: str, language: str) -> str:
    """Return ``text`` as it is said in ``language``; all that needs no words of its own stays as it is."""
    found, done = [], 0
    for reading in readings(text, language):
        found += [text[done : reading.start], reading.spoken]
        done = reading.end
    return "".join([*found, text[done:]]) if done else text


def spoken_words(text: str, language: str) -> list[tuple[str, str]]:
    """Return the words of ``text`` between white space, as they are written and as they are said.

    What is said as one ("3 km") is one word, as it is written.
    """
    found: list[tuple[str, str]] = []
    start = end = 0  # of the word that is being put together
    spoken = ""
    for piece in _cut(text, readings(text, language)):
        written = text[piece.start : piece.end]
        if written.isspace():
            if spoken.strip():
                found.append((text[start:end].strip(), spoken.strip()))
            start, spoken = piece.end, ""
        else:
            spoken += piece.spoken
        end = piece.end
    if spoken.strip():
        found.append((text[start:end].strip(), spoken.strip()))
    return found


def readings(text: str, language: str) -> list[Reading]:
    """Return the parts of ``text`` that are said otherwise than they are written, in order."""
    rules = rules_of(language)
    return rules.readings(text) if rules else []


def _cut(text: str, found: list[Reading]) -> list[Reading]:
    """Return all of ``text`` in pieces: readings, and between them white space and everything else."""
    pieces, done = [], 0
    for reading in [*found, Reading(len(text), len(text), "")]:
        between = re.finditer(r"\s+|\S+", text[done : reading.start])
        pieces += [Reading(done + match.start(), done + match.end(), match[0]) for match in between]
        if reading.spoken:
            pieces.append(reading)
        done = reading.end
    return pieces
