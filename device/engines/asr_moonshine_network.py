"""Moonshine's two graphs on onnxruntime, and the loop that decodes with the last answer as a draft.

The decoder's time goes into reading its weights, once a step, however many tokens the step holds. So a draft is tried
a dozen tokens a step, and kept as far as the decoder would have written the same: speculative decoding (Leviathan et
al., "Fast Inference from Transformers via Speculative Decoding", 2023) with the last answer in place of a small model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.engines.asr_bias import PhraseBias
from device.engines.sessions import open_session
from device.events import Samples

DRAFT: Final = 16
"""Tokens of the draft that are tried in one step: more are seldom all right, and each one wrong costs a little."""
_BEGIN, _END = 1, 2


class Network:
    """The two graphs: samples in, the likeliest tokens out. Safe to use from several threads."""

    def __init__(self, encoder: Path, decoder: Path, threads: int) -> None:
        self._encoder = open_session(encoder, threads)
        self._decoder = open_session(decoder, threads)
        shapes = {item.name: item.shape for item in self._decoder.get_inputs()}
        cache = [name for name in shapes if name.startswith("past_key_values")]
        _, heads, _, width = shapes[cache[0]]
        self._empty = {name: np.zeros((1, heads, 0, width), np.float32) for name in cache}
        # Older models hear one sound at a time, and need not be told where it ends.
        self._masked = "encoder_attention_mask" in shapes
        self._outputs = [item.name for item in self._decoder.get_outputs()]
        # What is remembered of the sound is made in the first step and does not change.
        self._growing = [name for name in self._outputs if ".encoder." not in name]

    def decode(self, samples: Samples, limit: int, draft: Sequence[int] = ()) -> list[int]:
        """Return the likeliest tokens, one after the other, without the marks of beginning and end.

        Parameters
        ----------
        samples
            16 kHz mono within [-1, 1].
        limit
            The most tokens there may be.
        draft
            What the tokens may be. They are the same with any draft, but for the rounding of quantised weights.
        """
        return self.decode_sound(self.encode(samples), limit, draft)

    def encode(self, samples: Samples) -> dict[str, Any]:
        """Return what the decoder needs to know of the sound."""
        whole = np.ones((1, len(samples)), np.int64) if self._masked else None
        (sound,) = self._encoder.run(None, _given(input_values=samples[np.newaxis], attention_mask=whole))
        return _given(encoder_hidden_states=sound, encoder_attention_mask=whole)

    def score(self, sound: Mapping[str, Any], tokens: Sequence[int]) -> float:
        """Return how likely the model finds a text: the sum of its tokens' logarithmic probabilities."""
        logits = self._logits({**sound, **self._empty}, [_BEGIN, *tokens]).astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        chosen = logits[np.arange(len(tokens) + 1), [*tokens, _END]]
        return float(np.sum(chosen - np.log(np.exp(logits).sum(axis=-1))))

    def decode_sound(
        self, sound: Mapping[str, Any], limit: int, draft: Sequence[int] = (), bias: PhraseBias | None = None
    ) -> list[int]:
        """Do the same with sound that is encoded already, and prefer the phrases of ``bias``."""
        feed = {**sound, **self._empty}
        tokens: list[int] = []
        token, tried, place = _BEGIN, list(draft[:DRAFT]), 0
        while True:
            new = [token, *tried]
            choices = self._step(feed, new) if bias is None else self._biased_step(feed, new, tokens, bias)
            right = 0
            while right < len(tried) and choices[right] == tried[right]:
                right += 1
            tokens += tried[:right]
            token = int(choices[right])
            if token == _END or len(tokens) >= limit:
                return tokens[:limit]
            if right < len(tried):
                _forget(feed, len(tokens) + 1)
            tokens.append(token)
            # The draft goes on behind the next place that has this token; where there is none, the place stays.
            place += right
            if token in draft[place:]:
                place = draft.index(token, place) + 1
                tried = list(draft[place : place + DRAFT])
            else:
                tried = []

    def decode_together(self, sounds: Sequence[Mapping[str, Any]], limits: Sequence[int]) -> list[list[int]]:
        """Do the same with several sounds in step: four take little more of the decoder's time than one and a half.

        The answers are those of one by one, but for the rounding of quantised weights, whose scale they share.
        """
        feeds: list[dict[str, Any]] = []
        tokens: list[list[int]] = []
        for sound in sounds:  # the first step also makes what is remembered of the sound, which has its own length
            feeds.append({**sound, **self._empty})
            tokens.append([int(self._step(feeds[-1], [_BEGIN])[0])])
        going = list(range(len(sounds)))
        feed = _side_by_side(feeds)
        while True:
            stay = [row for row, n in enumerate(going) if tokens[n][-1] != _END and len(tokens[n]) < limits[n]]
            if not stay:
                return [found[:-1] if found[-1] == _END else found for found in tokens]
            if len(stay) < len(going):
                going = [going[row] for row in stay]
                feed = {name: value if name == "use_cache_branch" else value[stay] for name, value in feed.items()}
            feed["input_ids"] = np.array([[tokens[n][-1]] for n in going], np.int64)
            logits, *cache = self._decoder.run(self._growing, feed)
            for name, value in zip(self._growing[1:], cache, strict=True):
                feed[name.replace("present", "past_key_values")] = value
            for n, choice in zip(going, logits[:, -1].argmax(axis=-1), strict=True):
                tokens[n].append(int(choice))

    def _step(self, feed: dict[str, Any], tokens: Sequence[int]) -> NDArray[np.int64]:
        """Append ``tokens`` to what ``feed`` remembers; return the likeliest token after each of them."""
        best: NDArray[np.int64] = self._logits(feed, tokens).argmax(axis=-1)
        return best

    def _biased_step(
        self, feed: dict[str, Any], tokens: Sequence[int], text: Sequence[int], bias: PhraseBias
    ) -> NDArray[np.int64]:
        """Do the same and prefer phrases; ``text`` is what was decoded so far, with the first of ``tokens``."""
        logits = self._logits(feed, tokens)
        for number in range(len(tokens)):
            bias.add(logits[number], bias.spell([*text, *tokens[1 : number + 1]]))
        best: NDArray[np.int64] = logits.argmax(axis=-1)
        return best

    def _logits(self, feed: dict[str, Any], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Append ``tokens`` to what ``feed`` remembers; return the scores of what follows each of them."""
        first = not feed["past_key_values.0.encoder.key"].shape[2]
        feed["input_ids"] = np.array([tokens], np.int64)
        feed["use_cache_branch"] = np.array([not first])
        names = self._outputs if first else self._growing
        logits, *cache = self._decoder.run(names, feed)
        for name, value in zip(names[1:], cache, strict=True):
            feed[name.replace("present", "past_key_values")] = value
        scores: NDArray[np.float32] = logits[0]
        return scores


def _given(**inputs: Any) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if value is not None}


def _side_by_side(feeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several decodings remember, after as many tokens each, as one batch; shorter sounds are filled up."""
    together: dict[str, Any] = {"use_cache_branch": np.array([True])}
    for name in feeds[0]:
        if name not in ("use_cache_branch", "input_ids"):
            axis = 1 if name.startswith("encoder_") else 2
            values = [feed[name] for feed in feeds]
            longest = max(value.shape[axis] for value in values)
            together[name] = np.concatenate([_filled(value, axis, longest) for value in values])
    return together


def _filled(value: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    missing = [(0, length - size if n == axis else 0) for n, size in enumerate(value.shape)]
    return np.pad(value, missing)


def _forget(feed: dict[str, Any], length: int) -> None:
    """Cut what ``feed`` remembers of the text to its first ``length`` tokens."""
    for name, value in feed.items():
        if name.startswith("past_key_values") and ".decoder." in name:
            feed[name] = value[:, :, :length]
