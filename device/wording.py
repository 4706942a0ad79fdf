"""Small matters of English that messages share."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return a number with its noun: ``1 channel``, ``4 channels``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def one_of(names: list[str]) -> str:
    """Return names as a choice: ``a``, ``a or b``, ``a, b or c``."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
