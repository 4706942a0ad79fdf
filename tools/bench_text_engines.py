"""Of ``make bench-text``: what recognisers, translators and voices give with the text room, and what it costs."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from device.audio.files import read_blocks
from device.config import DirectionSettings, ModelSettings, Profanity, Redaction, Settings, SpeechSettings, TextSettings
from device.engines.protocols import PhraseRecognizer
from device.engines.registry import Engines
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Event, Final, PartialTranslation, Samples, Translation
from device.interpreter import Interpreter
from device.text.captions import CaptionStyle, Said, captions
from device.text.phrases import PhraseList
from device.text.room import TextRoom
from device.text.truetext import display
from device.translation import TextTranslator
from tools.bench_text_corpus import read_sentences
from tools.bleu import read_pair

PAIRS = (
    ("en", "pt"), ("pt", "en"), ("zh", "pt"), ("en", "es"), ("en", "ca"), ("en", "gl"),
    ("pt", "es"), ("es", "pt"), ("es", "ca"), ("es", "gl"),
)  # fmt: skip
PUBLISHED = ("bergamot-tiny", "bergamot-base-memory", "google", "microsoft", "argos", "opusmt", "nllb")
CLEAN = TextSettings()
SPOKEN = (
    "we should probably leave the house before six because the train to the city is often full and my brother"
    " wants to sit near the window"
)


def measure_listening(
    engines: Engines, spoken: Sequence[Sequence[str]], recordings: Path, *, quick: bool
) -> dict[str, Any]:
    """Return how many listed phrases are recognised, without the list and with each use of it.

    A voice of the catalogue speaks the phrases; the regression set is every real English recording, in which nobody
    says one: none may change.
    """
    spoken = spoken[:6] if quick else spoken
    listed = sorted({phrase for phrase, _ in spoken})
    corrected = PhraseList(listed, "en")
    sounds = [_spoken(engines, text) for _, text in spoken]
    real = [_whole(path) for path in sorted((recordings / "audioeval/audio/en").glob("*.wav"))]
    for path in sorted(recordings.glob("*.wav"))[: 1 if quick else None]:
        whole = _whole(path)
        real += [whole[n : n + 8 * SAMPLE_RATE] for n in range(0, len(whole) - SAMPLE_RATE, 5 * SAMPLE_RATE)]
    out = {}
    for model in engines.installed("asr"):
        if "en" not in {tag.split("-")[0] for tag in model.languages}:
            continue
        with Engines.open(Settings(models=ModelSettings(prefer={"asr:en": model.id}))) as preferring:
            recognizer = preferring.recognizer("en")
        if not isinstance(recognizer, PhraseRecognizer):
            continue

        def hear(sound: Samples, *phrases: str, ears: PhraseRecognizer = recognizer) -> str:
            return ears.session("en", phrases).recognize(sound, final=True).text

        counts = Counter[str]()
        for (phrase, _), sound in zip(spoken, sounds, strict=True):
            plainly, listening = hear(sound), hear(sound, *listed)
            counts["without"] += phrase in plainly
            counts["corrected"] += phrase in corrected.apply(plainly)
            counts["listened for"] += phrase in listening
            counts["both"] += phrase in corrected.apply(listening)
        changed = sum(hear(sound) != corrected.apply(hear(sound, *listed)) for sound in real)
        ways = ("without", "corrected", "listened for", "both")
        out[model.id] = {way: f"{counts[way]} of {len(spoken)}" for way in ways}
        out[model.id]["false corrections"] = f"{changed} of {len(real)}"
    return out


def _spoken(engines: Engines, text: str) -> Samples:
    voice = engines.synthesizer("en")
    sound = soxr.resample(np.concatenate(list(voice.stream(text))), voice.sample_rate, SAMPLE_RATE)
    return np.ascontiguousarray(np.pad(sound, SAMPLE_RATE // 4), np.float32)


def _whole(path: Path) -> Samples:
    return np.concatenate(list(read_blocks(path)))


def measure_partials(engines: Engines, recordings: Path, clips: int) -> dict[str, Any]:
    """Return the normalised erasure of partial translations: words taken back over words of the final.

    Arivazhagan et al., "Re-Translation Strategies for Long Form, Simultaneous, Spoken Language Translation" (2020).
    """
    out = {}
    files = [*sorted((recordings / "audioeval/audio/en").glob("*.wav"))[:clips], recordings / "two_cities.wav"]
    for steady in (True, False):
        settings = _english(steady=steady)
        events: list[Event] = []
        for file in files:
            _hear(engines, settings, file, events.append)
        shown: dict[str, list[str]] = {}
        erased = words = 0
        for event in events:
            if isinstance(event, PartialTranslation | Translation):
                now, before = event.text.split(), shown.get(event.utterance, [])
                same = sum(1 for _ in itertools.takewhile(lambda p: p[0] == p[1], zip(before, now, strict=False)))
                erased += len(before) - same
                shown[event.utterance] = now
                words += len(now) if isinstance(event, Translation) else 0
        out["steady" if steady else "every guess"] = {"erasure": round(erased / max(words, 1), 3), "words": words}
    return out


def measure_captions(engines: Engines, recordings: Path, clips: int) -> dict[str, Any]:
    """Return how far captions begin and end from the speech, in clips joined with silence between them."""
    errors: list[float] = []
    for file in sorted((recordings / "audioeval/audio/en").glob("*.wav"))[:clips]:
        sound = np.concatenate(list(read_blocks(file)))
        frames = np.sqrt(np.mean(sound[: len(sound) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
        loud = np.flatnonzero(frames > 0.05 * frames.max())
        events: list[Event] = []
        _hear(engines, _english(steady=True), file, events.append)
        cues = [
            cue for e in events if isinstance(e, Final)
            for cue in captions(Said(e.text, e.language, e.start, e.end, e.words), CaptionStyle())
        ]  # fmt: skip
        if cues and len(loud):
            errors += [abs(cues[0].start - loud[0] / 100), abs(cues[-1].end - loud[-1] / 100)]
    if not errors:
        return {}
    return {"en": {"mean error, ms": round(1000 * statistics.mean(errors)), "largest, ms": round(1000 * max(errors))}}


def measure_translation(engines: Engines, corpus: Path, limit: int | None) -> dict[str, Any]:
    """Return BLEU and chrF of the engine alone, of the text room before it, and of published systems."""
    import sacrebleu

    out: dict[str, Any] = {}
    for source, target in PAIRS:
        if not (read_sentences(corpus, source, 1) and read_sentences(corpus, target, 1)):
            continue
        try:
            (translator,) = TextTranslator.for_targets(engines, source, [target])
        except DragomanError:
            continue
        sources, references = read_pair(corpus, f"{source}-{target}", limit)

        def score(answers: list[str], references: list[str] = references) -> dict[str, Any]:
            bleu, chrf = sacrebleu.corpus_bleu(answers, [references]), sacrebleu.corpus_chrf(answers, [references])
            return {"BLEU": round(bleu.score, 2), "chrF": round(chrf.score, 2)}

        room = TextRoom(CLEAN)
        pair = f"{source}-{target}"
        alone, readable = [], []
        for sentence in sources:
            alone.append(translator.translate(sentence).text)
            # Side by side, since a sentence that is left as it is need not be translated twice.
            readable.append(room.shown(translator.translate(room.final(sentence, source).meant).text, target))
        out[f"{pair}, engine alone"] = score(alone)
        out[f"{pair}, with the text room"] = score(readable)
        for system in PUBLISHED:
            stored = corpus / f"{pair}.{system}.txt"
            if stored.is_file():
                out[f"{pair}, {system}"] = score(stored.read_text(encoding="utf-8").splitlines()[:limit])
    return out


def measure_speed(engines: Engines) -> dict[str, Any]:
    """Return milliseconds a sentence of 10 and 25 words: the text room, and each kind of translation."""
    words = SPOKEN.split()
    out: dict[str, Any] = {}
    room = TextRoom(TextSettings(profanity=Profanity.MASKED, phrases=("Dragoman", "Kubernetes")))
    everything = TextSettings(profanity=Profanity.MASKED, redact=tuple(Redaction))
    strict = TextRoom(everything)
    for count in (10, 25):
        said = [" ".join(["Um,", *words[:count]]) + f" {n}." for n in range(30)]
        row = out.setdefault(f"{count} words", {})
        row["display"] = _milliseconds(lambda s: display(s, "en", CLEAN), said)
        row["room"] = _milliseconds(lambda s: room.final(s, "en"), said)
        row["room, redacting"] = _milliseconds(lambda s: strict.final(s, "en"), said)
        for target in ("pt", "es", "ca", "gl"):
            try:
                (translator,) = TextTranslator.for_targets(engines, "en", [target])
            except DragomanError:
                continue
            translator.translate("Yes.")
            route = "→".join(translator.route)
            row[route] = _milliseconds(translator.translate, said)
    return out


def _milliseconds(call: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return how long a call takes that nothing disturbs: texts are of one length, and the quickest tenth counts."""
    took = []
    for text in texts:
        began = time.perf_counter()
        call(text)
        took.append(time.perf_counter() - began)
    return round(1000 * statistics.median(sorted(took)[: max(1, len(took) // 10)]), 2)


def _english(*, steady: bool) -> Settings:
    settings = Settings(
        directions=(DirectionSettings(source="en", targets=("pt",)),), speech=SpeechSettings(enabled=False)
    )
    return settings.model_copy(update={"partials": settings.partials.model_copy(update={"steady": steady})})


def _hear(engines: Engines, settings: Settings, file: Path, sink: Callable[[Event], None]) -> None:
    interpreter = Interpreter(engines, settings, sink)
    interpreter.begin_turn(hands_free=True)
    for block in read_blocks(file, block=512 / SAMPLE_RATE):
        interpreter.feed(block)
        interpreter.keep_up()
    interpreter.close()
