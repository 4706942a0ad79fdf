"""Recordings of two people each: who says what, and whether speakers were told apart as they should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

ENDGAME = (
    (0.1, 0.9, "Nagg"), (2.5, 3.3, "Nagg"), (4.0, 4.3, "Nell"), (4.9, 8.1, "Nagg"), (8.7, 11.4, "Nell"),
    (12.0, 14.0, "Nagg"), (14.7, 17.0, "Nell"), (17.7, 18.9, "Nagg"), (20.4, 21.9, "Nagg"), (22.5, 23.2, "Nell"),
    (23.8, 27.4, "Nagg"),
)  # fmt: skip
"""``endgame_nagg_nell.wav``: beginning, end and speaker of each turn."""
SHORT = 1.0
"""Seconds below which a voice may be taken for another's: such a turn need not be right."""

Turn = tuple[float, float, str]


def turns_of(rttm: Path) -> tuple[Turn, ...]:
    """Read who talks when: RTTM as in NIST's evaluations, onset and duration in the fourth and fifth column."""
    rows = [line.split() for line in rttm.read_text().splitlines()]
    return tuple((float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows)


def check_speakers(phrases: Iterable[tuple[float, float, object]], turns: Sequence[Turn]) -> None:
    """Assert that each person has one label, and nobody else has it, on all phrases that are long enough.

    Parameters
    ----------
    phrases
        Beginning, end and label.
    turns
        Who really talks when.
    """
    labels: dict[str, list[object]] = {}
    for start, end, label in phrases:
        if end - start >= SHORT:
            heard = {who: 0.0 for _, _, who in turns}
            for begin, stop, who in turns:
                heard[who] += max(0.0, min(end, stop) - max(start, begin))
            labels.setdefault(max(heard, key=heard.__getitem__), []).append(label)
    assert set(labels) == {who for _, _, who in turns}, labels
    assert all(len(found) > 1 for found in labels.values()), labels
    assert all(len(set(found)) == 1 for found in labels.values()), labels
    assert len({found[0] for found in labels.values()}) == len(labels), labels
