"""``make bench-text``: what the text room gains, what it costs, and what it must not touch.

Prints tables and writes ``build/bench-text.json``. Scores of translation are sacrebleu's on the development corpus,
beside what published systems made of it; everything else is asked from ``tools/bench_text_sets.toml`` and from the
real recordings.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import statistics
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from rich.console import Console
from rich.table import Table

from device.audio.files import read_blocks
from device.config import DirectionSettings, ModelSettings, Profanity, Redaction, Settings, SpeechSettings, TextSettings
from device.engines.protocols import PhraseRecognizer
from device.engines.registry import Engines
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Event, Final, PartialTranslation, Samples, Translation
from device.interpreter import Interpreter
from device.modelstore.store import open_store
from device.text.captions import CaptionStyle, Said, captions
from device.text.fluency import remove_disfluencies
from device.text.identify import identify_text
from device.text.names import find_names
from device.text.numbers import write_numbers
from device.text.phrases import PhraseList
from device.text.profanity import ProfanityFilter
from device.text.punctuation import punctuate
from device.text.redaction import redact
from device.text.room import TextRoom
from device.text.rules import fluency
from device.text.truetext import display
from device.translation import TextTranslator
from tools.bleu import find_corpus, read_pair

OUTPUT = Path("build/bench-text.json")
SETS = Path(__file__).with_name("bench_text_sets.toml")
TARGETS = {"erasure": 0.2, "false_corrections": 0, "en-es BLEU": 19.0}
SEED = 7
PAIRS = (
    ("en", "pt"), ("pt", "en"), ("zh", "pt"), ("en", "es"), ("en", "ca"), ("en", "gl"),
    ("pt", "es"), ("es", "pt"), ("es", "ca"), ("es", "gl"),
)  # fmt: skip
LANGUAGES = ("en", "pt", "es", "fr", "de", "it")
PUBLISHED = ("bergamot-tiny", "bergamot-base-memory", "google", "microsoft", "argos", "opusmt", "nllb")
CLEAN = TextSettings()
SPOKEN = (
    "we should probably leave the house before six because the train to the city is often full and my brother"
    " wants to sit near the window"
)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-text", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundred sentences and two recordings")
    parser.add_argument("--sentences", type=int, help="only so many sentences of the corpus")
    parser.add_argument("--corpus", type=Path, help="folder of parallel text, a file a language [beside the checkout]")
    parser.add_argument("--only", action="append", metavar="PART", help="measure this part, and keep what is written")
    parser.add_argument("--note", help="what is to be known about the circumstances; the README shows it")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    console = Console(highlight=False, width=110)
    limit = 100 if options.quick else options.sentences
    sets = tomllib.loads(SETS.read_text(encoding="utf-8"))
    corpus = options.corpus or find_corpus(Path.cwd())
    began = time.monotonic()
    result: dict[str, Any] = {}
    if options.only and options.output.is_file():
        result = json.loads(options.output.read_text(encoding="utf-8"))
    quick = options.quick
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "fluency": lambda: measure_fluency(sets["fluency"], corpus, limit),
        "fluency_annotated": lambda: measure_annotated(sets["annotated"]),
        "numbers": lambda: measure_numbers(sets["numbers"]),
        "profanity": lambda: measure_profanity(sets["profanity"], corpus, limit),
        "phrases": lambda: measure_phrases(sets["phrases"], corpus, limit),
        "names": lambda: measure_names(sets["names"]),
        "redaction_false_hits": lambda: measure_redaction(corpus, limit),
        "identification": lambda: measure_identification(corpus, limit),
    }
    try:
        with Engines.open(Settings()) as engines:
            recordings = open_store(Settings()).path("recordings")
            measures |= {
                "writing": lambda: measure_writing(recordings, corpus),
                "listening": lambda: measure_listening(engines, sets["phrases"]["spoken"], recordings, quick=quick),
                "partials": lambda: measure_partials(engines, recordings, 2 if quick else 8),
                "captions": lambda: measure_captions(engines, recordings, 3 if quick else 8),
                "translation": lambda: measure_translation(engines, corpus, limit) if corpus else {},
                "milliseconds": lambda: measure_speed(engines),
            }
            wanted = options.only or list(measures)
            if unknown := set(wanted) - set(measures):
                parser.error(f"there is no part {', '.join(sorted(unknown))}; known: {', '.join(measures)}")
            for name in wanted:
                result[name] = measures[name]()
                console.print(_table(name, result[name]))
    except DragomanError as error:
        console.print(f"bench-text: {error}")
        return 1
    result["targets"] = TARGETS
    if options.note:
        result["note"] = options.note
    result["seconds"] = round(time.monotonic() - began, 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(f"[dim]written to {options.output} after {result['seconds']:.0f} s[/dim]")
    return 0


def measure_fluency(written: dict[str, list[list[str]]], corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return precision, recall and F1 of the words taken out, on written and on constructed sentences."""
    out = {f"{tag}, written": _removed(pairs, tag) for tag, pairs in written.items()}
    for tag in LANGUAGES:
        if sentences := _sentences(corpus, tag, limit or 400):
            out[f"{tag}, constructed"] = _removed(list(disturbed(sentences, tag)), tag)
            clean = [s for s in sentences if remove_disfluencies(s, tag) != s]
            out[f"{tag}, constructed"]["fluent sentences changed"] = f"{len(clean)} of {len(sentences)}"
    return out


