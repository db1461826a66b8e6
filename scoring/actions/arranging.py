"""Arranging the queue: routing rules, how long sales has, desks and days off, the reasons that may be given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import Refused, audit
from leads.models import Owner
from leads.text import clean
from scoring.models import AnswerReason, Desk, Holiday, RoutingRule, RoutingSeat, ScoreModel
from segments.conditions import check, to_document


def save_routing_rule(
    rule: RoutingRule | None,
    *,
    name: str,
    model: ScoreModel | None,
    conditions: Any,
    target: str,
    owners: Sequence[Owner],
    is_active: bool,
    actor: User | None,
    now: datetime,
) -> RoutingRule:
    """A rule made (as the last one) or changed. `conditions` None or {"all": []} means everybody. BadConditions for a bad document."""
    name = clean(name)
    if not name:
        raise Refused(_("A routing rule needs a name: it stands in the history of each lead."))
    if target not in RoutingRule.Target.values:
        raise Refused(_("There is no such way of routing."))
    if target == RoutingRule.Target.OWNER and len(owners) != 1:
        raise Refused(_("Choose exactly one person."))
    if target == RoutingRule.Target.TEAM and not owners:
        raise Refused(_("Choose at least one person."))
    document = None if conditions in (None, {"all": []}) else to_document(check(conditions))
    with transaction.atomic():
        verb = "changed" if rule else "made"
        if rule is None:
            last = RoutingRule.objects.aggregate(Max("position"))["position__max"] or 0
            rule = RoutingRule(position=last + 1)
        rule.name, rule.model, rule.conditions, rule.target, rule.is_active = (
            name[:200],
            model,
            document,
            target,
            is_active,
        )
        rule.save()
        seats = [] if target == RoutingRule.Target.NOBODY else list(owners)
        rule.seats.all().delete()
        RoutingSeat.objects.bulk_create(
            [RoutingSeat(rule=rule, owner=owner, position=place) for place, owner in enumerate(seats)]
        )
        audit(actor, verb, rule, {"target": target, "owners": [str(owner) for owner in seats]}, now)
    return rule


def move_routing_rule(rule: RoutingRule, *, up: bool, actor: User | None, now: datetime) -> None:
    """One place up or down; at the end nothing happens."""
    with transaction.atomic():
        rules = list(RoutingRule.objects.select_for_update(no_key=True, of=("self",)).order_by("position", "id"))
        place = next((place for place, one in enumerate(rules) if one.pk == rule.pk), None)
        if place is None:
            raise Refused(_("This rule is no longer there."))
        other = place - 1 if up else place + 1
        if not 0 <= other < len(rules):
            return
        rules[place], rules[other] = rules[other], rules[place]
        for number, one in enumerate(rules):
            one.position = number
        RoutingRule.objects.bulk_update(rules, ["position"])
        audit(actor, "moved", rule, {"to": other + 1}, now)


def delete_routing_rule(rule: RoutingRule, *, actor: User | None, now: datetime) -> None:
    """Leads that it routed stay where they are."""
    with transaction.atomic():
        audit(actor, "deleted", rule, {}, now)
        rule.delete()


def change_answering(
    model: ScoreModel,
    *,
    answer_within_hours: int,
    routing: str,
    escalate_after_hours: int | None,
    escalate_to: Owner | None,
    actor: User | None,
    now: datetime,
) -> None:
    """Holds for leads handed over from now on."""
    if not 1 <= answer_within_hours <= 1000:
        raise Refused(_("Sales needs at least one and at most 1,000 business hours to answer."))
    if routing not in ScoreModel.Routing.values:
        raise Refused(_("There is no such way of routing."))
    if escalate_after_hours is not None and not 0 <= escalate_after_hours <= 1000:
        raise Refused(_("Escalate after at most 1,000 business hours."))
    with transaction.atomic():
        ScoreModel.objects.filter(pk=model.pk).update(
            answer_within_hours=answer_within_hours,
            routing=routing,
            escalate_after_hours=escalate_after_hours,
            escalate_to=escalate_to,
        )
        detail = {
            "answer_within_hours": answer_within_hours,
            "routing": routing,
            "escalate_after_hours": escalate_after_hours,
            "escalate_to": str(escalate_to) if escalate_to else None,
        }
        audit(actor, "changed the answering of", model, detail, now)
    model.refresh_from_db()


def save_desk(
    owner: Owner, *, values: dict[str, Any], holidays: Sequence[tuple[date, str]], actor: User | None, now: datetime
) -> Desk:
    """How an owner works. Counts for leads handed over or given to them from now on."""
    with transaction.atomic():
        desk, _made = Desk.objects.update_or_create(owner=owner, defaults=values)
        set_holidays(owner, holidays=holidays)
        audit(actor, "changed the desk of", owner, {"fields": sorted(values)}, now)
    return desk


def set_holidays(owner: Owner | None, *, holidays: Sequence[tuple[date, str]]) -> None:
    """The days off of an owner, or of everybody: exactly these."""
    Holiday.objects.filter(owner=owner).delete()
    Holiday.objects.bulk_create([Holiday(owner=owner, on=day, name=name) for day, name in holidays])


def save_company_holidays(holidays: Sequence[tuple[date, str]], *, actor: User | None, now: datetime) -> None:
    with transaction.atomic():
        set_holidays(None, holidays=holidays)
        audit(actor, "changed", "holidays", {"days": len(holidays)}, now)


def save_reason(reason: AnswerReason, *, fields: Sequence[str], actor: User | None, now: datetime) -> AnswerReason:
    """A reason made or changed; one that was given is taken out of the offer, never deleted."""
    with transaction.atomic():
        verb = "changed"
        if not reason.pk:
            verb, stem = "made", slugify(reason.label)[:50] or "reason"
            reason.pk, number = stem, 1
            while AnswerReason.objects.filter(pk=reason.pk).exists():
                number += 1
                reason.pk = f"{stem}-{number}"
            reason.save(force_insert=True)
        else:
            reason.save()
        audit(actor, verb, reason, {"fields": list(fields)}, now)
    return reason
