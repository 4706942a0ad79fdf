"""Measures every installed voice: loudness, true peak, pace, and where words and pitch are against what was asked.

    python -m tools.bench_voices [VOICE …] [--sentences FILE] [--output build/bench-voices.json]

``gain`` is what the catalogue should say of a voice (``[[speakers]]``): with it, the sentences below have the
loudness of all speech, `device.engines.tts_loudness.TARGET`. ``--sentences`` measures on others, one a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from device.audio.loudness import integrated_loudness, true_peak
from device.config import load_settings
from device.engines.protocols import Synthesizer
from device.engines.registry import Engines
from device.engines.tts_loudness import TARGET
from device.engines.tts_pitch import change_pitch, fundamental
from device.engines.tts_reader import Boundary, Reader, Sound
from device.errors import DragomanError
from device.events import Samples
from device.modelstore.catalogue import primary
from device.text.ssml import parse_ssml
from device.text.ssml_script import write_script

SENTENCES = {
    "en": [
        "We will meet tomorrow at the old railway station near the river.",
        "Could you tell me where I find a doctor?",
        "My brother has worked here for many years, and he likes it.",
        "The soup is too hot, please wait a moment.",
    ],
    "pt": [
        "Vamos nos encontrar amanhã na velha estação de trem perto do rio.",
        "Você pode me dizer onde encontro um médico?",
        "Meu irmão trabalha aqui há muitos anos, e gosta disso.",
        "A sopa está quente demais, espere um momento.",
    ],
    "es": [
        "Nos veremos mañana en la vieja estación de tren cerca del río.",
        "¿Puede decirme dónde encuentro un médico?",
        "Mi hermano trabaja aquí desde hace muchos años, y le gusta.",
        "La sopa está muy caliente, espere un momento.",
    ],
    "fr": [
        "Nous nous verrons demain à la vieille gare près de la rivière.",
        "Pouvez-vous me dire où je trouve un médecin ?",
        "Mon frère travaille ici depuis des années, et cela lui plaît.",
        "La soupe est trop chaude, attendez un instant.",
    ],
    "it": [
        "Ci vediamo domani alla vecchia stazione vicino al fiume.",
        "Può dirmi dove trovo un medico?",
        "Mio fratello lavora qui da molti anni, e gli piace.",
        "La minestra è troppo calda, aspetti un momento.",
    ],
    "de": [
        "Wir treffen uns morgen am alten Bahnhof in der Nähe des Flusses.",
        "Können Sie mir sagen, wo ich einen Arzt finde?",
        "Mein Bruder arbeitet seit vielen Jahren hier, und es gefällt ihm.",
        "Die Suppe ist zu heiß, warten Sie bitte.",
    ],
    "hi": ["हम कल नदी के पास पुराने स्टेशन पर मिलेंगे।", "क्या आप बता सकते हैं कि डॉक्टर कहाँ मिलेगा?"],
}
BREAK = 0.5
PITCHES = (0.8, 1.2)


def main(arguments: list[str] | None = None) -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", nargs="*", help="ids or names; all installed ones by default")
    parser.add_argument("--sentences", type=Path, help="a file with sentences in the voices' language")
    parser.add_argument("--output", type=Path, default=Path("build/bench-voices.json"))
    asked = parser.parse_args(arguments)
    own = asked.sentences.read_text("utf-8").splitlines() if asked.sentences else []
    found = []
    with Engines.open(load_settings(None, {})) as engines:
        voices = [v for v in engines.voices() if not asked.voices or any(map(v.answers_to, asked.voices))]
        if not voices:
            raise DragomanError("no such voice is installed")
        print(f"{'voice':<26}{'gain':>6}{'LUFS':>8}{'dBTP':>7}{'pace':>7}{'break':>8}{'pitch':>8}")
        for voice in voices:
            sentences = own or SENTENCES.get(primary(voice.language), SENTENCES["en"])
            made = measure(engines.synthesizer(voice.language, voice.id), sentences)
            found.append({"voice": voice.id, "language": voice.language} | made)
            print(
                f"{voice.id:<26}{made['gain']:>6.1f}{made['loudness']:>8.2f}{made['true_peak']:>7.2f}"
                f"{made['rtf']:>7.2f}{1000 * made['break_error_s']:>5.0f} ms{100 * made['pitch_error']:>6.1f} %",
                flush=True,
            )
    spread = [voice["loudness"] for voice in found]
    print(f"{len(found)} voices, {min(spread):.2f} to {max(spread):.2f} LUFS; target {TARGET:g}")
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps({"target": TARGET, "voices": found}, indent=1) + "\n", encoding="utf-8")


def measure(voice: Synthesizer, sentences: list[str]) -> dict[str, Any]:
    """Return the figures of one voice."""
    began = time.process_time()
    spoken = [np.concatenate(list(voice.stream(sentence))) for sentence in sentences]
    took = time.process_time() - began
    whole = np.concatenate(spoken)
    rate = voice.sample_rate
    loudness = integrated_loudness(whole, rate)
    return {
        "gain": round(float(getattr(voice, "gain", 0.0)) + TARGET - loudness, 2),
        "loudness": round(loudness, 2),
        "true_peak": round(true_peak(whole, rate), 2),
        "rtf": round(took / (len(whole) / rate), 3),
        "break_error_s": round(break_error(voice, sentences[0]), 4),
        "pitch_error": round(pitch_error(spoken[0], rate), 4),
    }


def break_error(voice: Synthesizer, sentence: str) -> float:
    """Return by how many seconds a break between two sentences is not what was asked for."""
    reader = Reader(lambda _: voice)
    parts = parse_ssml(f'<speak>{sentence}<break time="{BREAK}s"/>{sentence}</speak>')
    spoken = [s for item in write_script(parts, lambda _: voice.language) for s in reader.read(item)]
    sound = np.concatenate([s.samples for s in spoken if isinstance(s, Sound)])
    second = [s for s in spoken if isinstance(s, Boundary) and s.kind == "SentenceBoundary"][1]
    hop = voice.sample_rate // 200
    level = np.sqrt(np.mean(sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-45 / 20)) * hop / voice.sample_rate
    gaps = np.diff(loud)
    at = int(np.argmin(np.abs(loud[1:] - second.start)))
    near = gaps[max(0, at - 20) : at + 20]
    return float(near.max() - hop / voice.sample_rate - BREAK)


def pitch_error(sound: Samples, rate: int) -> float:
    """Return the largest relative error of the pitch after changing it."""
    _, before = fundamental(sound, rate)
    errors = [0.0]
    for factor in PITCHES:
        _, after = fundamental(change_pitch(sound, rate, factor), rate)
        both = (before > 0) & (after > 0)
        if both.any():
            errors.append(abs(float(np.median(after[both] / before[both])) / factor - 1))
    return max(errors)


if __name__ == "__main__":
    try:
        main()
    except DragomanError as error:
        sys.exit(f"bench_voices: {error}")
