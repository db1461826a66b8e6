"""What sales does with a lead: accept, reject, recycle, give to somebody else, take an answer back, open a deal. Each counts once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from leads.access import can
from leads.actions import Refused, audit, move_stage, set_owner
from leads.models import Contact, Deal, DealContact, Mark, Owner
from leads.queries import mark
from leads.text import clean
from leads.workspace import zone
from scoring import notices, queries, recycling, routing
from scoring.actions.handing import clock
from scoring.desks import calendars, owner_for
from scoring.models import AnswerReason, Desk, HandOff, HandOffEvent, Notice
from scoring.notices import News

UNDO_WITHIN = timedelta(minutes=10)
ESCALATED_AT_ONCE = 200
MOST_AMOUNT = Decimal(10) ** 15

Kind = HandOffEvent.Kind


class AlreadyAnswered(Refused):
    """Somebody else was first; the message says who."""


def accept_lead(hand_off: HandOff, *, actor: User, now: datetime) -> None:
    """The lead is the actor's: owner of hand-off and contact, stage “accepted”. AlreadyAnswered when somebody was first."""
    with transaction.atomic():
        owner = owner_for(actor)
        _answer(hand_off, HandOff.State.ACCEPTED, actor=actor, now=now, owner=owner)
        set_owner([hand_off.contact_id], owner=owner, now=now)
        _move(hand_off, "accepted", actor=actor, reason="", now=now)


def reject_lead(
    hand_off: HandOff,
    *,
    reason: AnswerReason | None,
    actor: User,
    now: datetime,
    note: str = "",
    misleading: Sequence[UUID] = (),
) -> None:
    """Out of the queue, and not again for the same reasons. The reason says whether the contact is recycled or disqualified.

    `misleading`: rules on the card that promised too much; marketing sees the marks beside each rule.
    """
    chosen = _checked(reason, AnswerReason.Answer.REJECTED)
    with transaction.atomic():
        _answer(hand_off, HandOff.State.REJECTED, actor=actor, now=now, reason=chosen, note=note, misleading=misleading)
        _move(hand_off, chosen.moves_to, actor=actor, reason=str(chosen), now=now)


def recycle_lead(
    hand_off: HandOff,
    *,
    reason: AnswerReason | None,
    actor: User,
    now: datetime,
    note: str = "",
    returns_at: datetime | None = None,
    program: str = "",
    misleading: Sequence[UUID] = (),
) -> None:
    """Back to nurture. With a date it comes back then, for the same reasons too, if it still stands over the line.

    `program`: the slug of a program that takes the contact in (nurture reads it from the row in its next beat).
    """
    chosen = _checked(reason, AnswerReason.Answer.RECYCLED)
    if returns_at is not None and returns_at <= now:
        raise Refused(_("Choose a day that is still to come."))
    if program and program not in dict(recycling.programs()):
        raise Refused(_("This program takes nobody in now. Choose another one."))
    with transaction.atomic():
        _answer(
            hand_off,
            HandOff.State.RECYCLED,
            actor=actor,
            now=now,
            reason=chosen,
            note=note,
            returns_at=returns_at,
            program=program,
            misleading=misleading,
        )
        _move(hand_off, AnswerReason.Then.RECYCLED, actor=actor, reason=str(chosen), now=now)
        mark([hand_off.contact_id], Mark.Facet.CONTACT)


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
    program: str = "",
    misleading: Sequence[UUID] = (),
) -> None:
    """A conditional update that changes exactly one row, or somebody was first."""
    contact = Contact.objects.filter(pk=hand_off.contact_id).values("stage", "owner_id").first()
    if contact is None:
        raise _taken(hand_off)
    values: dict[str, object] = {
        "state": state,
        "answered_at": now,
        "answered_by": actor,
        "answer_reason": reason,
        "answer_note": note.strip()[:2000],
        "returns_at": returns_at,
        "returned_at": None,
        "program": program,
        "program_entered_at": None,
        "misleading": sorted(set(misleading) & set(_rules_on(hand_off))),
        "before_answer": {"stage": contact["stage"], "owner": contact["owner_id"], "lead_owner": hand_off.owner_id},
    }
    if owner is not None:
        values["owner"] = owner
    if HandOff.objects.open().filter(pk=hand_off.pk).update(**values) != 1:
        raise _taken(hand_off)
    hand_off.refresh_from_db()
    said = [str(HandOff.State(state).label), str(reason) if reason else "", hand_off.answer_note]
    _note(hand_off, Kind.ANSWERED, actor=actor, now=now, note=": ".join(part for part in said if part))
    notices.read(actor, now=now, hand_off_id=hand_off.pk)
    detail = {
        "contact": hand_off.contact_id,
        "reason": reason.pk if reason else None,
        "note": hand_off.answer_note,
        "misleading": [str(key) for key in hand_off.misleading],
    }
    audit(actor, f"{state} the lead", hand_off, detail, now)


