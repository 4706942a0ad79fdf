"""One microphone, passed through: what every other algorithm is measured against, and the last fallback."""

from __future__ import annotations

from device.audio.array.beamformers.base import Beamformer, Scene, Weights, only_reference


class SingleChannel(Beamformer):
    """Passes the reference microphone through."""

    name = "single"

    def weights(self, scene: Scene) -> Weights:
        """Return 1 for the reference and 0 for every other microphone."""
        return only_reference(scene)
