"""Points that a person or a program gives, beside the rules: visible rows with a reason, until a moment or for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from leads.actions import Refused, audit
from leads.models import Contact
from leads.queries import mark
from leads.text import clean
from scoring.models import POINTS_GIVEN, PointsGiven, ScoreModel

MOST_GIVEN = Decimal(10_000)
BY_HAND = "by_hand"


def give_points(
    contact_ids: Sequence[int],
    *,
    model: ScoreModel,
    points: Decimal,
    cause: str,
    expires_at: datetime | None = None,
    now: datetime,
    reason: str = "",
    actor: User | None = None,
) -> int:
    """Give points (or take some, below zero) in one model; the number of contacts. The turn writes the ledger rows. Three statements.

    cause: by_hand or program:<slug>. Contacts that are gone are left out.
    """
    if not points.is_finite() or abs(points) > MOST_GIVEN:
        raise Refused(_("Give at most %(most)s points, either way.") % {"most": f"{MOST_GIVEN:,}"})
    points = points.quantize(Decimal("0.01"))
    if points == 0:
        raise Refused(_("No points change nothing."))
    if expires_at is not None and expires_at <= now:
        raise Refused(_("Choose a moment that is still to come."))
    if model.archived_at is not None:
        raise Refused(_("“%(name)s” is archived.") % {"name": model})
    with transaction.atomic():
        there = sorted(Contact.objects.filter(pk__in=contact_ids).values_list("pk", flat=True))
        PointsGiven.objects.bulk_create(
            PointsGiven(
                contact_id=contact,
                model=model,
                points=points,
                cause=cause[:200],
                reason=clean(reason)[:500],
                given_at=now,
                given_by=actor,
                ends_at=expires_at,
            )
            for contact in there
        )
        mark(there, POINTS_GIVEN)
    return len(there)


def adjust_points(
    contact: Contact,
    *,
    model: ScoreModel,
    points: Decimal,
    reason: str,
    expires_at: datetime | None,
    now: datetime,
    actor: User,
) -> None:
    """What a person gives or takes by hand: a reason is required, and the audit keeps it."""
    if not clean(reason):
        raise Refused(_("Say why: it stands beside the points."))
    with transaction.atomic():
        give_points(
            [contact.pk],
            model=model,
            points=points,
            cause=BY_HAND,
            expires_at=expires_at,
            now=now,
            reason=reason,
            actor=actor,
        )
        detail = {"model": model.slug, "points": str(points), "reason": clean(reason)}
        audit(actor, "adjusted the score of", contact, detail, now)


def take_back_points(given: PointsGiven, *, now: datetime, actor: User | None = None) -> None:
    """End points given now; what they were until now stays in the ledger. Refused when they have ended already."""
    with transaction.atomic():
        row = PointsGiven.objects.select_for_update(no_key=True).select_related("contact", "model").get(pk=given.pk)
        if row.ends_at is not None and row.ends_at <= now:
            raise Refused(_("These points count no more."))
        row.ends_at, row.taken_back_by = max(now, row.given_at), actor
        row.save(update_fields=["ends_at", "taken_back_by"])
        mark([row.contact_id], POINTS_GIVEN)
        if actor is not None:
            detail = {"model": row.model.slug, "points": str(row.points)}
            audit(actor, "took back points of", row.contact, detail, now)
