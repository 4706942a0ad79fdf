"""Events as an interpreter would emit them."""

from __future__ import annotations

from device.events import Final, Partial, PartialTranslation, Translation


def final(number: int, text: str = "Where is the station?") -> Final:
    return Final(
        emitted=number + 1.2,
        utterance=f"c-{number:05d}",
        sequence=number,
        text=text,
        language="en",
        start=float(number),
        end=number + 1.0,
        timings={"endpoint": 0.6, "asr": 0.1},
    )


def translation(number: int, text: str = "Onde fica a estação?") -> Translation:
    return Translation(
        emitted=number + 1.3,
        utterance=f"c-{number:05d}",
        sequence=number,
        text=text,
        language="pt",
        source_language="en",
        start=float(number),
        end=number + 1.0,
        route=("en", "pt"),
        models=("mt-bergamot-en-pt",),
    )


def partial(number: int, revision: int, text: str = "Where is") -> Partial:
    return Partial(
        emitted=number + 0.5,
        utterance=f"c-{number:05d}",
        revision=revision,
        text=text,
        language="en",
        start=float(number),
        end=number + 0.5,
    )


def partial_translation(number: int, revision: int, text: str = "Onde") -> PartialTranslation:
    return PartialTranslation(
        emitted=number + 0.5,
        utterance=f"c-{number:05d}",
        revision=revision,
        text=text,
        language="pt",
        source_language="en",
        start=float(number),
        end=number + 0.5,
    )
