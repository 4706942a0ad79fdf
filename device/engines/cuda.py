"""Graphics processors, for the engines that can use one where they were built for CUDA."""

from __future__ import annotations

import ctranslate2

from device.errors import DragomanError


def require(provider: str) -> str:
    """Return the device that CTranslate2 computes on for ``models.provider``.

    sherpa-onnx needs no such check: where it was not built for CUDA it says so and goes on without.

    Raises
    ------
    DragomanError
        CUDA is asked for, and CTranslate2 has none or finds no GPU.
    """
    if provider == "cuda" and not ctranslate2.get_cuda_device_count():
        raise DragomanError(
            'models.provider is "cuda", but CTranslate2 was built without CUDA or finds no GPU; '
            "firmware_config/boards/jetson.md says how to build it"
        )
    return provider
