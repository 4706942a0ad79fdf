"""What every engine that listens does to samples first."""

from __future__ import annotations

import numpy as np

from device.events import Samples


def finite(samples: Samples) -> Samples:
    """Return ``samples`` within [-1, 1], with silence for what is not a number.

    A single infinite sample makes a recogniser spell nonsense, and stays in a recurrent state for good. Samples that
    are so already are returned as they are.
    """
    if np.abs(samples).max(initial=0.0) <= 1.0:  # never true with one that is not a number
        return samples
    return np.clip(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
