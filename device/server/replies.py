"""What the service says about one turn, in the two shapes that the Speech SDKs read.

Times on the wire are ticks of 100 ns from the start of the turn's audio.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from device.events import Final, Partial, TextForms
from device.server.options import TurnOptions

Reply = Callable[..., None]
"""Sends one: called with path, body (object or bytes) and optionally ``key`` for one that a newer one replaces."""

_PUNCTUATION = re.compile(r"[^\w\s'\u2019-]|(?<!\w)['\u2019-]|['\u2019-](?!\w)")


def forms(*finals: Final) -> TextForms:
    """Return one or several finals in the forms of detailed results."""
    found = [f.forms or TextForms(lexical(f.text), lexical(f.text), lexical(f.text), f.text) for f in finals]
    return TextForms(*(" ".join(getattr(form, name) for form in found) for name in TextForms.__slots__))


def ticks(seconds: float) -> int:
    """Return seconds in units of 100 ns."""
    return max(0, round(seconds * 10_000_000))


def lexical(text: str) -> str:
    """Return the bare words: lower case, without punctuation."""
    return " ".join(_PUNCTUATION.sub(" ", text).lower().split())


def hypothesis(partial: Partial, base: float, options: TurnOptions, language: str | None) -> dict[str, Any]:
    """Return the body of ``speech.hypothesis`` for a partial, as `phrase` does; ``language`` is what was identified."""
    body: dict[str, Any] = {
        "Id": _id(partial.utterance), "Text": partial.text, "Offset": ticks(base + partial.start),
        "Duration": ticks(partial.end - partial.start), "Channel": 0,
    }  # fmt: skip
    if language is not None:
        body["PrimaryLanguage"] = {"Language": language}
    return body | _speaker(None, options)


def phrase(final: Final, base: float, options: TurnOptions, language: tuple[str, str] | None) -> dict[str, Any]:
    """Return the body of ``speech.phrase`` for a final that began ``base`` seconds into the turn's audio.

    ``language`` is what was identified and how sure that is: ``("en-US", "High")``.
    """
    body = status("Success", base + final.start, base + final.end)
    body |= {"Id": _id(final.utterance), "DisplayText": final.text}
    if language is not None:
        body["PrimaryLanguage"] = {"Language": language[0], "Confidence": language[1]}
    body |= _speaker(final.speaker, options)
    if options.detailed or options.words:
        body["NBest"] = [best(final, base, words=options.words)]
    return body


def best(final: Final, base: float, *, words: bool) -> dict[str, Any]:
    """Return the one entry of ``NBest``; ``Words`` only where the model told their times."""
    entry: dict[str, Any] = {"Confidence": round(final.confidence, 4) if final.confidence is not None else 0.0}
    known = forms(final)
    entry |= {"Lexical": known.lexical, "ITN": known.itn, "MaskedITN": known.masked_itn, "Display": known.display}
    if words and final.words:
        entry["Words"] = [
            {"Word": lexical(word.text) or word.text, "Offset": ticks(base + word.start),
             "Duration": ticks(word.end - word.start)}
            | ({} if word.confidence is None else {"Confidence": round(word.confidence, 4)})
            for word in final.words
        ]  # fmt: skip
    return entry


def status(name: str, start: float, end: float) -> dict[str, Any]:
    """Return the body of a ``speech.phrase`` without words: ``NoMatch``, ``InitialSilenceTimeout``, ``Error``."""
    return {
        "Id": uuid.uuid4().hex, "RecognitionStatus": name, "DisplayText": "",
        "Offset": ticks(start), "Duration": ticks(end - start), "Channel": 0,
    }  # fmt: skip


def translated(
    speech: dict[str, Any], translations: Mapping[str, str], failure: str, *, v2: bool, partial: bool
) -> tuple[str, dict[str, Any]]:
    """Return path and body of a translated hypothesis or phrase.

    Parameters
    ----------
    speech
        The body that `hypothesis` or `phrase` gave.
    translations
        Text by target, as the client named it.
    failure
        Why a translation is missing; empty where none is.
    v2
        Whether the client connected to the newer address, whose replies hold the speech as an object of its own.
    """
    texts = [{"Language": target, "Text": text} for target, text in translations.items()]
    state = "Error" if failure else "Success"
    if v2:
        body = {
            "SpeechHypothesis" if partial else "SpeechPhrase": speech,
            "TranslationStatus": state,
            "Translations": texts,
        }
        if failure:
            body["FailureReason"] = failure
        return "translation.response", body
    inner: dict[str, Any] = {"TranslationStatus": state, "Translations": texts}
    if failure:
        inner["FailureReason"] = failure
    body = {"Offset": speech["Offset"], "Duration": speech["Duration"], "Translation": inner}
    if partial:
        return "translation.hypothesis", {**body, "Text": speech["Text"]}
    return "translation.phrase", {
        **body, "Text": speech["DisplayText"], "RecognitionStatus": speech["RecognitionStatus"],
    }  # fmt: skip


def _speaker(number: int | None, options: TurnOptions) -> dict[str, str]:
    """Return who says it, where that is asked for; of what is still being said nobody knows."""
    if not options.diarize:
        return {}
    return {"SpeakerId": "Unknown" if number is None else f"Guest-{number}"}


def _id(utterance: str) -> str:
    """Return a stable 32-digit id for an utterance, as the clients expect it."""
    return uuid.uuid5(uuid.NAMESPACE_OID, utterance).hex
