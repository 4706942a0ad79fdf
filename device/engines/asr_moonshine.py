"""Moonshine on onnxruntime: a recogniser for one language that takes the last partial as a draft of the next answer.

Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024) is an
encoder and an autoregressive decoder. While somebody talks, most of what is recognised was recognised a moment ago
already; so the last text is handed to the decoder as a draft (`device.engines.asr_moonshine_network`).

The catalogue entry names the graphs in the form that Moonshine publishes and the token table that is derived from its
vocabulary::

    [options]
    tokens_per_second = 6.5

    [options.files]
    encoder = "encoder_model.ort"
    decoder = "decoder_model_merged.ort"
    tokens = "tokens.txt"
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from device.engines.asr_bias import PhraseBias
from device.engines.asr_moonshine_network import Network
from device.engines.asr_sherpa_arguments import check_tokens
from device.engines.asr_whole import LONGEST_WHOLE, SHORTEST, WholeSession
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import Recognition, RecognitionSession, Recognizer
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

FILES: Final = ("encoder", "decoder", "tokens")
TOKENS_PER_SECOND: Final = 6.5
"""English is never denser; its makers allow 13 for languages that are spelt in bytes."""
SPARE: Final = 8
"""Tokens that even the shortest sound may have."""
SILENT: Final = 1e-5
"""Sound that varies less is none; a microphone's own noise varies more."""
LONGEST_BIASED: Final = 30 * SAMPLE_RATE
"""Longer utterances are decoded in pieces, and not listened to for phrases."""
_SPACE = "▁"


def load(model: Model, folder: Path, threads: int) -> Recognizer:
    """Load a model of engine ``moonshine``.

    Raises
    ------
    DragomanError
        The catalogue entry asks for something unknown, or a file is missing or damaged.
    """
    refuse_unknown_options(model, ("files", "tokens_per_second"))
    files = model.options.get("files", {})
    if not isinstance(files, Mapping) or set(files) != set(FILES):
        raise DragomanError(f"model {model.id}: [options.files] must name {', '.join(FILES)}")
    paths = {name: require_file(model, folder, str(files[name])) for name in FILES}
    check_tokens(model, paths["tokens"], encoded=True)
    try:
        network = Network(paths["encoder"], paths["decoder"], threads)
    except Exception as error:  # onnxruntime's own exceptions share no base but this
        reason = str(error).strip().partition("\n")[0]
        raise DragomanError(
            f"model {model.id} in {folder} cannot be loaded ({reason}); run `dragoman models verify`"
        ) from error
    pace = float(model.options.get("tokens_per_second", TOKENS_PER_SECOND))
    recognizer = MoonshineRecognizer(model, network, read_tokens(paths["tokens"]), pace)
    # The first decode allocates; nobody should wait for that.
    recognizer.session(min(recognizer.languages)).recognize(np.zeros(SAMPLE_RATE, np.float32), final=True)
    return recognizer


def read_tokens(path: Path) -> dict[int, bytes]:
    """Read a token table: a line ``symbol id`` a token, the symbol in base64."""
    table = {}
    for line in path.read_bytes().splitlines():
        symbol, _, number = line.rpartition(b" ")
        table[int(number)] = base64.b64decode(symbol)
    return table


