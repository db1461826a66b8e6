"""What a simulation takes for granted: how many people open, click and answer, who enters, how long, and the seed of chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

MOST_DAYS = 365


@dataclass(frozen=True)
class Assumptions:
    """`open_rate` of the mails that leave, `click_rate` of those opened, `answer_rate` of those clicked, in per cent.

    `answer_kind`: the activity that an answer is. `per_day`: so many members enter a day; None: all of them at once; 0: only those inside now.
    """

    days: int = 90
    open_rate: float = 25.0
    click_rate: float = 12.0
    answer_rate: float = 10.0
    answer_kind: str = "form_submit"
    per_day: int | None = None
    seed: int = 1

    def part(self, place: int, parts: int) -> Assumptions:
        """For one of so many parts of the people: as many enter a day together as without parts."""
        if not self.per_day:
            return self
        return replace(self, per_day=self.per_day // parts + (place < self.per_day % parts))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Assumptions:
        return cls(**{key: value for key, value in document.items() if key in cls.__dataclass_fields__})


def rates(counts: Mapping[str, int], answer_kind: str) -> dict[str, float]:
    """Per cent of mails opened, of opened ones clicked, of clicks that led to an answer, as they were; empty without a past."""
    sent, opens, clicks = (counts.get(kind, 0) for kind in ("email_sent", "email_open", "email_click"))
    if not sent or not opens:
        return {}
    return {
        "open_rate": _percent(opens, sent),
        "click_rate": _percent(clicks, opens),
        "answer_rate": _percent(counts.get(answer_kind, 0), clicks),
    }


def _percent(part: int, whole: int) -> float:
    return round(min(100.0, 100 * part / whole), 1) if whole else 0.0
