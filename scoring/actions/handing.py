"""Handing leads to sales, and what sales answers. One open hand-off per contact and model, and never twice for the same reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q
from django.utils.translation import gettext as _

from leads.access import SALES
from leads.actions import Refused, audit, move_stage, move_stages, set_owner
from leads.models import Contact, Owner
from leads.workspace import workspace
from scoring import business_hours, cards, queries
from scoring.models import AnswerReason, HandOff, ScoreModel, ScoreVersion
from scoring.queries import Candidate

AT_ONCE = 500  # cards built together: some 4 kB each


class AlreadyAnswered(Refused):
    """Somebody else was first; the message says who."""


def hand_over_ripe(contact_ids: Sequence[int], now: datetime) -> int:
    """The turn's follower: those of the contacts who stand over the line of a model and were not handed over for the same reasons."""
    models = ScoreModel.objects.published().order_by("-is_default", "slug").distinct()
    return sum(hand_over(contact_ids, model=model, cause="threshold", now=now) for model in models)


def hand_over(
    contact_ids: Sequence[int],
    *,
    model: ScoreModel,
    cause: str,
    now: datetime,
    force: bool = False,
    again: bool = False,
) -> int:
    """How many leads entered the queue.

    Handed over are contacts whose total reaches the threshold of the live version, who are still before sales in the
    life-cycle, have no open hand-off of this model, and whose reasons (the rules met that give points) are not all among those
    of an earlier answered one. `force` waives the threshold (a program decided that they are ripe) and takes stage MQL too;
    `again` waives the reasons as well (a person decided).
    Two statements when nobody is ripe; else about twelve for each 500 leads. Locks the contacts it hands over, in order.
    """
    version = ScoreVersion.objects.filter(
        model=model, state=ScoreVersion.State.LIVE, model__archived_at=None, worked_at__isnull=False
    ).first()
    if version is None or not contact_ids:
        return 0
    handed = 0
    with transaction.atomic():
        ripe = queries.lock_ripe(
            contact_ids,
            model_id=model.pk,
            threshold=None if force else version.threshold,
            stages=(*queries.BEFORE_SALES, "mql") if force else queries.BEFORE_SALES,
        )
        if not ripe:
            return 0
        news_since = None
        if version.backlog == ScoreVersion.Backlog.NONE and not force:
            news_since = version.published_at
        candidates = queries.candidates(ripe, model_id=model.pk, now=now, again=again, news_since=news_since)
        for first in range(0, len(candidates), AT_ONCE):
            handed += _hand_over(candidates[first : first + AT_ONCE], model, version, cause, now)
    return handed


def _hand_over(
    candidates: Sequence[Candidate], model: ScoreModel, version: ScoreVersion, cause: str, now: datetime
) -> int:
    ids = [candidate.contact_id for candidate in candidates]
    built = cards.build(candidates, model=model, version=version, now=now)
    due_at = business_hours.after(now, model.answer_within_hours, business_hours.calendar_of(workspace()))
    owners = _owners(candidates, model)
    HandOff.objects.bulk_create(
        [
            HandOff(
                contact_id=candidate.contact_id,
                model=model,
                version=version,
                handed_over_at=now,
                due_at=due_at,
                cause="returned" if candidate.is_return and cause == "threshold" else cause,
                owner_id=owners.get(candidate.contact_id),
                total=candidate.total,
                grade=candidate.grade,
                card=built[candidate.contact_id],
                rule_keys=candidate.rule_keys,
                reasons_key=reasons_key(candidate.rule_keys),
            )
            for candidate in candidates
        ]
    )
    move_stages(ids, to="mql", cause="hand_off", reason=_("Handed to sales by %(model)s") % {"model": model}, now=now)
    return len(ids)


def reasons_key(rule_keys: Sequence[UUID]) -> str:
    """One name for one set of rules, whatever their order."""
    return hashlib.sha256("\n".join(sorted(str(key) for key in rule_keys)).encode()).hexdigest()


def _owners(candidates: Sequence[Candidate], model: ScoreModel) -> dict[int, int]:
    """Contact -> owner: the contact's own, else in turn or nobody."""
    owners = {one.contact_id: one.owner_id for one in candidates if one.owner_id is not None}
    if model.routing != ScoreModel.Routing.IN_TURN or len(owners) == len(candidates):
        return owners
    loads = _loads()
    for one in candidates:
        if one.contact_id not in owners and loads:
            loads.sort()
            open_leads, last, owner_id = loads[0]
            owners[one.contact_id] = owner_id
            loads[0] = (open_leads + 1, last, owner_id)
    return owners


def _loads() -> list[tuple[int, float, int]]:
    """(open leads, when the last one came, owner) of everybody in sales who can sign in."""
    people = User.objects.filter(groups__name=SALES, is_active=True).order_by("pk")
    owners = [owner_for(user).pk for user in people]
    rows = Owner.objects.filter(pk__in=owners).annotate(
        open_leads=Count("hand_offs", filter=Q(hand_offs__state=HandOff.State.OPEN)),
        last=Max("hand_offs__handed_over_at"),
    )
    return [(row.open_leads, row.last.timestamp() if row.last else 0.0, row.pk) for row in rows]


