"""Channels of an array that are not as they should be, found by comparing them with each other.

At low frequencies an array is small against the wavelength, so every microphone hears the same: the same level, the
same phase. Whoever differs is damaged. Windows have a fixed length, counted from the stream's start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.audio.alerts import Alert, Fault
from device.audio.array.geometry import Geometry
from device.audio.stages.faults import window_faults
from device.events import SAMPLE_RATE

WINDOW = 8192
"""Half a second."""
_BAND = (100.0, 500.0)
_SILENCE = 1e-7
"""RMS below which a channel carries nothing: -140 dB, far below any converter's noise."""
_AUDIBLE = 1e-5
"""RMS that the others must have for the level of one to mean anything."""
_DEAD_DB, _LOW_DB, _LOUD_DB = -45.0, -15.0, 15.0
"""A mouth close to one microphone makes it up to 12 dB louder."""
_BEGIN, _END = 2, 6
"""Windows in a row that must agree before a fault begins or ends."""
_UNUSABLE = frozenset({Fault.DEAD, Fault.LOW, Fault.LOUD, Fault.INCOHERENT, Fault.NOT_FINITE, Fault.MISSING})
_TEXTS = {
    Fault.MISSING: "is not delivered by the device; check the number of channels",
    Fault.DEAD: "is dead; check its wiring",
    Fault.LOW: "is much quieter than the others; check for dirt over the microphone",
    Fault.LOUD: "is much louder than the others; check for a bad contact",
    Fault.INVERTED: "has inverted polarity; corrected, `dragoman devices calibrate` makes it permanent",
    Fault.INCOHERENT: "does not hear what the others hear; check that all channels share one clock",
    Fault.SWAPPED: "seems swapped with another; check the order of the channels",
    Fault.NOT_FINITE: "delivers samples that are no numbers; check its driver",
    Fault.CLIPPED: "is clipped; lower the capture volume",
    Fault.DROPOUT: "has gaps; the machine or the bus is overloaded",
}


