"""Beamformers, one algorithm a file: each turns what is known of the scene into one weight per bin and microphone."""

from __future__ import annotations

from device.audio.array.beamformers.base import Beamformer, Scene, Weights
from device.audio.array.beamformers.delay_and_sum import DelayAndSum
from device.audio.array.beamformers.gev import MaxSnr
from device.audio.array.beamformers.mvdr import Mvdr
from device.audio.array.beamformers.single import SingleChannel
from device.audio.array.beamformers.superdirective import Superdirective

BEAMFORMERS: dict[str, type[Beamformer]] = {
    beamformer.name: beamformer for beamformer in (SingleChannel, DelayAndSum, Superdirective, Mvdr, MaxSnr)
}
"""Every algorithm by its name in the configuration."""

__all__ = ["BEAMFORMERS", "Beamformer", "Scene", "Weights"]
