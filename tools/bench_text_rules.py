"""Of ``make bench-text``: what the rules of the text room do to written text, without any engine."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from device.config import Redaction
from device.text.fluency import remove_disfluencies
from device.text.identify import identify_text
from device.text.names import find_names
from device.text.numbers import write_numbers
from device.text.phrases import PhraseList
from device.text.profanity import ProfanityFilter
from device.text.punctuation import punctuate
from device.text.redaction import redact
from device.text.rules import fluency
from tools.bench_text_corpus import LANGUAGES, f1, read_sentences, words_of

SEED = 7


def measure_fluency(written: dict[str, list[list[str]]], corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return precision, recall and F1 of the words taken out, on written and on constructed sentences."""
    out = {f"{tag}, written": _removed(pairs, tag) for tag, pairs in written.items()}
    for tag in LANGUAGES:
        if sentences := read_sentences(corpus, tag, limit or 400):
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
        before, should, did = (Counter(words_of(t)) for t in (spoken, meant, cleaned))
        gone, due = before - did, before - should
        right += (gone & due).total()
        taken += gone.total()
        wanted += due.total()
        exact += words_of(cleaned) == words_of(meant)
    return {**f1(right, taken, wanted), "exact": f"{exact} of {len(pairs)}"}


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
        out[tag] = {**f1(right, taken, wanted), "sentences": len(sentences)}
    return out


def _places(sentence: str, match: re.Match[str]) -> range:
    """Return the places that a passage in braces has in the text without braces."""
    before = len(re.sub(r"[{}]", "", sentence[: match.start()]))
    return range(before, before + len(match[1]))


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
        if clean := read_sentences(corpus, tag, limit):
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
        if sentences := read_sentences(corpus, tag, limit):
            listed = PhraseList(sets["listed"], tag)
            changed = [s for s in sentences if listed.apply(s) != s]
            out.setdefault(tag, {})["false corrections"] = f"{len(changed)} of {len(sentences)}"
    return out


def measure_identification(corpus: Path | None, limit: int | None) -> dict[str, Any]:
    """Return how many texts are told to be in their language: whole sentences, and their first five words."""
    out = {}
    for tag in (*LANGUAGES, "ca", "zh"):
        if sentences := read_sentences(corpus, tag, limit):
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
        if sentences := read_sentences(corpus, tag, limit):
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
        sets[f"{tag}, corpus"] = read_sentences(corpus, tag, 200)
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
            "marks F1": f1(marks["right"], marks["taken"], marks["wanted"])["F1"],
            "capitals F1": f1(capitals["right"], capitals["taken"], capitals["wanted"])["F1"],
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