class MoonshineRecognizer:
    """A loaded model of one language."""

    suits_partials = True
    incremental = False
    takes_phrases = True

    def __init__(self, model: Model, network: Network, tokens: Mapping[int, bytes], pace: float) -> None:
        self.model_id = model.id
        self.languages = frozenset(tag.split("-")[0] for tag in model.languages)
        self._network, self._tokens, self._pace = network, tokens, pace
        self._biases: dict[tuple[str, ...], PhraseBias] = {}

    def session(self, language: str, phrases: Sequence[str] = ()) -> RecognitionSession:
        """Begin an utterance spoken in ``language``; finals are listened to for the ``phrases`` too."""
        whole = WholeSession(_Decoder(self, language), language, costly=False)
        return _BiasedSession(whole, self, self._bias(tuple(phrases))) if phrases else whole

    def prepare(self, utterances: Sequence[tuple[RecognitionSession, Samples]]) -> None:
        """Decode several utterances in step; `recognize` with the same samples then finds it done."""
        rows: list[tuple[_Decoder, Samples]] = []
        for session, samples in utterances:
            decoder = getattr(session, "model", None)
            if isinstance(decoder, _Decoder) and SHORTEST <= len(samples) <= LONGEST_WHOLE:
                rows.append((decoder, finite(samples)))
        rows = [(decoder, samples) for decoder, samples in rows if np.ptp(samples) >= SILENT]
        if len(rows) < 2:
            return
        sounds = [self._network.encode(samples) for _, samples in rows]
        limits = [self._limit(samples) for _, samples in rows]
        for (decoder, samples), tokens in zip(rows, self._network.decode_together(sounds, limits), strict=True):
            decoder.prepared = len(samples), tokens

    def decode(self, samples: Samples, draft: Sequence[int]) -> list[int]:
        """Return the tokens of samples that are finite."""
        if np.ptp(samples) < SILENT:  # where it would say "You"
            return []
        return self._network.decode(samples, self._limit(samples), draft)

    def listen_for(self, bias: PhraseBias, samples: Samples, text: str) -> str | None:
        """Return what was said, if it is one of the phrases rather than ``text``."""
        samples = finite(samples)
        limit = self._limit(samples)
        sound = self._network.encode(samples)
        plain = self._network.decode_sound(sound, limit)
        biased = self._network.decode_sound(sound, limit, plain, bias)
        said = self.spell(biased)
        if biased == plain or self.spell(plain) != text or not bias.gained(text, said):
            return None
        scores = [self._network.score(sound, tokens) for tokens in (plain, biased)]
        return said if bias.better(text, scores[0], said, scores[1]) else None

    def _bias(self, phrases: tuple[str, ...]) -> PhraseBias:
        if phrases not in self._biases:
            self._biases = {phrases: PhraseBias(phrases, self._tokens)}
        return self._biases[phrases]

    def _limit(self, samples: Samples) -> int:
        return int(self._pace * len(samples) / SAMPLE_RATE) + SPARE

    def spell(self, tokens: Sequence[int]) -> str:
        """Return what tokens say."""
        spelt = b"".join(self._tokens.get(token, b"") for token in tokens)
        # A text that ends at the limit may end inside a character.
        return spelt.decode("utf-8", "ignore").replace(_SPACE, " ").strip()


class _Decoder:
    """Decodes one utterance as it grows: what it seemed to say before is the draft."""

    def __init__(self, recognizer: MoonshineRecognizer, language: str) -> None:
        self._recognizer, self._language = recognizer, language
        self._draft: list[int] = []
        self.prepared: tuple[int, list[int]] | None = None
        """How many samples were decoded already, and their tokens."""

    def __call__(self, samples: Samples) -> Recognition:
        prepared, self.prepared = self.prepared, None
        if prepared is not None and prepared[0] == len(samples):
            self._draft = prepared[1]
        else:
            self._draft = self._recognizer.decode(finite(samples), self._draft)
        return Recognition(self._recognizer.spell(self._draft), self._language)


class _BiasedSession:
    """Listens to finals once more, for phrases; partials are as they are without."""

    def __init__(self, whole: WholeSession, recognizer: MoonshineRecognizer, bias: PhraseBias) -> None:
        self._whole, self._recognizer, self._bias = whole, recognizer, bias
        self.model = whole.model

    def recognize(self, samples: Samples, *, final: bool) -> Recognition:
        recognition = self._whole.recognize(samples, final=final)
        if not final or not recognition.text or len(samples) > LONGEST_BIASED:
            return recognition
        said = self._recognizer.listen_for(self._bias, samples, recognition.text)
        return replace(recognition, text=said, words=()) if said else recognition
