"""Reading JSON from strangers (RFC 8259): what comes out can be written as JSON again, in UTF-8."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEEPEST = 100
"""Objects and lists inside each other: far more than anybody means, and few enough for whoever goes through them."""


def parse_json(data: str | bytes) -> Any:
    r"""Return what JSON says.

    Raises
    ------
    ValueError
        It is none, is nested too deep, holds a number beyond all bounds, or half a character (``"\ud800"``).
    """
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    _check_depth(value)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            item
            for each in level if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]  # fmt: skip
    if level:
        raise ValueError(f"nested deeper than {DEEPEST}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number
