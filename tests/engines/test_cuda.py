"""A graphics processor that is asked for and not there is one clear line; models that need none go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ctranslate2
import pytest

from device.config import ModelSettings
from device.engines.registry import Engines
from device.errors import DragomanError
from device.modelstore.store import ModelStore

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU"),
]


def test_a_missing_gpu_is_said_and_small_models_need_none(
    model_store: ModelStore, model_dir: Callable[[str], Path]
) -> None:
    model_dir("asr-moonshine-tiny-en")
    model_dir("asr-whisper-base")
    with Engines(model_store, ModelSettings(provider="cuda")) as engines:
        with pytest.raises(DragomanError, match=r"CTranslate2 was built without CUDA or finds no GPU"):
            engines.recognizer("pt")
        assert engines.recognizer("en").model_id.startswith("asr-moonshine")
