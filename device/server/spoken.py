"""Spoken translations on a translation socket."""

from __future__ import annotations

from device.audio.resample import Resampler
from device.audio.wav import to_pcm16
from device.events import SAMPLE_RATE, Speech
from device.server.replies import Reply
from device.server.wave import wave_header


class SpokenTranslation:
    """Sends each utterance's speech as one WAVE stream of 16 kHz, 16 bits.

    The older messages (``translation.synthesis``) are used at every address: all SDKs read them, and the native one
    takes no more than about ten of the newer audio streams in one turn.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._resampler: Resampler | None = None

    def send(self, speech: Speech) -> None:
        """Send one piece."""
        header = b""
        if self._resampler is None:
            self._resampler = Resampler(speech.sample_rate, SAMPLE_RATE)
            header = wave_header(SAMPLE_RATE)
        self._data(header + to_pcm16(self._resampler.process(speech.samples)))

    def end(self, failure: str) -> None:
        """Say that the utterance has been spoken."""
        if self._resampler is not None:
            self._data(to_pcm16(self._resampler.flush()))
            self._resampler = None
        body = {"SynthesisStatus": "Error", "FailureReason": failure} if failure else {"SynthesisStatus": "Success"}
        self._reply("translation.synthesis.end", body)

    def _data(self, data: bytes) -> None:
        if data:
            self._reply("translation.synthesis", data)