def disturbed(sentences: Iterable[str], language: str) -> Iterable[list[str]]:
    """Give sentences with hesitations, repetitions and broken words put in, each with itself."""
    rules = fluency(language)
    assert rules is not None
    chance = random.Random(SEED)
    fillers = sorted(rules.hesitations)
    for sentence in sentences:
        words = sentence.split()
        spoken: list[str] = []
        for place, word in enumerate(words):
            kind = chance.random()
            if kind < 0.05:
                spoken.append(chance.choice(fillers))
            elif kind < 0.08 and word.lower() in rules.small and word.isalpha():
                spoken.append(word)
            elif kind < 0.10 and place + 1 < len(words) and word.isalpha() and word.lower() in rules.small:
                spoken += [word, words[place + 1]] if words[place + 1].isalpha() else []
            elif kind < 0.12 and len(word) > 5 and word.isalpha():
                spoken.append(word[:2] + "-")
            spoken.append(word)
        yield [" ".join(spoken), sentence]


def _removed(pairs: Sequence[Sequence[str]], language: str) -> dict[str, Any]:
    right = taken = wanted = exact = 0
    for spoken, meant in pairs:
        cleaned = remove_disfluencies(spoken, language)
        before, should, did = (Counter(_bare(t)) for t in (spoken, meant, cleaned))
        gone, due = before - did, before - should
        right += (gone & due).total()
        taken += gone.total()
        wanted += due.total()
        exact += _bare(cleaned) == _bare(meant)
    return {**_f1(right, taken, wanted), "exact": f"{exact} of {len(pairs)}"}


def measure_annotated(sets: dict[str, list[str]]) -> dict[str, Any]:
    """Return precision, recall and F1 of the words taken out of sentences annotated as the Switchboard treebank is."""
    return {tag: _removed([list(plain(text)) for text in texts], tag) for tag, texts in sets.items()}


def plain(annotated: str) -> tuple[str, str]:
    """Return an annotated sentence as it was spoken, and as it was meant.

    ``[ a + {F uh, } b ]`` is spoken "a uh, b" and meant "b".
    """
    spoken, meant, depth, taken_back = [], [], 0, 0
    for token in re.findall(r"\{[A-Z]|\[|\+|[\]}]|[^\s{}\[\]+]+", annotated):
        if token == "[":
            taken_back += 1
        elif token == "+":
            taken_back -= 1
        elif token == "]":
            pass
        elif token[0] == "{":
            depth += 1
        elif token == "}":
            depth -= 1
        else:
            spoken.append(token)
            if not depth and not taken_back:
                meant.append(token)
    return " ".join(spoken), " ".join(meant)


def measure_names(sets: dict[str, list[str]]) -> dict[str, Any]:
    """Return precision and recall of the words found to be names of people, in sentences with braces around them."""
    out = {}
    for tag, sentences in sets.items():
        right = taken = wanted = 0
        for sentence in sentences:
            text = re.sub(r"[{}]", "", sentence)
            named = {n for m in re.finditer(r"\{([^}]*)\}", sentence) for n in _places(sentence, m)}
            words = {(m.start(), m.end()) for m in re.finditer(r"[^\W\d_]+", text)}
            spans, _ = find_names(text, tag)
            found = {w for w in words if any(a <= w[0] and w[1] <= b for a, b in spans)}
            due = {w for w in words if w[0] in named}
            right, taken, wanted = right + len(found & due), taken + len(found), wanted + len(due)
        out[tag] = {**_f1(right, taken, wanted), "sentences": len(sentences)}
    return out


def _places(sentence: str, match: re.Match[str]) -> range:
    """Return the places that a passage in braces has in the text without braces."""
    before = len(re.sub(r"[{}]", "", sentence[: match.start()]))
    return range(before, before + len(match[1]))


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


def measure_numbers(sets: dict[str, dict[str, list[list[str]]]]) -> dict[str, Any]:
    """Return how many spoken numbers of each class are written exactly."""
    out = {}
    for kind, languages in sets.items():
        asked = [(tag, *pair) for tag, pairs in languages.items() for pair in pairs]
        wrong = [
            (spoken, write_numbers(spoken, tag)) for tag, spoken, right in asked if write_numbers(spoken, tag) != right
        ]
        out[kind] = {"exact": f"{len(asked) - len(wrong)} of {len(asked)}", "wrong": wrong}
    return out


