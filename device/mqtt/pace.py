"""How long the device waits for its broker."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Waiting times in seconds."""

    retry_first: float = 1.0
    retry_longest: float = 30.0
    refused_first: float = 10.0
    """First wait after a login that the broker refused, or after another client came under the same name;
    doubles up to ``refused_longest``."""
    refused_longest: float = 300.0
    hold_first: float = 30.0
    """First wait before a topic that may not be written is tried again; doubles up to ``hold_longest``."""
    hold_longest: float = 600.0
    quota_first: float = 1.0
    """First wait after a refusal that passes by itself; doubles up to ``retry_longest``."""
    subscriber_grace: float = 120.0
    """After a connect, how long subscribers have to come back too (paho's longest back-off): what the broker
    took but had nobody to give to is sent again until then, topic by topic. It closes the gap after a broker
    that lost its sessions."""
    unheard_first: float = 0.25
    unheard_longest: float = 1.0
    unacknowledged: float = 60.0
    """A publish without acknowledgement for this long means that the connection is dead."""

    def back_off(self, failures: int, *, refused: bool) -> float:
        """Return the wait before the next connect: doubling, bounded, spread so that devices do not return as one."""
        first, longest = self.retry_first, self.retry_longest
        if refused:
            first, longest = self.refused_first, self.refused_longest
        return float(min(longest, first * 2 ** min(failures, 16)) * random.uniform(0.75, 1.0))
