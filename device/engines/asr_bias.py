"""Makes a decoder listen for phrases: names and terms that a speaker is likely to say.

While a text is decoded, the tokens that begin or continue one of the phrases get a bonus (shallow fusion with a trie
of phrases; Zhao et al., "Shallow-Fusion End-to-End Contextual Biasing", 2019). Greedy decoding cannot take a bonus
back when the phrase does not follow, so the result is only a proposal: `better` says whether the model itself finds
it about as likely as what it wrote without.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPACE: Final = "▁".encode()
"""What stands before each word in a vocabulary of SentencePiece."""
BEGIN: Final = 4.0
CONTINUE: Final = 8.0
"""Natural logarithms that a token gains which begins a phrase, or continues one."""
PRICE: Final = 10.0
"""How much less likely a text may be for each phrase that it gains."""
_LONGEST_TOKEN: Final = 24
_ASIDE: Final = 1
"""Words beside a phrase that may change with it."""
_SHORTEST: Final = 3
"""Letters of the shortest phrase that is listened for."""


class Phrases:
    """The phrases of one session, and whether a text that has them is to be believed."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = [_bare(phrase) for phrase in phrases if len(phrase.strip()) >= _SHORTEST]

    def gained(self, plain: str, biased: str) -> list[str]:
        """Return the phrases that a text has and another has not; none where the two differ elsewhere too."""
        before, after = f" {_bare(plain)} ", f" {_bare(biased)} "
        gained = [p for p in self._phrases if after.count(f" {p} ") > before.count(f" {p} ")]
        words = SequenceMatcher(None, before.split(), after.split(), autojunk=False)
        changed = sum(j2 - j1 for kind, _, _, j1, j2 in words.get_opcodes() if kind != "equal")
        return gained if changed <= sum(len(phrase.split()) + _ASIDE for phrase in gained) else []

    def better(self, plain: str, plain_score: float, biased: str, biased_score: float) -> bool:
        """Whether a biased text is to be preferred: it has more phrases, and is not much less likely."""
        gained = self.gained(plain, biased)
        return bool(gained) and biased_score >= plain_score - PRICE * len(gained)


class PhraseBias(Phrases):
    """The phrases of one session, in the tokens of one vocabulary.

    Parameters
    ----------
    phrases
        As they are to be written.
    tokens
        Bytes by token, SentencePiece's mark for a space among them.
    """

    def __init__(self, phrases: Sequence[str], tokens: Mapping[int, bytes]) -> None:
        super().__init__(phrases)
        by_bytes: dict[bytes, int] = {}
        for token, spelt in tokens.items():
            by_bytes.setdefault(spelt, token)
        self._spelt = tokens
        begins: set[int] = set()
        continues: defaultdict[bytes, set[int]] = defaultdict(set)
        for phrase in phrases:
            if len(phrase.strip()) < _SHORTEST:
                continue
            for written in {phrase.strip(), phrase.strip()[:1].upper() + phrase.strip()[1:]}:
                spelt = SPACE + unicodedata.normalize("NFC", written).encode().replace(b" ", SPACE)
                for place in range(len(spelt)):
                    if 0 < place <= len(SPACE):
                        continue
                    rest = spelt[place : place + _LONGEST_TOKEN]
                    found = {by_bytes[rest[:n]] for n in range(1, len(rest) + 1) if rest[:n] in by_bytes}
                    if place:
                        continues[spelt[:place]] |= found
                    else:
                        begins |= {token for token in found if len(tokens[token]) > len(SPACE)}
        self._begins = np.array(sorted(begins), np.intp)
        self._continues = {prefix: np.array(sorted(found), np.intp) for prefix, found in continues.items()}
        self._longest = max(map(len, self._continues), default=0)

    def add(self, logits: NDArray[np.float32], text: bytes) -> None:
        """Add the bonus to the scores of the token that follows ``text``."""
        logits[self._begins] += BEGIN
        for length in range(len(SPACE) + 1, min(self._longest, len(text)) + 1):
            found = self._continues.get(text[-length:])
            if found is not None:
                logits[found] += CONTINUE

    def spell(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of tokens."""
        return b"".join(self._spelt.get(token, b"") for token in tokens)


def _bare(text: str) -> str:
    kept = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", text).casefold())
    return " ".join(kept.split())
