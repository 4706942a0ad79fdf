"""Small deterministic engines for tests of the plumbing: every word is a tone, so nothing needs a model."""

from __future__ import annotations

import threading

import numpy as np

from device.engines.protocols import Recognition, SpeechPiece, Translated
from device.engines.routes import Route
from device.engines.scheduler import Meter, Scheduler
from device.errors import DragomanError
from device.events import SAMPLE_RATE

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten,", "stop.", "go;"]
SYLLABLE = 0.288
"""Seconds of a word: nine frames of voice activity."""
RATE = 16_000


def speak(text: str, gap: float = 0.064) -> np.ndarray:
    """Return the sound of words: a tone each, with a short gap between them."""
    parts = []
    t = np.arange(int(SYLLABLE * SAMPLE_RATE)) / SAMPLE_RATE
    ramp = np.minimum(1, np.minimum(t, t[::-1]) / 0.03)
    for word in text.split():
        tone = 0.3 * np.sin(2 * np.pi * (400 + 150 * WORDS.index(word)) * t) * ramp
        parts += [tone, np.zeros(int(gap * SAMPLE_RATE))]
    return np.concatenate(parts[:-1]).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


class ToneVadModel:
    """Hears a loud frame of each of several conversations."""

    def are_speech(self, conversations, frames):
        return [each.is_speech(frame) for each, frame in zip(conversations, frames, strict=True)]


class ToneVad:
    frame = 512
    probability = 1.0
    model = ToneVadModel()

    def is_speech(self, frame):
        return bool(np.sqrt(np.mean(frame**2)) > 0.02)

    def reset(self):
        pass


class ToneRecognizer:
    """Hears each run of a tone as a word."""

    model_id = "tones"
    languages = frozenset({"en"})
    suits_partials = True
    incremental = False

    def __init__(self):
        self.calls = []
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def session(self, language):
        assert language == "en"
        return self

    def recognize(self, samples, *, final):
        assert self.gate.wait(30)
        if self.error:
            raise self.error
        self.calls.append((len(samples), final))
        heard, frame = [], 512
        for i in range(0, len(samples) - frame + 1, frame):
            part = samples[i : i + frame]
            word = None
            if np.sqrt(np.mean(part**2)) > 0.05:
                peak = np.argmax(np.abs(np.fft.rfft(part * np.hanning(frame), 8192))) * SAMPLE_RATE / 8192
                index = round((peak - 400) / 150)
                word = WORDS[index] if 0 <= index < len(WORDS) else None
            heard.append(word)
        words = [w for i, w in enumerate(heard) if w and (i == 0 or heard[i - 1] != w)]
        return Recognition(" ".join(words), "en", confidence=1.0)


class UpperTranslator:
    """Translates into capitals, so that what was translated can be told."""

    source, target = "en", "pt"

    def __init__(self, model_id="capitals"):
        self.model_id = model_id
        self.asked = []
        self.error = None

    def translate(self, sentences):
        if self.error:
            raise self.error
        self.asked += sentences
        return [Translated(s.upper(), -0.1) for s in sentences]


class BeepVoice:
    """Speaks two pieces a clause, each as long as the clause has letters."""

    model_id, language, voice, sample_rate = "beeps", "pt", "Beep", RATE

    def __init__(self):
        self.asked = []
        self.error = None

    def stream(self, text):
        self.asked.append(text)
        if self.error:
            raise self.error
        for _ in range(2):
            yield np.full(len(text) * 100, 0.1, np.float32)

    def speak(self, words):
        """Speak words, each as long as it has letters, with no silence around them."""
        text = " ".join(word.text for word in words)
        parts = list(self.stream(text))
        lengths = np.array([len(word.text) * 200 / word.rate / RATE for word in words])
        ends = np.cumsum(lengths)
        times = tuple(zip((ends - lengths).tolist(), ends.tolist(), strict=True))
        whole = np.full(round(float(ends[-1]) * RATE), 0.1, np.float32) if parts else np.zeros(0, np.float32)
        yield SpeechPiece(whole[: len(whole) // 2], times)
        yield SpeechPiece(whole[len(whole) // 2 :])


class SmallEngines:
    """Stands where `device.engines.registry.Engines` stands."""

    def __init__(self, workers=2):
        self.scheduler, self.meter = Scheduler(workers), Meter()
        self.asr, self.mt, self.tts = ToneRecognizer(), UpperTranslator(), BeepVoice()

    def punctuator(self, language):
        return None

    def recognizer(self, language):
        if language != "en":
            raise DragomanError(f"no recogniser for {language!r} is installed")
        return self.asr

    def synthesizer(self, language, voice=None):
        return self.tts

    def route(self, source, target):
        return Route((source, target), ("capitals",))

    def translator(self, model_id):
        return self.mt

    def vad(self, settings):
        return ToneVad()

    def tidy(self):
        pass

    def close(self):
        self.scheduler.close()
