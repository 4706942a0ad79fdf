"""Silero's voice activity detector on onnxruntime.

Silero VAD (https://github.com/snakers4/silero-vad), versions 4 and 5. It gives a speech probability per 32 ms frame
and keeps a recurrent state, so every conversation has an instance of its own; the network is one for all. A frame of
several conversations at once takes half the time of the same frames one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from device.config import EndpointSettings
from device.engines.modelfile import refuse_unknown_options, require_file
from device.engines.protocols import VoiceActivity
from device.engines.sessions import open_session
from device.engines.sound import finite
from device.errors import DragomanError
from device.events import SAMPLE_RATE, Samples
from device.modelstore.catalogue import Model

FRAME = 512
FILE = "silero_vad.onnx"
HYSTERESIS = 0.15
"""How far below the threshold the probability falls before speech is over."""
_CONTEXT = 64
"""Samples of the frame before that version 5 wants in front of the new ones; version 4 wants none."""
_STATES = {5: {"state": ("stateN", 128)}, 4: {"h": ("hn", 64), "c": ("cn", 64)}}
"""The recurrent inputs of each version, with the outputs that follow them, and their width."""


class Network:
    """The network of all conversations; safe to use from several threads.

    Raises
    ------
    ValueError
        It is not Silero's.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path, 1)
        inputs = {item.name for item in self._session.get_inputs()}
        version = next((v for v, states in _STATES.items() if {"input", "sr", *states} <= inputs), None)
        if version is None:
            raise ValueError("not a Silero VAD of version 4 or 5")
        self.context = _CONTEXT if version == 5 else 0
        self._states = _STATES[version]
        self._outputs = ["output", *(output for output, _ in self._states.values())]
        self._rate = np.array(SAMPLE_RATE, np.int64)

    def fresh_states(self) -> list[Samples]:
        """Return the states of one conversation that has heard nothing."""
        return [np.zeros((2, 1, width), np.float32) for _, width in self._states.values()]

    def are_speech(self, conversations: Sequence[SileroVad], frames: Sequence[Samples]) -> list[bool]:
        """Whether speech is going on in a frame of each of several conversations; none comes twice.

        Samples that are not finite count as silence: one of them would stay in the recurrent state for good.

        Raises
        ------
        ValueError
            A frame has not 512 samples.
        """
        windows = np.empty((len(frames), self.context + FRAME), np.float32)
        for window, conversation, frame in zip(windows, conversations, frames, strict=True):
            if frame.shape != (FRAME,):
                raise ValueError(f"a frame is {FRAME} samples, not {frame.shape}")
            window[: self.context] = conversation.context
            window[self.context :] = frame
        windows = finite(windows)
        states = [_side_by_side(parts) for parts in zip(*(each.states for each in conversations), strict=True)]
        feed = {"input": windows, "sr": self._rate, **dict(zip(self._states, states, strict=True))}
        probabilities, *states = self._session.run(self._outputs, feed)
        answers = []
        for number, conversation in enumerate(conversations):
            conversation.states = [state[:, number : number + 1].copy() for state in states]
            conversation.context = windows[number, FRAME:].copy()
            answers.append(conversation.decide(float(probabilities[number, 0])))
        return answers


def _side_by_side(states: Sequence[Samples]) -> Samples:
    return states[0] if len(states) == 1 else np.concatenate(states, axis=1)


class SileroVad:
    """One conversation's speech detector; used by one thread at a time.

    Speech begins with the second frame in a row whose probability is above the threshold, and goes on until the
    probability falls 0.15 below it. No other minimum duration of speech or silence is applied here.
    """

    frame = FRAME

    def __init__(self, model: Network, threshold: float) -> None:
        self.model = model
        self._threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self.context: Samples = np.zeros(self.model.context, np.float32)
        self.states = self.model.fresh_states()
        self._above = self._speech = False
        self.probability = 0.0

    def is_speech(self, frame: Samples) -> bool:
        """Whether speech is going on in this frame of 512 samples.

        Raises
        ------
        ValueError
            The frame has another length.
        """
        return self.model.are_speech((self,), (frame,))[0]

    def decide(self, probability: float) -> bool:
        """Account the probability of the next frame; return whether speech is going on."""
        self.probability = probability
        if probability > self._threshold:
            self._speech = self._speech or self._above
            self._above = True
        elif not self._speech or probability < self._threshold - HYSTERESIS:
            self._speech = self._above = False
        return self._speech


def load(model: Model, folder: Path, settings: EndpointSettings) -> VoiceActivity:
    """Make the detector of one conversation.

    Raises
    ------
    DragomanError
        The file is missing, damaged, or not a Silero model of version 4 or 5.
    """
    refuse_unknown_options(model, ())
    path = require_file(model, folder, FILE)
    try:
        network = _network(path, path.stat().st_mtime_ns)
    except ValueError as error:
        raise DragomanError(f"model {model.id}: {path} is {error}") from None
    except Exception as error:
        raise DragomanError(f"model {model.id}: {path} cannot be read; run `dragoman models verify`") from error
    return SileroVad(network, settings.threshold)


@lru_cache(maxsize=2)
def _network(path: Path, _changed: int) -> Network:
    return Network(path)
