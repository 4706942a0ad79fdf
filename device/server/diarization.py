"""How many people a client wants to be told apart in a recording, in the three ways in which Azure is asked for it.

Fast transcription and batch transcription of 2024-11-15 have ``diarization.maxSpeakers``; batch transcription v3.x has
``diarizationEnabled``, which alone means two, and ``diarization.speakers.maxCount`` for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device.server.errors import HttpError
from device.speakers import MOST

MOST_ASKED = 36
"""The largest number that Azure takes anywhere; `device.speakers.MOST` are told apart then."""
TWO = 2


def people_asked(wanted: Mapping[str, Any]) -> int | None:
    """Return how many people there are at most: 0 where the client does not say, None where it does not ask.

    Parameters
    ----------
    wanted
        What has the key ``diarization``, in v3.x ``diarizationEnabled``, and ``channels``.

    Raises
    ------
    HttpError
        A value is none that may be there, or several channels are named: who talks in one is nobody in the other.
    """
    people = _people(wanted)
    if people is not None and isinstance(channels := wanted.get("channels"), list) and len(channels) > 1:
        raise HttpError(400, "people are told apart in one channel: name one, or leave channels out")
    return people


def _people(wanted: Mapping[str, Any]) -> int | None:
    enabled, diarization = wanted.get("diarizationEnabled"), wanted.get("diarization")
    if not isinstance(enabled, bool | None):
        raise HttpError(400, "diarizationEnabled must be true or false")
    if not isinstance(diarization, dict | None):
        raise HttpError(400, 'diarization must be an object such as {"maxSpeakers": 2}')
    if diarization is None:
        return TWO if enabled else None
    if not isinstance(diarization.get("enabled"), bool | None):
        raise HttpError(400, "diarization.enabled must be true or false")
    speakers = diarization.get("speakers")
    if not isinstance(speakers, dict | None):
        raise HttpError(400, 'diarization.speakers must be an object such as {"minCount": 1, "maxCount": 2}')
    most = _count(diarization.get("maxSpeakers"), "diarization.maxSpeakers")
    if speakers is not None:
        fewest = _count(speakers.get("minCount"), "diarization.speakers.minCount")
        most = _count(speakers.get("maxCount"), "diarization.speakers.maxCount") or most
        if most and fewest > most:
            raise HttpError(400, "diarization.speakers.minCount is larger than maxCount")
    return None if False in (enabled, diarization.get("enabled")) else min(most, MOST)


def _count(value: object, name: str) -> int:
    """Return a number of people; 0 where there is none."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_ASKED:
        raise HttpError(400, f"{name} must be a number from 1 to {MOST_ASKED}")
    return value