class ArrayHealth:
    """Watches the microphones of one array.

    Parameters
    ----------
    geometry
        The microphones, in the order in which ``check`` gets them.
    missing
        Microphones whose channel the capture device does not deliver.
    """

    def __init__(self, geometry: Geometry, missing: frozenset[int] = frozenset()) -> None:
        self._geometry = geometry
        self._missing = missing
        self._window: list[NDArray[np.float32]] = []
        self._held = 0
        self._broken = np.zeros(geometry.size, bool)
        self._votes: dict[tuple[int, Fault], int] = {}
        self.faults: set[tuple[int, Fault]] = set()
        """What is wrong now: microphone and fault."""
        self._first = True

    @property
    def usable(self) -> list[int]:
        """Microphones that may be used, in ascending order; never none."""
        bad = {microphone for microphone, fault in self.faults if fault in _UNUSABLE}
        good = [microphone for microphone in range(self._geometry.size) if microphone not in bad]
        unclipped = [microphone for microphone in good if (microphone, Fault.CLIPPED) not in self.faults]
        if len(unclipped) > 1:
            # All clip when somebody shouts; then together they are still better than one.
            return unclipped
        present = [m for m in range(self._geometry.size) if m not in self._missing]
        return good or present[:1] or [0]

    @property
    def signs(self) -> NDArray[np.float32]:
        """Factor for each microphone that mends inverted polarity."""
        signs = np.ones(self._geometry.size, np.float32)
        signs[[microphone for microphone, fault in self.faults if fault is Fault.INVERTED]] = -1
        return signs

    def note_broken(self, broken: NDArray[np.bool_]) -> None:
        """Take note of microphones whose samples were no numbers."""
        self._broken |= broken

    def check(self, block: NDArray[np.float32]) -> list[Alert]:
        """Take a block of shape ``(samples, microphones)`` and return what began or ended."""
        alerts = []
        if self._first:
            self._first = False
            alerts += [self._set(m, Fault.MISSING, active=True) for m in sorted(self._missing)]
        start = 0
        while start < len(block):
            part = block[start : start + WINDOW - self._held]
            self._window.append(part)
            self._held += len(part)
            start += len(part)
            if self._held == WINDOW:
                window = np.concatenate(self._window)
                self._window, self._held = [], 0
                alerts += self._judge(window)
                self._broken[:] = False
        return alerts

    def swapped(self, pairs: list[tuple[int, int]]) -> list[Alert]:
        """Report microphones whose places seem exchanged; none ends an earlier report."""
        named = {microphone for pair in pairs for microphone in pair}
        before = {microphone for microphone, fault in self.faults if fault is Fault.SWAPPED}
        return [
            *(self._set(m, Fault.SWAPPED, active=True) for m in sorted(named - before)),
            *(self._set(m, Fault.SWAPPED, active=False) for m in sorted(before - named)),
        ]

    def _judge(self, window: NDArray[np.float32]) -> list[Alert]:
        now = {(m, fault) for m, faults in enumerate(window_faults(window)) for fault in faults}
        now |= {(int(m), Fault.NOT_FINITE) for m in np.flatnonzero(self._broken)}
        if self._geometry.size > 1:
            now |= self._compared(window)
        now = {(m, fault) for m, fault in now if m not in self._missing}
        alerts = []
        for m in range(self._geometry.size):
            for fault in Fault:
                if fault in {Fault.MISSING, Fault.SWAPPED}:
                    continue
                key = (m, fault)
                disagrees = (key in now) != (key in self.faults)
                self._votes[key] = self._votes.get(key, 0) + 1 if disagrees else 0
                at_once = fault in {Fault.NOT_FINITE, Fault.CLIPPED, Fault.DROPOUT}
                needed = _END if key in self.faults else 1 if at_once else _BEGIN
                if disagrees and self._votes[key] >= needed:
                    self._votes[key] = 0
                    alerts.append(self._set(m, fault, active=key in now))
        return alerts

    def _compared(self, window: NDArray[np.float32]) -> set[tuple[int, Fault]]:
        present = [m for m in range(window.shape[1]) if m not in self._missing]
        centred = window - window.mean(0)
        spectra = np.fft.rfft(centred * np.hanning(WINDOW)[:, None], axis=0)
        frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
        level = np.sqrt(np.mean(centred**2, axis=0))
        typical = float(np.median(level[present]))
        if len(present) == 2:
            typical = float(level[present].max())
        found: set[tuple[int, Fault]] = set()
        if typical < _AUDIBLE:
            return {key for key in self.faults if key[1] in {Fault.INVERTED, Fault.INCOHERENT}} | {
                (m, Fault.DEAD) for m, fault in self.faults if fault is Fault.DEAD
            }
        for m in present:
            relative = 20 * np.log10(max(level[m], _SILENCE) / typical)
            if relative < _DEAD_DB:
                found.add((m, Fault.DEAD))
            elif relative < _LOW_DB:
                found.add((m, Fault.LOW))
            elif relative > _LOUD_DB:
                found.add((m, Fault.LOUD))
        alive = [m for m in present if (m, Fault.DEAD) not in found]
        return found | self._phases(spectra[(frequency > _BAND[0]) & (frequency < _BAND[1])], alive)

    def _phases(self, spectra: NDArray[np.complex128], alive: list[int]) -> set[tuple[int, Fault]]:
        """Compare the phases of the low frequencies: all must agree, and do so with the majority."""
        if len(alive) < 2:
            return set()
        low = spectra[:, alive]
        power = np.sqrt(np.sum(np.abs(low) ** 2, axis=0))
        alike = np.real(low.conj().T @ low) / np.maximum(np.outer(power, power), 1e-30)
        np.fill_diagonal(alike, 0)
        # The side of each microphone, by the strongest pattern of agreement and disagreement.
        side = np.sign(np.linalg.eigh(alike)[1][:, -1])
        side[side == 0] = 1
        if side.sum() < 0 or (side.sum() == 0 and side[0] < 0):
            side = -side
        agreement = (np.abs(alike).sum(1)) / (len(alive) - 1)
        typical = float(np.median(agreement)) if len(alive) > 2 else 0.0
        found: set[tuple[int, Fault]] = set()
        for index, m in enumerate(alive):
            if len(alive) > 2 and agreement[index] < 0.3 and typical > 0.5:
                found.add((m, Fault.INCOHERENT))
            elif side[index] < 0 and agreement[index] > 0.4:
                found.add((m, Fault.INVERTED))
        return found

    def _set(self, microphone: int, fault: Fault, *, active: bool) -> Alert:
        if active:
            self.faults.add((microphone, fault))
        else:
            self.faults.discard((microphone, fault))
        channel = self._geometry.channels[microphone]
        what = _TEXTS[fault] if active else f"is no longer {fault.value.replace('_', ' ')}"
        return Alert(fault, channel, active, f"channel {channel} {what}")
