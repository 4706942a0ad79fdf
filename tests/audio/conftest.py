"""Fixtures of the audio tests."""

from tests.audio.pulse import virtual_mic

__all__ = ["virtual_mic"]