def measure_profanity(sets: dict[str, list[str]], corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return how many offensive sentences are noticed, and how many of the corpus are taken for such."""
    out: dict[str, Any] = {}
    for tag, sentences in sets.items():
        words = ProfanityFilter(tag)
        hit = sum(bool(words.find(s)) for s in sentences)
        out[tag] = {"recall": round(hit / len(sentences), 3), "sentences": len(sentences)}
        if clean := _sentences(corpus, tag, limit):
            false = [clean[n][a:b] for n in range(len(clean)) for a, b in words.find(clean[n])]
            out[tag] |= {
                "precision": round(hit / (hit + len(false)), 3), "hits in news and wiki": false, "of": len(clean),
            }  # fmt: skip
    return out


def measure_phrases(sets: dict[str, Any], corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return how many misheard phrases are put right, and how many correct sentences are changed."""
    phrases = PhraseList(sets["listed"], "en")
    right = [heard for heard, meant in sets["heard"] if phrases.apply(heard) == meant]
    out: dict[str, Any] = {"en": {"put right": f"{len(right)} of {len(sets['heard'])}"}}
    for tag in LANGUAGES:
        if sentences := _sentences(corpus, tag, limit):
            listed = PhraseList(sets["listed"], tag)
            changed = [s for s in sentences if listed.apply(s) != s]
            out.setdefault(tag, {})["false corrections"] = f"{len(changed)} of {len(sentences)}"
    return out


def measure_identification(corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return how many texts are told to be in their language: whole sentences, and their first five words."""
    out = {}
    for tag in (*LANGUAGES, "ca", "zh"):
        if sentences := _sentences(corpus, tag, limit):
            row = {}
            for name, count in (("sentences", None), ("five words", 5)):
                texts = [" ".join(s.split()[:count]) if tag != "zh" or count is None else s[:8] for s in sentences]
                told = [identify_text(text) for text in texts]
                right = sum(bool(languages) and languages[0][0] == tag for languages in told)
                row[name] = round(right / len(texts), 3)
            out[tag] = row
    return out


def measure_redaction(corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return how much is taken out of text that names nobody's numbers."""
    out = {}
    numbers = [kind for kind in Redaction if kind is not Redaction.NAME]
    for tag in LANGUAGES:
        if sentences := _sentences(corpus, tag, limit):
            hit = [s for s in sentences if redact(s, tag, numbers) != s]
            out[tag] = {"sentences changed": f"{len(hit)} of {len(sentences)}"}
    return out


def measure_writing(recordings: Path, corpus: Path | None) -> dict[str, Any]:
    """Return F1 of capitals and marks put back into text stripped of both.

    The transcripts of the recordings are short, as people speak; the corpus has long sentences of news and wikis.
    """
    sets = {}
    for tag in LANGUAGES:
        sets[f"{tag}, recordings"] = [
            f.read_text(encoding="utf-8").strip() for f in sorted((recordings / f"audioeval/audio/{tag}").glob("*.txt"))
        ]
        sets[f"{tag}, corpus"] = _sentences(corpus, tag, 200)
    out = {}
    for name, texts in sets.items():
        if not texts:
            continue
        tag = name[:2]
        marks, capitals = Counter[str](), Counter[str]()
        for text in texts:
            written = punctuate(re.sub(r"[.,!?;:…¿¡]", "", text).lower(), tag)
            _count(marks, _marks(text), _marks(written))
            _count(capitals, _capitals(text), _capitals(written))
        out[name] = {
            "marks F1": _f1(marks["right"], marks["taken"], marks["wanted"])["F1"],
            "capitals F1": _f1(capitals["right"], capitals["taken"], capitals["wanted"])["F1"],
            "sentences": len(texts),
        }
    return out


def _count(counter: Counter[str], wanted: set[tuple[int, str]], taken: set[tuple[int, str]]) -> None:
    counter.update(right=len(wanted & taken), wanted=len(wanted), taken=len(taken))


def _marks(text: str) -> set[tuple[int, str]]:
    """Return the marks after words, each with the word's number; exclamation marks count as full stops."""
    found = ((n, re.findall(r"[.,!?]", word)[-1:]) for n, word in enumerate(text.split()))
    return {(n, marks[0].replace("!", ".")) for n, marks in found if marks}


def _capitals(text: str) -> set[tuple[int, str]]:
    return {(n, "") for n, word in enumerate(text.split()) if word.strip("¿¡\"'(")[:1].isupper()}


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
        if not (_sentences(corpus, source, 1) and _sentences(corpus, target, 1)):
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


def _sentences(corpus: Path | None, language: str, limit: int | None) -> list[str]:
    """Return sentences of the corpus, none where it has not the language."""
    file = corpus / f"{language}.txt" if corpus is not None else None
    if file is None or not file.is_file():
        return []
    return file.read_text(encoding="utf-8").splitlines()[:limit]


def _bare(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def _f1(right: int, taken: int, wanted: int) -> dict[str, float]:
    precision, recall = right / taken if taken else 1.0, right / wanted if wanted else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": round(precision, 3), "recall": round(recall, 3), "F1": round(f1, 3)}


def _table(name: str, rows: dict[str, Any]) -> Table:
    table = Table(title=name, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows.values() if isinstance(row, dict) for key in row))
    table.add_column("")
    for column in columns:
        table.add_column(column)
    for key, row in rows.items():
        table.add_row(key, *(str(row.get(column, "")) for column in columns))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
