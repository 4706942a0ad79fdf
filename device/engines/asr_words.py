"""Words with times and confidence, from the tokens that a recogniser gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

from device.engines.protocols import Word

_WORD_STARTS = (" ", "▁")


def words_from_tokens(
    tokens: Sequence[str],
    starts: Sequence[float],
    log_probs: Sequence[float] = (),
    *,
    end: float,
) -> tuple[Word, ...]:
    """Join sub-word tokens into words.

    A token that begins with a space (or SentencePiece's ``▁``) begins a word; so does every token of a script
    written without spaces.

    Parameters
    ----------
    tokens, starts
        The tokens and when each begins, in seconds.
    log_probs
        Log-probability of each token, where the model gives one.
    end
        When the audio ends: the last word cannot last longer.

    Returns
    -------
    tuple of Word
        Empty where the model gives no times. A word ends where the next begins; its confidence is the
        geometric mean of its tokens' probabilities.
    """
    if not tokens or len(starts) != len(tokens):
        return ()
    groups: list[list[int]] = []
    for index, token in enumerate(tokens):
        if not groups or token.startswith(_WORD_STARTS) or _stands_alone(token):
            groups.append([])
        groups[-1].append(index)
    words = []
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        text = "".join(tokens[i] for i in group).replace("▁", " ").strip()
        if not text:
            continue
        stop = starts[following[0]] if following else end
        start = min(float(starts[group[0]]), end)
        words.append(Word(text, start, max(start, min(float(stop), end)), confidence(log_probs, group)))
    return tuple(words)


def confidence(log_probs: Sequence[float], group: Sequence[int] | None = None) -> float | None:
    """Geometric mean of the probabilities of ``group`` (or of all), or None where the model gives none."""
    chosen = list(log_probs) if group is None else [log_probs[i] for i in group if i < len(log_probs)]
    if not chosen:
        return None
    return min(1.0, math.exp(sum(chosen) / len(chosen)))


def _stands_alone(token: str) -> bool:
    """Whether ``token`` is of a script without spaces between words: Han, kana, Thai, Lao, Khmer, Burmese."""
    code = ord(token[0]) if token else 0
    return (
        0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
        or 0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0x20000 <= code <= 0x3FFFF
    )
