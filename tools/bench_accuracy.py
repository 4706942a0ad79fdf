"""How right it is: word error rate on the recordings with transcripts, BLEU on a parallel text where there is one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from device.engines.protocols import Translator
from device.engines.registry import Engines
from device.errors import DragomanError
from tools.bench_engines import reference_engine
from tools.bench_recordings import read
from tools.bleu import find_corpus, score_pairs

TWO_CITIES = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of
Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing
before us, we were all going direct to Heaven, we were all going direct the other way: in short, the period was so
far like the present period, that some of its noisiest authorities insisted on its being received, for good or for
evil, in the superlative degree of comparison only.
"""
"""What is read in two_cities.wav: the beginning of Dickens's novel."""
WITHOUT_SPACES = ("ja", "zh")


def word_error_rates(engines: Engines, folder: Path, languages: tuple[str, ...] | None) -> dict[str, float]:
    """Return the word error rate by language (of characters in Japanese and Chinese), and ``en_reader``.

    The clips say a greeting, a pangram and the numbers to ten; ``en_reader`` is two_cities.wav. Case and
    punctuation do not count, and a digit is as good as its word.
    """
    import jiwer

    rates = {}
    for spoken in sorted((folder / "audioeval" / "audio").iterdir()):
        language = spoken.name
        if languages is not None and language not in languages:
            continue
        try:
            recognizer = engines.recognizer(language)
        except DragomanError:
            continue
        clips = [(path, path.with_suffix(".txt").read_text(encoding="utf-8")) for path in sorted(spoken.glob("*.wav"))]
        numbers = _numbers([said for _, said in clips], language)
        said = [normalise(text, language, numbers) for _, text in clips]
        heard = [
            normalise(recognizer.session(language).recognize(read(path), final=True).text, language, numbers)
            for path, _ in clips
        ]
        rates[language] = float(jiwer.wer(said, heard))
    recognizer = engines.recognizer("en")
    heard_reader = recognizer.session("en").recognize(read(folder / "two_cities.wav"), final=True).text
    rates["en_reader"] = float(jiwer.wer(normalise(TWO_CITIES, "en", {}), normalise(heard_reader, "en", {})))
    return rates


def normalise(text: str, language: str, numbers: dict[str, str]) -> str:
    """Return the words alone, in lower case, with digits as words; characters where there are no spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    spelt = r"10|\d" if language in WITHOUT_SPACES else r"\d+"
    text = re.sub(spelt, lambda match: f" {numbers.get(match[0], match[0])} ", text)
    text = "".join(character if _is_letter(character) else " " for character in text)
    return " ".join("".join(text.split()) if language in WITHOUT_SPACES else text.split())


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _numbers(texts: list[str], language: str) -> dict[str, str]:
    """Return the words of the numbers to ten, taken from the transcript that counts."""
    counted = [normalise(text, language, {}).split() for text in texts]
    return next(({str(n): word for n, word in enumerate(words, 1)} for words in counted if len(words) == 10), {})


def bleu(engines: Engines, limit: int | None) -> dict[str, dict[str, float]]:
    """Return BLEU by pair, ours and the reference engine's; nothing where there is no corpus."""
    corpus = find_corpus(Path(__file__))
    if corpus is None:
        return {}
    out = {}
    for pair in ("en-pt", "pt-en"):
        (model_id,) = engines.route(*pair.split("-")).model_ids
        translator = engines.translator(model_id)

        def translate(texts: Sequence[str], engine: Translator = translator) -> list[str]:
            return [answer.text for answer in engine.translate(texts)]

        out[pair] = {"ours": score_pairs(corpus, {pair: translate}, limit=limit)[pair].bleu}
        if reference := reference_engine(pair):

            def refer(texts: Sequence[str], engine: Callable[[str], str] = reference) -> list[str]:
                return [engine(text) for text in texts]

            out[pair]["reference"] = score_pairs(corpus, {pair: refer}, limit=limit)[pair].bleu
    return out