def _rules_on(hand_off: HandOff) -> list[UUID]:
    """Rules that the card names, for and against."""
    shown = [*hand_off.card.get("reasons", []), *hand_off.card.get("against", [])]
    return [UUID(one["rule"]) for one in shown if one.get("rule")]


def _note(hand_off: HandOff, kind: str, *, actor: User | None, now: datetime, note: str = "") -> None:
    HandOffEvent.objects.create(
        hand_off=hand_off, at=now, kind=kind, actor=actor, owner_id=hand_off.owner_id, note=note[:2000]
    )


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


# --- taking an answer back ----------------------------------------------------------------------------------------------------


def may_undo(hand_off: HandOff, *, actor: User, now: datetime) -> bool:
    """Whether the actor may still take the answer back: their own (an admin: anybody's), for ten minutes, before a deal is opened."""
    return (
        hand_off.answered_at is not None
        and now - hand_off.answered_at <= UNDO_WITHIN
        and hand_off.deal_id is None
        and hand_off.before_answer is not None
        and (hand_off.answered_by_id == actor.pk or can(actor, "configure"))
    )


def undo_answer(hand_off: HandOff, *, actor: User, now: datetime) -> None:
    """The lead is open again with the clock it had; stage and owner of the contact are as before, unless somebody moved them since."""
    with transaction.atomic():
        contact = Contact.objects.select_for_update(no_key=True).filter(pk=hand_off.contact_id).first()
        row = HandOff.objects.select_for_update(no_key=True).filter(pk=hand_off.pk).first()
        if contact is None or row is None:
            raise _taken(hand_off)
        if not may_undo(row, actor=actor, now=now):
            raise Refused(_("This answer cannot be taken back any more."))
        if HandOff.objects.open().filter(contact=contact, model_id=row.model_id).exists():
            raise Refused(_("The contact was handed over again meanwhile: answer that lead."))
        before, answer = row.before_answer or {}, row.state
        moved_to = "accepted" if answer == HandOff.State.ACCEPTED else row.answer_reason and row.answer_reason.moves_to
        HandOff.objects.filter(pk=row.pk).update(
            state=HandOff.State.OPEN,
            answered_at=None,
            answered_by=None,
            answer_reason=None,
            answer_note="",
            returns_at=None,
            program="",
            misleading=[],
            before_answer=None,
            owner=_owner(before["lead_owner"]),
        )
        hand_off.refresh_from_db()
        if answer == HandOff.State.ACCEPTED and contact.owner_id == row.owner_id:
            set_owner([contact.pk], owner=_owner(before["owner"]), now=now)
        if contact.stage == moved_to and contact.stage != before["stage"]:
            move_stage(
                contact,
                to=before["stage"],
                actor=actor,
                cause="answer_undone",
                reason=_("The answer was taken back"),
                now=now,
                by_hand=True,
            )
        _note(hand_off, Kind.UNDONE, actor=actor, now=now, note=str(HandOff.State(answer).label))
        audit(actor, "took the answer back", hand_off, {"contact": contact.pk, "answer": answer}, now)


