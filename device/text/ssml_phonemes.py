"""X-SAMPA, which writes the International Phonetic Alphabet on a plain keyboard (Wells 1995), to IPA."""

from __future__ import annotations

import re
from typing import Final

# ruff: noqa: RUF001 - phonetic letters look like others

_SYMBOLS: Final = {
    "{": "æ", "}": "ʉ", "@`": "ɚ", "@\\": "ɘ", "@": "ə", "1": "ɨ", "2": "ø", "3\\": "ɞ", "3": "ɜ", "4": "ɾ", "5": "ɫ",
    "6": "ɐ", "7": "ɤ", "8": "ɵ", "9": "œ", "&": "ɶ", "A": "ɑ", "B\\": "ʙ", "B": "β", "C": "ç", "D": "ð", "E": "ɛ",
    "F": "ɱ", "G\\": "ɢ", "G": "ɣ", "H": "ɥ", "I\\": "ᵻ", "I": "ɪ", "J\\": "ɟ", "J": "ɲ", "K": "ɬ", "L\\": "ʟ",
    "L": "ʎ", "M\\": "ɰ", "M": "ɯ", "N\\": "ɴ", "N": "ŋ", "O": "ɔ", "P": "ʋ", "Q": "ɒ", "R\\": "ʀ", "R": "ʁ", "S": "ʃ",
    "T": "θ", "U": "ʊ", "V": "ʌ", "W": "ʍ", "X\\": "ħ", "X": "χ", "Y": "ʏ", "Z": "ʒ", "d`": "ɖ", "g": "ɡ", "j\\": "ʝ",
    "l`": "ɭ", "n`": "ɳ", "p\\": "ɸ", "r\\`": "ɻ", "r\\": "ɹ", "r`": "ɽ", "s\\": "ɕ", "s`": "ʂ", "t`": "ʈ", "v\\": "ʋ",
    "x\\": "ɧ", "z\\": "ʑ", "z`": "ʐ", "?\\": "ʕ", "?": "ʔ", '"': "ˈ", "%": "ˌ", ":": "ː", "~": "\u0303",
    "_~": "\u0303", "_j": "ʲ", "'": "ʲ", "_h": "ʰ", "_w": "ʷ", "_0": "\u0325", "=": "\u0329", "_=": "\u0329",
    "_^": "\u032f", "-": "", ".": "", "_": "",
}  # fmt: skip
_ANY: Final = re.compile("|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True)))


def from_x_sampa(text: str) -> str:
    """Return ``text`` in IPA; what is the same in both stays."""
    return _ANY.sub(lambda found: _SYMBOLS[found[0]], text)
