"""What higher rooms add to the odd population, and odd rules about it: scores, BANT facts, walks through programs."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from leads.models import Contact
from nurture.models import Enrolment
from scoring import bant
from scoring.models import BantFact, LedgerRow, Score, ScoreModel
from tests.nurture.makers import make_program, wait

Near = Callable[[random.Random], datetime]
GROUPS = ("fit", "behaviour", "negative", "bant")
PROGRAMS = ("welcome", "win-back")


def load_above(rng: random.Random, contacts: Sequence[Contact], near: Near) -> None:
    _load_scores(rng, contacts, near)
    _load_bant(rng, contacts, near)
    _load_walks(rng, contacts, near)


def _load_scores(rng: random.Random, contacts: Sequence[Contact], near: Near) -> None:
    """Ledger rows, and the sums as the turn keeps them."""
    model = ScoreModel.objects.get(slug="default")
    for contact in contacts:
        rows = [
            LedgerRow(
                contact=contact,
                model=model,
                version_id=0,
                rule_key=uuid.UUID(int=rng.getrandbits(128)),
                group=rng.choice(GROUPS),
                points=rng.choice([Decimal(5), Decimal(20), Decimal("20.5"), Decimal("-3"), Decimal(75)]),
                counts_from=near(rng),
                cause="rule_met",
            )
            for _row in range(rng.choice([0, 0, 1, 2, 5]))
        ]
        LedgerRow.objects.bulk_create(rows)
        if rows:
            sums = {group: sum((row.points for row in rows if row.group == group), Decimal(0)) for group in GROUPS}
            computed_at = max(row.counts_from for row in rows)
            Score.objects.create(
                contact=contact, model=model, total=sum(sums.values()), grade="D4", computed_at=computed_at, **sums
            )


def _load_bant(rng: random.Random, contacts: Sequence[Contact], near: Near) -> None:
    for contact in contacts:
        for _fact in range(rng.choice([0, 0, 1, 3, 6])):
            facet = rng.choice(BantFact.Facet.values)
            answer = rng.choice(bant.ANSWERS[BantFact.Facet(facet)])
            known_at = near(rng)
            BantFact.objects.create(
                contact=contact,
                facet=facet,
                answer=answer.key,
                verdict=answer.verdict,
                amount=rng.choice([None, Decimal(20), Decimal("20.5")]) if facet == "budget" else None,
                due_on=near(rng).date() if answer.key == "dated" else None,
                known_at=known_at,
                lapses_at=rng.choice([None, known_at + timedelta(days=rng.randint(0, 400))]),
            )


def _load_walks(rng: random.Random, contacts: Sequence[Contact], near: Near) -> None:
    for name in PROGRAMS:
        program = make_program(wait(1, "days", "w"), name=name)
        version = program.versions.get()
        assert program.slug == name
        for contact in contacts:
            if rng.random() < 0.5:
                continue
            entered_at = near(rng)
            ended = rng.choice(["", "finished", "left"])
            Enrolment.objects.create(
                program=program,
                version=version,
                contact=contact,
                entered_at=entered_at,
                entered_why="by_hand",
                state=ended or "active",
                step="" if ended else "w",
                next_step_at=None if ended else entered_at + timedelta(days=1),
                ended_at=entered_at + timedelta(days=rng.randint(0, 40)) if ended else None,
            )
