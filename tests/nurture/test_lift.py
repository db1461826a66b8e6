"""The interval of a difference of shares, beside the published example; nothing to compare with an empty side."""

from __future__ import annotations

import pytest

from nurture.lift import compare, wilson
from nurture.queries_around import Arm


def test_newcombes_example() -> None:
    """56/70 beside 48/80: method 10 of the paper gives 0.0524 to 0.3339."""
    found = compare(Arm(70, 56), Arm(80, 48))
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4), round(found.difference, 4)) == (0.0524, 0.3339, 0.2)
    assert found.is_sure
    assert found.relative == pytest.approx(1 / 3)


def test_few_people_are_not_sure() -> None:
    found = compare(Arm(9, 2), Arm(1, 0))
    assert found is not None
    assert (found.is_sure, found.relative) == (False, None)
    assert found.low < 0 < found.high


@pytest.mark.parametrize(("treated", "held_out"), [(Arm(0, 0), Arm(3, 1)), (Arm(3, 1), Arm(0, 0))])
def test_an_empty_side(treated: Arm, held_out: Arm) -> None:
    assert compare(treated, held_out) is None


def test_wilson_stays_within_bounds() -> None:
    assert wilson(Arm(10, 0))[0] == pytest.approx(0.0)
    assert wilson(Arm(10, 10))[1] == pytest.approx(1.0)