def _owner(owner_id: int | None) -> Owner | None:
    """Still there, or nobody."""
    return None if owner_id is None else Owner.objects.filter(pk=owner_id).first()


# --- to whom ------------------------------------------------------------------------------------------------------------------


def assign_lead(hand_off: HandOff, *, owner: Owner | None, actor: User, now: datetime, note: str = "") -> None:
    """Give an open lead to somebody, or to nobody. The clock goes on from the hand-off, in the new owner's business hours.

    AlreadyAnswered when it is not open any more; Refused for somebody who has left.
    """
    if owner is not None and Desk.objects.filter(owner=owner, left_at__isnull=False).exists():
        raise Refused(_("%(name)s has left. Choose somebody else.") % {"name": owner})
    with transaction.atomic():
        _give(hand_off, owner, actor=actor, now=now, note=clean(note)[:2000])
        audit(
            actor, "assigned", hand_off, {"owner": str(owner) if owner else None, "contact": hand_off.contact_id}, now
        )


def _give(hand_off: HandOff, owner: Owner | None, *, actor: User | None, now: datetime, note: str) -> None:
    owner_id = owner.pk if owner else None
    times = clock(hand_off.model, owner_id, since=hand_off.handed_over_at, hours=calendars([owner_id]))
    if not HandOff.objects.open().filter(pk=hand_off.pk).update(owner=owner, **times):
        raise _taken(hand_off)
    hand_off.refresh_from_db()
    _note(hand_off, Kind.ASSIGNED, actor=actor, now=now, note=note)
    event = HandOffEvent.objects.filter(hand_off=hand_off).count()
    news = notices.news_of([hand_off], kind=Notice.Kind.ASSIGNED, suffix=f":{event}")
    notices.tell([one for one in news if actor is None or one.user_id != actor.pk], now=now)


def owner_leaves(owner: Owner, *, actor: User | None, now: datetime) -> int:
    """Gets no leads any more; the open ones are routed anew, without them. How many were."""
    with transaction.atomic():
        Desk.objects.update_or_create(owner=owner, defaults={"left_at": now})
        audit(actor, "marked as left", owner, {}, now)
        queries.lock_routing()
        rows = HandOff.objects.open().filter(owner=owner).select_related("model", "contact").order_by("due_at", "pk")
        for row in rows:
            found = routing.route([(row.contact_id, row.contact.owner_id)], model=row.model, now=now, not_to=owner.pk)
            chosen = found[row.contact_id]
            note = _("%(name)s has left: %(why)s") % {"name": owner, "why": chosen.why}
            _give(row, _owner(chosen.owner_id), actor=actor, now=now, note=note)
            HandOff.objects.filter(pk=row.pk).update(routing_rule=chosen.rule_id)
    return len(rows)


def owner_returns(owner: Owner, *, actor: User | None, now: datetime) -> None:
    """Takes leads again."""
    with transaction.atomic():
        Desk.objects.filter(owner=owner).update(left_at=None)
        audit(actor, "marked as back", owner, {}, now)


def escalate_late(now: datetime) -> int:
    """Open leads whose escalation is due: told to whom the model names, else to the admins, once. How many were. One statement when none is."""
    escalated = 0
    while rows := list(HandOff.objects.to_escalate(now).order_by("escalate_at", "pk")[:ESCALATED_AT_ONCE]):
        with transaction.atomic():
            owned = HandOff.objects.to_escalate(now).filter(pk__in=[row.pk for row in rows])
            own = list(
                owned.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related(
                    "model__escalate_to__user"
                )
            )
            HandOff.objects.filter(pk__in=[row.pk for row in own]).update(escalated_at=now)
            news: list[News] = []
            for row in own:
                to = row.model.escalate_to
                users = [to.user_id] if to is not None and to.user_id is not None else notices.admins()
                HandOffEvent.objects.create(
                    hand_off=row,
                    at=now,
                    kind=Kind.ESCALATED,
                    owner_id=row.owner_id,
                    note=_("told to %(name)s") % {"name": to or _("the admins")},
                )
                news += [News(user, f"late:{row.pk}", Notice.Kind.LATE, row.pk) for user in users if user is not None]
            news += notices.news_of(own, kind=Notice.Kind.LATE)
            notices.tell(list({(one.user_id, one.key): one for one in news}.values()), now=now)
        escalated += len(own)
        if len(own) < len(rows):
            break
    return escalated


