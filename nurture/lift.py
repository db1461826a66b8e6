"""What a program is worth: the goal among its people beside those held out, with an interval that says how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from nurture.queries_around import Arm

Z = 1.959964  # 95 %


@dataclass(frozen=True)
class Lift:
    """Shares of both sides, their difference and its 95 % interval, all from 0 to 1 (the difference from −1)."""

    treated: float
    held_out: float
    difference: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval lies on one side of nothing."""
        return self.low > 0 or self.high < 0

    @property
    def relative(self) -> float | None:
        """How much more often, as a share of the held-out ones' rate; None when none of those reached the goal."""
        return self.difference / self.held_out if self.held_out else None

    def in_percent(self) -> dict[str, float]:
        """Every figure times a hundred; `less` is the difference turned round."""
        shares = {"treated": self.treated, "held_out": self.held_out, "low": self.low, "high": self.high}
        shares |= {"difference": self.difference, "less": -self.difference, "relative": self.relative or 0.0}
        return {key: 100 * share for key, share in shares.items()}


def compare(treated: Arm, held_out: Arm, *, z: float = Z) -> Lift | None:
    """None while one side is empty. The interval is Newcombe's hybrid score, which holds for small groups and rare goals too.

    R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    if not treated.people or not held_out.people:
        return None
    p, q = treated.reached / treated.people, held_out.reached / held_out.people
    p_low, p_high = wilson(treated, z=z)
    q_low, q_high = wilson(held_out, z=z)
    return Lift(
        treated=p,
        held_out=q,
        difference=p - q,
        low=p - q - sqrt((p - p_low) ** 2 + (q_high - q) ** 2),
        high=p - q + sqrt((p_high - p) ** 2 + (q - q_low) ** 2),
    )


def wilson(arm: Arm, *, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of one share."""
    n, p = arm.people, arm.reached / arm.people
    middle, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
