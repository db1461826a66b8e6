"""What the demo's salespeople learn of budget, authority, need and timeframe while they answer leads, and the rules of its life-cycle."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from scoring.actions.bant import NewFact, record_bant
from scoring.actions.graduation import save_graduation, set_benchmark
from scoring.models import BantFact, HandOff, ScoreModel

# answer of sales -> facet -> (answer, weight); None: it was not spoken of
_SAID: dict[str, dict[str, tuple[tuple[str | None, int], ...]]] = {
    "accepted": {
        "need": (("urgent", 35), ("clear", 55), (None, 10)),
        "timeframe": (("dated", 60), (None, 40)),
        "authority": (("decides", 55), ("influences", 25), (None, 20)),
        "budget": (("yes", 55), ("no", 5), (None, 40)),
    },
    "rejected": {
        "need": (("none", 25), ("vague", 45), (None, 30)),
        "authority": (("influences", 25), ("none", 20), (None, 55)),
        "budget": (("no", 40), (None, 60)),
    },
    "recycled": {
        "need": (("clear", 40), ("vague", 30), (None, 30)),
        "timeframe": (("none", 45), ("dated", 15), (None, 40)),
        "budget": (("no", 40), (None, 60)),
    },
}
_AMOUNTS = (8_000, 15_000, 25_000, 40_000, 60_000, 120_000)


class Talks:
    """Facts by chance, the same for the same seed."""

    def __init__(self, *, seed: int) -> None:
        self.random = Random(f"{seed}:bant")  # noqa: S311 — a demo, not a secret

    def learn(self, hand_off: HandOff, *, answer: str, now: datetime, actor: User) -> None:
        """What was said in the talk that led to the answer."""
        facts = [
            self._fact(hand_off.contact_id, facet, said)
            for facet, chances in _SAID[answer].items()
            if (said := self.random.choices([one for one, _weight in chances], [weight for _one, weight in chances])[0])
        ]
        if facts:
            record_bant(facts, source=BantFact.Source.CALL, actor=actor, now=now)

    def fill_in_forms(self, *, now: datetime) -> None:
        """Every third lead that waits has answered one question of a form."""
        waiting = HandOff.objects.open().order_by("contact_id").values_list("contact_id", flat=True)
        facts = [
            self._fact(
                contact, *self.random.choice((("need", "urgent"), ("authority", "decides"), ("timeframe", "dated")))
            )
            for contact in list(waiting)[::3]
        ]
        if facts:
            record_bant(facts, source=BantFact.Source.FORM, now=now)

    def _fact(self, contact_id: int, facet: str, answer: str) -> NewFact:
        values: dict[str, Any] = {"confidence": self.random.choice((1, 2, 2, 3))}
        if (facet, answer) == ("budget", "yes") and self.random.random() < 0.7:
            values["amount"] = Decimal(self.random.choice(_AMOUNTS))
        if (facet, answer) == ("timeframe", "dated"):
            values["within_months"] = self.random.choice((1, 2, 3, 6, 9))
        return NewFact(contact_id, facet, answer, **values)


def set_up_lifecycle(*, now: datetime, actor: User | None) -> None:
    """A rule that works, one that waits for its turn, and the targets of the company."""
    save_graduation(
        None,
        name=_("Wrote to us"),
        slug="wrote-to-us",
        to_stage="inquiry",
        from_stages=["visitor", "subscriber"],
        conditions={"did": ["form_submit", "demo_booked"]},
        actor=actor,
        now=now,
    )
    save_graduation(
        None,
        name=_("Booked a demo and is nearly ripe"),
        slug="demo-and-nearly-ripe",
        to_stage="mql",
        from_stages=["subscriber", "inquiry"],
        conditions={"did": "demo_booked", "when": {"op": "in_last", "value": 30, "unit": "days"}},
        points_of=ScoreModel.objects.get(is_default=True),
        points=Decimal(60),
        is_active=False,
        actor=actor,
        now=now,
    )
    for step, percent in (("mqls", 15), ("accepted", 65), ("won", 25)):
        set_benchmark(step, percent=Decimal(percent), actor=actor, now=now)