def owner_for(user: User) -> Owner:
    """The owner that a person is. Somebody who signs in for the first time takes over the name that a CRM file brought."""
    owner = Owner.objects.filter(user=user).first()
    if owner is not None:
        return owner
    name = user.get_full_name() or user.get_username()
    if Owner.objects.filter(name__iexact=name, user=None).update(user=user):
        return Owner.objects.get(user=user)
    try:
        with transaction.atomic():
            return Owner.objects.create(name=name, email=user.email, user=user)
    except IntegrityError:
        return Owner.objects.get_or_create(
            user=user, defaults={"name": f"{name} ({user.get_username()})", "email": user.email}
        )[0]


# --- answers ----------------------------------------------------------------------------------------------------------------


def accept_lead(hand_off: HandOff, *, actor: User, now: datetime) -> None:
    """The lead is the actor's: owner of hand-off and contact, stage “accepted”. AlreadyAnswered when somebody was first."""
    with transaction.atomic():
        owner = owner_for(actor)
        _answer(hand_off, HandOff.State.ACCEPTED, actor=actor, now=now, owner=owner)
        set_owner([hand_off.contact_id], owner=owner, now=now)
        _move(hand_off, "accepted", actor=actor, reason="", now=now)


def reject_lead(hand_off: HandOff, *, reason: AnswerReason | None, actor: User, now: datetime, note: str = "") -> None:
    """Out of the queue, and not again for the same reasons. The reason says whether the contact is recycled or disqualified."""
    chosen = _checked(reason, AnswerReason.Answer.REJECTED)
    with transaction.atomic():
        _answer(hand_off, HandOff.State.REJECTED, actor=actor, now=now, reason=chosen, note=note)
        _move(hand_off, chosen.moves_to, actor=actor, reason=str(chosen), now=now)


def recycle_lead(
    hand_off: HandOff,
    *,
    reason: AnswerReason | None,
    actor: User,
    now: datetime,
    note: str = "",
    returns_at: datetime | None = None,
) -> None:
    """Back to nurture. With a date it comes back then, for the same reasons too, if it still stands over the line."""
    chosen = _checked(reason, AnswerReason.Answer.RECYCLED)
    if returns_at is not None and returns_at <= now:
        raise Refused(_("Choose a day that is still to come."))
    with transaction.atomic():
        _answer(hand_off, HandOff.State.RECYCLED, actor=actor, now=now, reason=chosen, note=note, returns_at=returns_at)
        _move(hand_off, AnswerReason.Then.RECYCLED, actor=actor, reason=str(chosen), now=now)


def assign_lead(hand_off: HandOff, *, owner: Owner | None, actor: User, now: datetime) -> None:
    """Give an open lead to somebody, or to nobody. AlreadyAnswered when it is not open any more."""
    with transaction.atomic():
        if not HandOff.objects.open().filter(pk=hand_off.pk).update(owner=owner):
            raise _taken(hand_off)
        hand_off.owner = owner
        audit(
            actor, "assigned", hand_off, {"owner": str(owner) if owner else None, "contact": hand_off.contact_id}, now
        )


def _checked(reason: AnswerReason | None, answer: str) -> AnswerReason:
    if reason is None or reason.answer != answer or not reason.is_active:
        raise Refused(_("Choose a reason: it tunes the rules."))
    return reason


def _answer(
    hand_off: HandOff,
    state: str,
    *,
    actor: User,
    now: datetime,
    owner: Owner | None = None,
    reason: AnswerReason | None = None,
    note: str = "",
    returns_at: datetime | None = None,
) -> None:
    """A conditional update that changes exactly one row, or somebody was first."""
    values: dict[str, object] = {
        "state": state,
        "answered_at": now,
        "answered_by": actor,
        "answer_reason": reason,
        "answer_note": note.strip()[:2000],
        "returns_at": returns_at,
    }
    if owner is not None:
        values["owner"] = owner
    if HandOff.objects.open().filter(pk=hand_off.pk).update(**values) != 1:
        raise _taken(hand_off)
    hand_off.refresh_from_db()
    detail = {"contact": hand_off.contact_id, "reason": reason.pk if reason else None, "note": hand_off.answer_note}
    audit(actor, f"{state} the lead", hand_off, detail, now)


def _taken(hand_off: HandOff) -> AlreadyAnswered:
    row = HandOff.objects.select_related("answered_by").filter(pk=hand_off.pk).first()
    if row is None:
        return AlreadyAnswered(_("This contact was deleted meanwhile."))
    name = ""
    if row.answered_by is not None:
        name = row.answered_by.get_full_name() or row.answered_by.get_username()
    answers = {
        HandOff.State.ACCEPTED: _("%(name)s accepted this lead already."),
        HandOff.State.REJECTED: _("%(name)s rejected this lead already."),
        HandOff.State.RECYCLED: _("%(name)s recycled this lead already."),
    }
    return AlreadyAnswered(answers[HandOff.State(row.state)] % {"name": name or _("Somebody")})


def _move(hand_off: HandOff, to: str, *, actor: User, reason: str, now: datetime) -> None:
    """The contact follows the answer, unless it went further by itself meanwhile (an opportunity stays one)."""
    contact = Contact.objects.get(pk=hand_off.contact_id)
    if contact.stage in (*queries.BEFORE_SALES, "mql") and contact.stage != to:
        move_stage(contact, to=to, actor=actor, cause="answer", reason=reason, now=now, by_hand=True)
