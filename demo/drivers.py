"""Stationary random processes that the generated weather is made of, by spectral synthesis.

Every process is white noise through a rational filter, written in the frequency domain: smooth,
exactly reproducible, and a delay is one multiplication, so that a weather system reaches a station
in the east later than one in the west.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Series: TypeAlias = "npt.NDArray[np.float64]"
Spectrum: TypeAlias = "npt.NDArray[np.complex128]"

_PAD_HOURS: Final = 30 * 24  # the synthesis is periodic: what wraps around is cut off


class Synthesis:
    """Unit-variance processes on an hourly axis.

    Args:
        hours: Length of the series that `series` returns.
    """

    def __init__(self, hours: int) -> None:
        self._hours = hours
        self._size = _friendly(hours + _PAD_HOURS)
        self.omega: Series = np.asarray(2 * np.pi * np.fft.rfftfreq(self._size, d=1 / 24))
        """Angular frequencies in radians a day."""

    def noise(self, rng: np.random.Generator) -> Spectrum:
        """Spectrum of white noise with unit variance."""
        return np.fft.rfft(rng.standard_normal(self._size))

    def series(self, noise: Spectrum, transfer: Spectrum, lag_hours: float = 0.0) -> Series:
        """Noise through a filter, scaled to unit variance in expectation.

        Args:
            noise: From `noise`, or a mixture of independent ones whose squared weights sum to 1.
            transfer: Response at each of `omega`; its scale does not matter.
            lag_hours: Delay of the result; negative = ahead.
        """
        shaped = transfer * noise
        shaped[0] = 0.0
        power = np.abs(transfer) ** 2
        power[0] = 0.0
        scale = np.sqrt((2 * power.sum() - power[-1]) / self._size)
        shift = np.exp(-1j * self.omega * (lag_hours / 24))
        return np.asarray(np.fft.irfft(shaped * shift, self._size)[: self._hours] / scale)

    def relaxing(self, days: float, smooth_hours: float = 0.0) -> Spectrum:
        """Filter whose memory fades with the time constant `days`, without faster detail."""
        smoothing = 1 + 1j * self.omega * (smooth_hours / 24)
        return np.asarray(1 / ((1 + 1j * self.omega * days) * smoothing), np.complex128)

    def passing_systems(self, period_days: float, damping: float) -> Spectrum:
        """Damped oscillator: highs and lows that follow each other at an irregular period.

        Args:
            period_days: Usual time from one low to the next.
            damping: Share of critical damping; larger = less regular.
        """
        natural = 2 * np.pi / period_days
        return np.asarray(
            1 / (natural**2 - self.omega**2 + 2j * damping * natural * self.omega), np.complex128
        )


def _friendly(size: int) -> int:
    """Next even size with small prime factors, for a fast transform."""
    best = 1 << (size - 1).bit_length()
    for three in (1, 3, 9, 27):
        for five in (1, 5, 25, 125):
            base = 2 * three * five
            best = min(best, base << max(0, (-(-size // base) - 1).bit_length()))
    return best