# --- what becomes of it ---------------------------------------------------------------------------------------------------------


def open_deal(hand_off: HandOff, *, product: str, amount: Decimal | None, actor: User, now: datetime) -> Deal:
    """An open deal of an accepted lead, with its contact and company; the contact becomes an opportunity. Once per lead."""
    if amount is not None and not (amount.is_finite() and 0 <= amount < MOST_AMOUNT):
        raise Refused(_("The amount is a number, zero or more."))
    with transaction.atomic():
        row = (
            HandOff.objects.select_for_update(no_key=True, of=("self",))
            .select_related("contact")
            .filter(pk=hand_off.pk)
        ).first()
        if row is None:
            raise _taken(hand_off)
        if row.state != HandOff.State.ACCEPTED:
            raise Refused(_("Accept the lead first."))
        if row.deal_id is not None:
            raise Refused(_("A deal was opened for this lead already."))
        try:
            with transaction.atomic():
                deal = Deal.objects.create(
                    external_id=f"lead-{row.pk}",
                    company_id=row.contact.company_id,
                    owner_id=row.owner_id,
                    status=Deal.Status.OPEN,
                    amount=amount,
                    product=clean(product)[:300],
                    opened_on=now.astimezone(zone()).date(),
                )
        except IntegrityError as error:
            raise Refused(_("There is a deal with the id lead-%(id)s already.") % {"id": row.pk}) from error
        DealContact.objects.create(deal=deal, contact=row.contact)
        HandOff.objects.filter(pk=row.pk).update(deal=deal)
        hand_off.refresh_from_db()
        mark([row.contact_id], Mark.Facet.DEAL)
        if row.contact.stage == "accepted":
            move_stage(
                row.contact, to="opportunity", actor=actor, cause="answer", reason=_("A deal was opened"), now=now
            )
        _note(hand_off, Kind.DEAL_OPENED, actor=actor, now=now, note=deal.product)
        audit(actor, "opened a deal from a lead", deal, {"contact": row.contact_id, "lead": row.pk}, now)
    return deal


def merge_hand_offs(*, gone: Contact, kept: Contact, actor: User | None, now: datetime) -> int:
    """Before a contact is merged away: its leads go to the contact that stays. How many did.

    Of two open ones of a model the one that must be answered first stays; the other closes into it, named in its history.
    """
    with transaction.atomic():
        list(Contact.objects.select_for_update(no_key=True).filter(pk__in=[gone.pk, kept.pk]).order_by("pk"))
        open_ones: dict[int, HandOff] = {row.model_id: row for row in HandOff.objects.open().filter(contact=kept)}
        for row in HandOff.objects.open().filter(contact=gone):
            other = open_ones.get(row.model_id)
            if other is None:
                continue
            stays, closes = sorted((row, other), key=lambda one: (one.due_at, one.pk))
            said = _("%(name)s was merged into this lead (%(total)s points, %(grade)s).") % {
                "name": closes.card.get("who", {}).get("name", ""),
                "total": closes.total.normalize(),
                "grade": closes.grade,
            }
            _note(stays, Kind.MERGED, actor=actor, now=now, note=said)
            closes.delete()
        moved = HandOff.objects.filter(contact=gone).update(contact=kept)
        if moved:
            mark([kept.pk], Mark.Facet.CONTACT)
    return moved
